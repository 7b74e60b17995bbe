"""Operators of other makers, with nothing but products."""

import numpy as np
from scipy.sparse.linalg import LinearOperator

WITH_ADJOINT = ("cgls", "lsqr", "lsmr", "rshk", "rshek", "gradient")


def spd(n=20, seed=0):
    A = np.random.default_rng(seed).standard_normal((n, n))
    return A @ A.T + n * np.eye(n)


def functions(A, **options):
    adjoint = A.conj().T
    return LinearOperator(
        A.shape,
        matvec=lambda v: A @ v,
        rmatvec=lambda v: adjoint @ v,
        dtype=A.dtype,
        **options,
    )


class Duck:
    """No more than a shape, a dtype and products."""

    def __init__(self, A):
        self.A, self.shape, self.dtype = A, A.shape, A.dtype

    def matvec(self, v):
        return self.A @ v
