"""Inverses of many small Hermitian positive definite matrices together."""

SMALL = 4  # rows up to which this is faster than LAPACK matrix by matrix


def invert(matrices):
    """Invert matrices whose rows and columns are the first two axes, in place.

    Singular matrices become infinite or NaN.
    """
    for i in range(len(matrices)):  # Gauss-Jordan, which needs no pivots here
        pivot = 1 / matrices[i, i].real
        row, column = matrices[i] * pivot, matrices[:, i].copy()
        matrices -= column[:, None] * row
        matrices[i] = row
        matrices[:, i] = -column * pivot
        matrices[i, i] = pivot
    return matrices
