"""Pseudoinverses of large sparse blocks that are far wider than high, in compact form.

The pseudoinverse ``A^H (A A^H)^-1`` of such a block is as wide as A and dense. Here A
stays sparse, and only the inverse of its Gram matrix is stored with it.
"""

from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse

from .pseudoinverse import reciprocal_condition

LARGE = 2**20  # entries of a matrix and its inverse above which this form pays
SAVED = 4  # factor by which it must reduce the entries
SAFE = 1e-3  # reciprocal condition number whose square leaves ten digits


class WideInverse(NamedTuple):
    """``A^H (A A^H + damp^2 I)^-1`` of a sparse A."""

    adjoint: sparse.csr_array
    gram: np.ndarray

    def __call__(self, part):
        """The product with every row of `part`."""
        return (self.adjoint @ (self.gram @ part.T)).T


def entries(shape, stored):
    """How many numbers a sparse block and its inverse keep, including indices."""
    return shape[0] ** 2 + 4 * stored


def pays(shape, stored):
    """Whether a block with `stored` entries should stay sparse."""
    dense = 2 * shape[0] * shape[1]
    return dense >= LARGE and SAVED * entries(shape, stored) <= dense


def wide_inverse(A, damp, rcond, dtype):
    """A `WideInverse`, None if the rows are not safely independent.

    Computed in the precision of A, and stored in `dtype`.
    """
    gram = (A @ A.conj().T).toarray()
    identity = np.eye(len(gram), dtype=gram.dtype)
    try:
        factor = linalg.cholesky(gram + damp**2 * identity, check_finite=False)
    except np.linalg.LinAlgError:
        return None
    if not reciprocal_condition(factor) > max(SAFE, rcond or 0.0):
        return None
    inverse = linalg.cho_solve((factor, False), identity, check_finite=False)
    return WideInverse(A.conj().T.tocsr().astype(dtype), inverse.astype(dtype))
