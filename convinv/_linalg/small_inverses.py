"""Inverses of many small Hermitian positive definite matrices together."""

import numpy as np

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


def inverted(slab):
    """Inverses of ``(groups, c, c, frequencies)``; NaN or infinite if singular."""
    if slab.shape[1] <= SMALL:
        with np.errstate(all="ignore"):
            return invert(slab.transpose(1, 2, 0, 3)).transpose(2, 0, 1, 3)
    matrices = np.moveaxis(slab, 3, 1)
    try:
        return np.moveaxis(np.linalg.inv(matrices), 1, 3)
    except np.linalg.LinAlgError:
        return np.stack([_inverted_or_nan(group) for group in matrices])


def _inverted_or_nan(matrices):
    """``(c, c, frequencies)`` from ``(frequencies, c, c)``, NaN if one is singular."""
    try:
        return np.moveaxis(np.linalg.inv(matrices), 0, 2)
    except np.linalg.LinAlgError:
        return np.full((*matrices.shape[1:], len(matrices)), np.nan)
