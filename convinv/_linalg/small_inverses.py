"""Inverses of many small Hermitian positive definite matrices together."""

SMALL = 4  # rows up to which that is faster than LAPACK, one matrix after the other


def invert(matrices):
    """Invert matrices whose rows and columns are the first two axes, in place.

    What is singular becomes infinite or NaN.
    """
    for i in range(len(matrices)):  # Gauss-Jordan, which needs no pivots here
        pivot = 1 / matrices[i, i].real
        row, column = matrices[i] * pivot, matrices[:, i].copy()
        matrices -= column[:, None] * row
        matrices[i] = row
        matrices[:, i] = -column * pivot
        matrices[i, i] = pivot
    return matrices
