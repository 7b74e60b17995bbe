"""Golub-Kahan bidiagonalization of a batch, the core of LSQR and LSMR."""

from dataclasses import dataclass, field
from typing import Any

from .._core.arrays import copy
from .._problem.items import BREAKDOWN, divide
from .._problem.recurrence import recurrence


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
    back : array, shape (B,)
        What of U the next one takes.

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
    back: Any = field(init=False)
    one: Any = field(init=False)
    _forward: Any = field(init=False, default=None)  # memory of the products
    _adjoint: Any = field(init=False, default=None)

    def __post_init__(self):
        problem, xp = self.problem, self.problem.xp
        self.U = copy(problem.b)
        self.beta = xp.sqrt(problem.vectors.sumsq(self.U))
        self.one = xp.ones_like(self.beta)
        self.u_scale = self._inverse(xp, self.monitor.items, self.beta)
        self.P, sums = problem.adjoint(self.U, sumsq=True)
        self.lengthen(xp, self.monitor.items, sums, self._precondition())
        # U is b, which u_scale has not been applied to yet
        self.alpha, self.normal = self.alpha * self.u_scale, self.normal * self.u_scale
        self.back = self.back * self.u_scale

    def _inverse(self, xp, items, norm):
        return divide(xp, items.active, 1.0, norm)

    def _precondition(self):
        """Make V from P; returns their product, the squared norm of V, or None."""
        if self.problem.preconditioner is None:
            self.V = self.P
            return None
        self.V = None  # frees its memory for the new one
        self.V = self.problem.precondition(self.P)
        return self.problem.real_dot(self.P, self.V)

    def advance(self):
        """Make the next beta, u and v but for the scale of v.

        Returns what `lengthen` takes in the recurrence of the method.
        """
        problem, vectors = self.problem, self.problem.vectors
        q = self._forward = problem.forward(self.V, out=self._forward)
        self.U, sums = vectors.axpby(self.v_scale, q, self.back, self.U)
        back = _turn(problem.xp, self, self.monitor.items, sums)
        q = self._adjoint = problem.adjoint(self.U, out=self._adjoint)
        self.P, sums = vectors.axpby(self.u_scale, q, back, self.P)
        return sums, self._precondition()

    def lengthen(self, xp, items, sums, gamma):
        """The next alpha and scale of v, from ``||P||^2`` and `_precondition`."""
        self.normal = self.alpha = xp.sqrt(sums)
        if gamma is not None:
            good = gamma > 0
            items.end(~good & (sums > 0), BREAKDOWN)
            self.alpha = xp.sqrt(xp.where(good, gamma, 0.0))
        self.v_scale = self._inverse(xp, items, self.alpha)
        self.back = -self.alpha * self.u_scale


@recurrence
def _turn(xp, basis, items, sums):
    """The next beta and scale of u; returns what of P the next one takes."""
    basis.beta = xp.sqrt(sums)
    basis.u_scale = basis._inverse(xp, items, basis.beta)
    return -basis.beta * basis.v_scale


def rotation(xp, a, b):
    """``(c, s, r)`` of the Givens rotation that turns ``(a, b)`` into ``(r, 0)``."""
    r = xp.hypot(a, b)
    safe = xp.where(r > 0, r, 1.0)
    return xp.where(r > 0, a / safe, 1.0), b / safe, r
