"""Golub-Kahan bidiagonalisation of a batch, the core of LSQR and LSMR."""

from .._array import copy
from ._problem import divide


class Bidiagonalisation:
    """``A V = U B`` one column at a time, from ``u = b / ||b||``.

    The vectors are kept unnormalised with the inverse of their norms, which saves a
    pass over each in every step: ``u = u_scale * U``, ``v = v_scale * V``.

    Attributes
    ----------
    V : array, shape (B, n)
    v_scale, alpha, beta : array, shape (B,)
    """

    def __init__(self, problem, monitor):
        self.problem, self.monitor = problem, monitor
        self.xp, self.vectors = problem.xp, problem.vectors
        self.U = copy(problem.b)
        self.beta = self.xp.sqrt(self.vectors.sumsq(self.U))
        self.one = self.xp.ones_like(self.beta)
        self.u_scale = self._inverse(self.beta)
        self.V, sums = problem.adjoint(self.U, sumsq=True)
        norm = self.xp.sqrt(sums)
        self.alpha, self.v_scale = norm * self.u_scale, self._inverse(norm)
        self._forward = self._adjoint = None

    def _inverse(self, norm):
        return divide(self.xp, self.monitor.active, self.one, norm)

    def advance(self):
        """Make the next beta, u, alpha and v."""
        problem, vectors, xp = self.problem, self.vectors, self.xp
        q = self._forward = problem.forward(self.V, out=self._forward)
        back = -self.alpha * self.u_scale
        self.U, sums = vectors.axpby(self.v_scale, q, back, self.U)
        self.beta = xp.sqrt(sums)
        self.u_scale = self._inverse(self.beta)
        q = self._adjoint = problem.adjoint(self.U, out=self._adjoint)
        back = -self.beta * self.v_scale
        self.V, sums = vectors.axpby(self.u_scale, q, back, self.V)
        self.alpha = xp.sqrt(sums)
        self.v_scale = self._inverse(self.alpha)


def rotation(xp, a, b):
    """``(c, s, r)`` of the Givens rotation that turns ``(a, b)`` into ``(r, 0)``."""
    r = xp.hypot(a, b)
    safe = xp.where(r > 0, r, xp.ones_like(r))
    return xp.where(r > 0, a / safe, xp.ones_like(r)), b / safe, r
