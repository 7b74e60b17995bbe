"""Golub-Kahan bidiagonalization of a batch, the core of LSQR and LSMR."""

from dataclasses import dataclass, field
from typing import Any

from .._core.arrays import copy
from .._problem.problem import BREAKDOWN, divide


@dataclass
class Bidiagonalization:
    """``A V = U B`` one column at a time, from ``u = b / ||b||``.

    With a preconditioner M it is the bidiagonalization of ``A M^(1/2)``, which needs
    products with M only [1]_: the v are orthonormal in the inner product of ``M^-1``,
    and ``v = M p`` where the p follow the recurrence of ``A^H u``. Without one, P is V.

    The vectors are kept unnormalized with the inverse of their norms, which saves a
    pass over each in every step: ``u = u_scale * U``, ``v = v_scale * V``, ``p =
    v_scale * P``.

    Attributes
    ----------
    U : array, shape (B, m)
    V, P : array, shape (B, n)
    u_scale, v_scale, alpha, beta : array, shape (B,)
    normal : array, shape (B,)
        The norm of ``alpha p``; it is alpha without a preconditioner.

    References
    ----------
    .. [1] S. R. Arridge, M. M. Betcke and L. Harhanen, "Iterated preconditioned LSQR
       method for inverse problems on unstructured grids", Inverse Problems 30 (2014),
       075009, algorithm 2.
    """

    problem: Any
    monitor: Any
    U: Any = field(init=False)
    V: Any = field(init=False, default=None)
    P: Any = field(init=False)
    u_scale: Any = field(init=False)
    v_scale: Any = field(init=False)
    alpha: Any = field(init=False)
    beta: Any = field(init=False)
    normal: Any = field(init=False)
    one: Any = field(init=False)
    _forward: Any = field(init=False, default=None)  # memory of the products
    _adjoint: Any = field(init=False, default=None)

    def __post_init__(self):
        problem, xp = self.problem, self.problem.xp
        self.U = copy(problem.b)
        self.beta = xp.sqrt(problem.vectors.sumsq(self.U))
        self.one = xp.ones_like(self.beta)
        self.u_scale = self._inverse(self.beta)
        self.P, sums = problem.adjoint(self.U, sumsq=True)
        norm = self._precondition(sums)
        self.alpha, self.v_scale = norm * self.u_scale, self._inverse(norm)
        self.normal = self.normal * self.u_scale

    def _inverse(self, norm):
        return divide(self.problem.xp, self.monitor.active, self.one, norm)

    def _precondition(self, sums):
        """Make V from a P of squared norm `sums`; returns the norm of V."""
        problem, xp = self.problem, self.problem.xp
        self.normal = xp.sqrt(sums)
        if problem.preconditioner is None:
            self.V = self.P
            return self.normal
        self.V = None  # frees its memory for the new one
        self.V = problem.precondition(self.P)
        gamma = problem.real_dot(self.P, self.V)
        good = gamma > 0
        self.monitor.end(~good & (sums > 0), BREAKDOWN)
        return xp.sqrt(xp.where(good, gamma, 0 * sums))

    def advance(self):
        """Make the next beta, u, alpha and v."""
        problem, vectors, xp = self.problem, self.problem.vectors, self.problem.xp
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
