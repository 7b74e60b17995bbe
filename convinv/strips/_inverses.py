"""The local inverses of strips, which are made once for an operator."""

import numpy as np

from .._core.arrays import namespace
from .._linalg.device_pseudoinverse import full_rank_inverse, pays
from .._linalg.pseudoinverse import banded_inverse, pseudoinverse


class StripInverses:
    """What a sweep multiplies strips with: a list of each, by the strips' classes.

    They are as large as a full window: elements that a strip lacks have zero rows in P
    and K.

    Attributes
    ----------
    inverses : list
        P, a `BandedQR` or an array of a matrix per group.
    projectors : list
        ``K = I - P A``, None for zero.
    matrices : list
        A for damped sweeps, else None.
    used : tuple of str
        The factorizations that were used.
    """

    def __init__(self, op, plan, factorization, damp, rcond, dtype):
        self.inverses, self.projectors, self.matrices = [], [], []
        used = set()
        for label in range(plan.classes):
            factor = None
            if factorization == "qr":
                factor = _banded(op, plan, label, damp, rcond)
            if factor is not None:
                used.add("qr")
                self._add(factor, None, None)
            else:
                wanted = factorization, damp, rcond
                self._add(*_dense(op, plan, label, wanted, dtype, used))
        self.used = tuple(sorted(used))

    def _add(self, P, K, A):
        self.inverses.append(P)
        self.projectors.append(K)
        self.matrices.append(A)

    @property
    def nbytes(self):
        parts = (*self.inverses, *self.projectors, *self.matrices)
        return sum(part.nbytes for part in parts if part is not None)


def strip_inverses(problem, plan, factorization, rcond) -> StripInverses:
    """The inverses of a plan's strips, kept with the operator."""
    op, damp, dtype = problem.op, problem.damp, problem.b.dtype
    return op.cached(
        ("strip", plan.window, factorization, damp, rcond, dtype),
        lambda: StripInverses(op, plan, factorization, damp, rcond, dtype),
    )


def _banded(op, plan, label, damp, rcond):
    """A `BandedQR`, on the CPU, for a class with a narrow band; else None."""
    if op.xp is not np or damp or plan.groups > 1 or not plan.active(label).all():
        return None
    return banded_inverse(plan.matrix(op, label), rcond)


def _dense(op, plan, label, wanted, dtype, used):
    """P, K and A of a class; the factorizations go to `used`."""
    xp, damp = op.xp, wanted[1]
    active = np.tile(plan.active(label), plan.geometry.c_in // plan.groups)
    inverses, projectors, matrices = [], [], []
    full = not damp
    for group in range(plan.groups):
        A, P, rank, name = _factored(op, plan, label, group, wanted, active.all())
        used.add(name)
        inverses.append(_spread(xp, P, active, (0,), dtype))
        if damp:
            matrices.append(_spread(xp, A, active, (1,), dtype))
        if damp or rank < A.shape[1]:
            full = False
            K = namespace(A).eye(A.shape[1]) - P @ A
            projectors.append(_spread(xp, K, active, (0, 1), dtype))
        else:
            projectors.append(None)
    if not full:  # a group lacks full rank: the others project to zero
        size = (active.size,) * 2
        projectors = [xp.zeros(size, dtype) if K is None else K for K in projectors]
    return (
        xp.stack(inverses),
        None if full else xp.stack(projectors),
        xp.stack(matrices) if damp else None,
    )


def _factored(op, plan, label, group, wanted, whole):
    """A, P, the rank and the factorization, of a `whole` window or a part of one.

    Large matrices of full rank are made and factorized where the arrays are.
    """
    factorization, damp, rcond = wanted
    on_device = op.xp is not np and factorization == "qr" and whole
    if on_device and pays(plan.matrix_shape(label)):
        A = plan.matrix(op, label, group, xp=op.xp)
        P = full_rank_inverse(A, damp, rcond)
        if P is not None:
            return A, P, min(A.shape), factorization
    A = plan.matrix(op, label, group)
    return A, *pseudoinverse(A, factorization, damp, rcond)


def _spread(xp, matrix, active, axes, dtype):
    """`matrix` in an array of `xp`, with zeros along `axes` where `active` is false."""
    matrix = matrix.astype(dtype)
    if active.all():
        return xp.asarray(matrix)
    shape = [active.size if a in axes else n for a, n in enumerate(matrix.shape)]
    spread = np.zeros(shape, dtype)
    index = [active if a in axes else np.full(n, True) for a, n in enumerate(shape)]
    spread[np.ix_(*index)] = matrix
    return xp.asarray(spread)
