"""From an inverse of the Gram matrix N to the solution of a problem."""

import numpy as np

from ._banded import Singular
from ._gram import Gram

REPEATS = 3  # refinements inside the damped correction of a wide layer


class GramInverse:
    """An (approximate) inverse of ``A^H A + damp^2 I`` or ``A A^H + damp^2 I``.

    Attributes
    ----------
    gram : Gram
    damp : float
    inner : BlockCholesky or NestedTori
    """

    def __init__(self, op, gram, inner, damp):
        self.op, self.gram, self.inner, self.damp = op, gram, inner, damp

    @property
    def nbytes(self):
        return self.inner.nbytes

    def solve(self, v):
        """``M v`` for flat `v`, (B, n) or (B, m) as the side has it."""
        xp = self.op.xp
        x = self.inner.solve(xp.ascontiguousarray(self.gram.pack(v)))
        return self.gram.unpack(xp.ascontiguousarray(x))

    def symmetric(self, v):
        """The same by a Hermitian positive definite M."""
        xp, gram = self.op.xp, self.gram
        x = self.inner.symmetric(xp.ascontiguousarray(gram.pack(v)))
        return gram.unpack(xp.ascontiguousarray(x))

    def correction(self, problem):
        """d that solves ``min ||A d - b||^2 + damp^2 ||origin + d||^2``."""
        if self.gram.side == "input":
            return self.solve(problem.gradient)
        if not problem.damp or problem.origin is None:
            return problem.adjoint(self.solve(problem.b))
        # d = (s - A^H N^-1 A s) / damp^2 inverts A^H A + damp^2 by what inverts N
        s = problem.gradient
        v = problem.forward(s)
        u = self.solve(v)
        for _ in range(REPEATS):  # the division makes errors large
            residual = v - problem.forward(problem.adjoint(u)) - problem.damp**2 * u
            u = u + self.solve(residual)
        return (s - problem.adjoint(u)) / problem.damp**2


def side_of(op):
    """The smaller of the two Gram matrices, which has full rank as a rule."""
    return "input" if op.shape[0] >= op.shape[1] else "output"


def gram_of(op, side):
    """N's stencil, which serves every damp."""
    return op._kept(("gram", side), lambda: Gram(op, side))


def gram_inverse(op, kind, key, damp, make):
    """``GramInverse`` of kind `kind`, whose inner solver is ``make(gram)``."""
    side = side_of(op)

    def build():
        gram = gram_of(op, side)
        inner = make(gram)
        refuse_unsound(inner, op.dtype)
        return GramInverse(op, gram, inner, damp)

    return op._kept((kind, damp, *key), build)


def refuse_unsound(inner, dtype):
    """Raise Singular if the condition number leaves no digits in `dtype`."""
    if not inner.rcond > 5 * float(np.finfo(dtype).eps):
        raise Singular(
            "the layer is rank-deficient or too ill-conditioned for a Cholesky factor "
            f"in {np.dtype(dtype)} (reciprocal condition number {inner.rcond:.1e})"
        )
