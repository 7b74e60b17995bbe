"""LSMR: least squares with a normal residual that never grows."""

from dataclasses import dataclass
from typing import Any

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._problem.items import CONVERGED, divide
from .._problem.recurrence import recurrence
from ._bidiagonal import Bidiagonalization, rotation
from ._iterate import iterate
from ._registry import solver


@solver(
    "lsmr",
    preconditioner=True,
    condition=True,
    storage=Storage(m=2, n=4, preconditioned_n=2, augmented=True, captured=True),
    products=Products(),
)
def lsmr(problem, monitor):
    r"""Golub-Kahan bidiagonalization that minimizes the normal residual.

    Take it where the solve is stopped early, by a loose `rtol` or by `maxiter`: the
    normal residual, which the stopping test watches, decreases in every iteration. On
    ill-conditioned operators it is as stable as `lsqr`.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        No keys of its own.

    Notes
    -----
    It is MINRES on the normal equations. The bidiagonalization is that of `lsqr`; two
    rotations per iteration turn its factor into a triangle and that into another one,
    with :math:`(c, s, \rho)` and :math:`(\bar c, \bar s, \bar\rho)`. Then, in terms of
    their entries :math:`\theta`, :math:`\bar\theta` and :math:`\zeta` [1]_,

    .. math::

        \bar h \leftarrow h - \frac{\bar\theta \rho}{\rho_- \bar\rho_-}\, \bar h,
        \qquad
        x \leftarrow x + \frac{\zeta}{\rho \bar\rho}\, \bar h, \qquad
        h \leftarrow v - \frac{\theta}{\rho}\, h ,

    with the values of the iteration before in :math:`\rho_-` and :math:`\bar\rho_-`.
    The norm of the normal residual is :math:`|\bar\zeta|`, where :math:`\bar\zeta
    \leftarrow -\bar s \bar\zeta`.

    With a preconditioner M, an approximation of :math:`(A^H A + \mathrm{damp}^2
    I)^{-1}` that is Hermitian positive definite, it is LSMR on :math:`A M^{1/2}`,
    computed with products with M only [2]_. The normal residual then decreases in the
    norm of M.

    - *Cost:* one product with A and one with :math:`A^H` per iteration.
    - *Storage:* two vectors of length m and four of length n beside b and x, six with a
      preconditioner.
    - *Convergence:* the normal residual falls below
      :math:`2 ((\kappa - 1) / (\kappa + 1))^k` times the first one, with
      :math:`\kappa` as in `cgls`. The residual decreases, too; the history holds its
      norm.
    - *Inconsistent or singular systems:* x converges to the least-squares solution of
      least norm, or to the one nearest to x0. With a preconditioner, least means in the
      norm of :math:`M^{-1}`'s inner product.
    - *Damping:* it runs on :math:`[A; \mathrm{damp}\, I]`, which stores n more numbers
      in every vector of length m. The residual is then that of this system.
    - *Departures from* [1]_: vectors are kept with the inverse of their norms, not
      normalized, which saves a pass over each. A batch runs in step. An item in which
      the bidiagonal factor is singular to rounding ends with the status STALLED.
      The factor gives estimates of the extreme singular values, for ``error_bound`` and
      `conlim`; the stopping tests are those of `convinv.solve`.

    References
    ----------
    .. [1] D. C.-L. Fong and M. Saunders, "LSMR: An iterative algorithm for sparse
       least-squares problems", SIAM Journal on Scientific Computing 33 (2011),
       2950-2971, doi:10.1137/10079687X.
    .. [2] S. R. Arridge, M. M. Betcke and L. Harhanen, "Iterated preconditioned LSQR
       method for inverse problems on unstructured grids", Inverse Problems 30 (2014),
       075009, doi:10.1088/0266-5611/30/7/075009.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "lsmr", rtol=1e-10)
    >>> result.success, bool(np.allclose(result.x, x))
    (True, True)
    """
    problem = problem.augmented()
    basis = Bidiagonalization(problem, monitor)
    one, zero = basis.one, 0 * basis.one
    state = _State(
        x=problem.zeros(problem.shape[1]),
        basis=basis,
        h=copy(basis.V),
        h_scale=basis.v_scale,
        h_bar=problem.zeros(problem.shape[1]),
        bar_scale=one,
        alpha_bar=basis.alpha,
        zeta_bar=basis.alpha * basis.beta,
        rho=one,
        rho_bar=one,
        c_bar=one,
        s_bar=zero,
        zeta=zero,
        above=zero,
        residual=_ResidualNorm(basis.beta, zero, one, zero, zero),
        direction=_NormalDirection(
            None if problem.preconditioner is None else copy(basis.P), basis.v_scale
        ),
    )
    monitor.end(state.zeta_bar == 0, CONVERGED)
    iterate(problem, monitor, _step, state)
    return state.x, {}


