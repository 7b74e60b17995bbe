"""Golub-Kahan bidiagonalisation of a batch, the core of LSQR and LSMR."""

from .._core.arrays import copy
from .._problem.problem import BREAKDOWN, divide


class Bidiagonalisation:
    """``A V = U B`` one column at a time, from ``u = b / ||b||``.

    With a preconditioner M it is the bidiagonalisation of ``A M^(1/2)``, which needs
    products with M only: the v are orthonormal in the inner product of ``M^-1``, and
    ``v = M p`` where the p follow the recurrence of ``A^H u``. Without one, P is V.

    The vectors are kept unnormalised with the inverse of their norms, which saves a
    pass over each in every step: ``u = u_scale * U``, ``v = v_scale * V``, ``p =
    v_scale * P``.

    Attributes
    ----------
    V, P : array, shape (B, n)
    v_scale, alpha, beta : array, shape (B,)
    normal : array, shape (B,)
        The norm of ``alpha p``; it is alpha without a preconditioner.

    References
    ----------
    Arridge, Betcke and Harhanen, "Iterated preconditioned LSQR method for inverse
    problems on unstructured grids", Inverse Problems 30 (2014), algorithm 2.
    """

    def __init__(self, problem, monitor):
        self.problem, self.monitor = problem, monitor
        self.xp, self.vectors = problem.xp, problem.vectors
        self.U, self.V = copy(problem.b), None
        self.beta = self.xp.sqrt(self.vectors.sumsq(self.U))
        self.one = self.xp.ones_like(self.beta)
        self.u_scale = self._inverse(self.beta)
        self.P, sums = problem.adjoint(self.U, sumsq=True)
        norm = self._precondition(sums)
        self.alpha, self.v_scale = norm * self.u_scale, self._inverse(norm)
        self.normal = self.normal * self.u_scale
        self._forward = self._adjoint = None

    def _inverse(self, norm):
        return divide(self.xp, self.monitor.active, self.one, norm)

    def _precondition(self, sums):
        """Make V from a P of squared norm `sums`; returns the norm of V."""
        self.normal = self.xp.sqrt(sums)
        if self.problem.preconditioner is None:
            self.V = self.P
            return self.normal
        self.V = None  # frees its memory for the new one
        self.V = self.problem.precondition(self.P)
        gamma = self.problem.real_dot(self.P, self.V)
        good = gamma > 0
        self.monitor.end(~good & (sums > 0), BREAKDOWN)
        return self.xp.sqrt(self.xp.where(good, gamma, 0 * sums))

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
        self.P, sums = vectors.axpby(self.u_scale, q, back, self.P)
        self.alpha = self._precondition(sums)
        self.v_scale = self._inverse(self.alpha)


def rotation(xp, a, b):
    """``(c, s, r)`` of the Givens rotation that turns ``(a, b)`` into ``(r, 0)``."""
    r = xp.hypot(a, b)
    safe = xp.where(r > 0, r, xp.ones_like(r))
    return xp.where(r > 0, a / safe, xp.ones_like(r)), b / safe, r
