"""The ends of the singular values: exact ones, and otherwise bounds."""

import numpy as np
from scipy import linalg

from ..operators._symbol import inverse_squares
from ._bounds import Estimate, extreme_singular_values
from ._smallest import smallest_singular_value


def bounds(op, steps, rng):
    """Bounds of the largest, the smallest, and again the smallest singular value."""
    rng = np.random.default_rng(rng)
    largest, other = extreme_singular_values(op, steps, rng)
    smallest = smallest_singular_value(op, float(largest), rng)
    if other.value < smallest.value:
        smallest = other
    return largest, smallest, smallest


def decomposed(matrix, tolerance):
    """The singular values, and the diagonal of ``(A^H A)^+``.

    From the triangular factor; singular vectors are needed only if values are zero.
    """
    tall = matrix.shape[0] >= matrix.shape[1]
    q, r = np.linalg.qr(matrix if tall else matrix.conj().T)
    values = np.linalg.svd(r, compute_uv=False)
    if values[-1] > tolerance:
        inverse = linalg.solve_triangular(r, np.eye(len(r)), check_finite=False)
        rows = inverse if tall else q @ inverse.conj().T
        return values, np.sum(np.abs(rows) ** 2, axis=1)
    _, values, vh = np.linalg.svd(matrix, full_matrices=False)
    return values, (np.abs(vh) ** 2).T @ inverse_squares(values, tolerance)


def exact_ends(values, tolerance):
    """The largest, the smallest and the smallest nonzero one, and the rank."""
    kept = values[values > tolerance]
    ends = [float(v) for v in (values.max(), values.min(), kept.min(initial=np.inf))]
    ends = [v if tolerance < v < np.inf else 0.0 for v in ends]
    return tuple(Estimate(v, tolerance, "exact") for v in ends), len(kept)