@dataclass
class _State:
    """The names are those of the paper.

    Its vectors h are ``h_scale * h`` here, and ``bar_scale * h_bar``.
    """

    x: Any
    basis: Bidiagonalization
    h: Any
    h_scale: Any
    h_bar: Any
    bar_scale: Any
    alpha_bar: Any
    zeta_bar: Any
    rho: Any
    rho_bar: Any
    c_bar: Any
    s_bar: Any
    zeta: Any
    above: Any  # the square of theta, above the diagonal
    residual: "_ResidualNorm"
    direction: "_NormalDirection"


def _step(problem, monitor, state):
    basis, items, direction = state.basis, monitor.items, state.direction
    sums = basis.advance()
    back, length, turn, residual, normal = _turn(problem.xp, state, items, *sums)
    state.h, state.h_bar, state.x = problem.vectors.three_term(
        state.h, back, state.h_bar, length, state.x, basis.V, turn
    )
    if direction.g is None:
        monitor.count(state.x, residual, normal)
    else:
        normal = normal * direction.update(problem, state)
        monitor.update(state.x, residual, normal)


@recurrence
def _turn(xp, state, items, sums, gamma):
    """The next rotations.

    Returns the coefficients of h_bar, x and h, and the norms of the residual and of the
    normal residual, without a preconditioner: else it is relative to the direction's.
    """
    basis = state.basis
    active = items.active  # items whose preconditioner fails move x a last time
    basis.lengthen(xp, items, sums, gamma)
    rho_old, rho_bar_old, zeta_old = state.rho, state.rho_bar, state.zeta
    c, s, rho = rotation(xp, state.alpha_bar, basis.beta)
    active = active & ~items.factor(rho * rho, state.above)
    theta, state.alpha_bar = s * basis.alpha, c * basis.alpha
    state.above = theta * theta
    theta_bar = state.s_bar * rho
    c_bar, s_bar, rho_bar = rotation(xp, state.c_bar * rho, theta)
    zeta, state.zeta_bar = c_bar * state.zeta_bar, -s_bar * state.zeta_bar
    # h_bar = h - (...) h_bar in units of h; h = v - (...) h in units of v
    back = theta_bar * rho * state.bar_scale
    back = -divide(xp, active, back, rho_old * rho_bar_old * state.h_scale)
    length = divide(xp, active, zeta * state.h_scale, rho * rho_bar)
    turn = -divide(xp, active, theta * state.h_scale, rho * basis.v_scale)
    state.bar_scale, state.h_scale = state.h_scale, basis.v_scale
    state.rho, state.rho_bar, state.zeta = rho, rho_bar, zeta
    state.c_bar, state.s_bar = c_bar, s_bar
    residual = state.residual.update(xp, c, s, theta_bar, rho_bar, zeta_old, zeta)
    normal = xp.abs(state.zeta_bar)
    if state.direction.g is None:
        items.judge(residual, normal)
    return back, length, turn, residual, normal


@dataclass
class _ResidualNorm:
    """``||r||`` from the rotations alone (section 5.1 of the paper)."""

    beta_dd: Any
    beta_d: Any
    rho_d: Any
    tau: Any
    theta: Any

    def update(self, xp, c, s, theta_bar, rho_bar, zeta_old, zeta):
        everywhere = c == c
        beta_hat, self.beta_dd = c * self.beta_dd, -s * self.beta_dd
        theta_old = self.theta
        c_tilde, s_tilde, rho_tilde = rotation(xp, self.rho_d, theta_bar)
        self.theta, self.rho_d = s_tilde * rho_bar, c_tilde * rho_bar
        self.beta_d = c_tilde * beta_hat - s_tilde * self.beta_d
        self.tau = divide(xp, everywhere, zeta_old - theta_old * self.tau, rho_tilde)
        tau_d = divide(xp, everywhere, zeta - self.theta * self.tau, self.rho_d)
        return xp.hypot(self.beta_d - tau_d, self.beta_dd)


@dataclass
class _NormalDirection:
    """The direction of ``A^H r``, whose norm in M's inner product is 1.

    The rotations do not tell its own norm, which the stopping test needs: with p the
    vectors that the v are made of, ``A^H r = zeta_bar g`` where ``g = c_bar p - s_bar
    g``.
    """

    g: Any  # the direction is scale * g; None without a preconditioner: the norm is 1
    scale: Any

    def update(self, problem, state):
        """The norm of the new direction."""
        basis = state.basis
        here, back = state.c_bar * basis.v_scale, -state.s_bar * self.scale
        self.g, sums = problem.vectors.axpby(here, basis.P, back, self.g)
        self.scale = basis.one
        return problem.xp.sqrt(sums)
