"""LSMR: least squares with a normal residual that never grows."""

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._problem.problem import CONVERGED, divide
from ._bidiagonal import Bidiagonalisation, rotation
from ._iterate import iterate
from ._registry import solver


@solver(
    "lsmr",
    preconditioner=True,
    condition=True,
    storage=Storage(m=2, n=4, preconditioned_n=2, augmented=True),
    products=Products(),
)
def lsmr(problem, monitor):
    """Golub-Kahan bidiagonalisation that minimises the normal residual.

    Fong and Saunders (2011): MINRES on the normal equations. ``||A^H r||`` decreases in
    every iteration, so that stopping early is safer than with CGLS or LSQR. With `damp`
    it runs on ``[A; damp I]``, which stores n more numbers in every vector of length m.
    With a preconditioner M, an approximation of ``(A^H A + damp^2 I)^-1`` that is
    Hermitian positive definite, it is LSMR on ``A M^(1/2)``, without that root: what
    decreases is the normal residual in M's norm, and the minimum norm is that of
    ``M^-1``'s inner product.
    """
    problem = problem.augmented()
    xp, vectors = problem.xp, problem.vectors
    x = problem.zeros(problem.shape[1])
    basis = Bidiagonalisation(problem, monitor)
    one = basis.one
    h, h_scale = copy(basis.V), basis.v_scale
    h_bar, bar_scale = problem.zeros(problem.shape[1]), one
    alpha_bar, zeta_bar = basis.alpha, basis.alpha * basis.beta
    rho = rho_bar = c_bar = one
    s_bar = zeta = above = 0 * one
    norm = _ResidualNorm(xp, basis.beta)
    gradient = _Gradient(problem, basis)
    monitor.end(zeta_bar == 0, CONVERGED)

    def iteration():
        nonlocal x, h, h_scale, h_bar, bar_scale, alpha_bar, zeta_bar
        nonlocal rho, rho_bar, c_bar, s_bar, zeta, above
        active = monitor.active  # items whose preconditioner fails move x a last time
        basis.advance()
        previous, previous_bar, zeta_old = rho, rho_bar, zeta
        c, s, rho = rotation(xp, alpha_bar, basis.beta)
        active = active & ~monitor.factor(rho * rho, above)
        theta, alpha_bar = s * basis.alpha, c * basis.alpha
        above = theta * theta
        theta_bar = s_bar * rho
        c_bar, s_bar, rho_bar = rotation(xp, c_bar * rho, theta)
        zeta, zeta_bar = c_bar * zeta_bar, -s_bar * zeta_bar
        # h_bar = h - (...) h_bar in units of h; h = v - (...) h in units of v
        back = theta_bar * rho * bar_scale
        back = -divide(xp, active, back, previous * previous_bar * h_scale)
        length = divide(xp, active, zeta * h_scale, rho * rho_bar)
        turn = -divide(xp, active, theta * h_scale, rho * basis.v_scale)
        h, h_bar, x = vectors.three_term(h, back, h_bar, length, x, basis.V, turn)
        bar_scale, h_scale = h_scale, basis.v_scale
        residual = norm.update(c, s, theta_bar, rho_bar, zeta_old, zeta)
        normal = xp.abs(zeta_bar) * gradient.update(c_bar, s_bar)
        monitor.update(x, residual, normal)

    iterate(problem, monitor, iteration, basis, norm, gradient)
    return x, {}


class _Gradient:
    """The direction of ``A^H r``, whose norm in M's inner product is 1.

    Its own norm is not to be had from the rotations: with p the vectors that the v are
    made of, ``A^H r = zeta_bar g`` where ``g = c_bar p - s_bar g``.
    """

    def __init__(self, problem, basis):
        self.basis, self.vectors = basis, problem.vectors
        self.plain = problem.preconditioner is None
        self.g, self.scale = None if self.plain else copy(basis.P), basis.v_scale

    def update(self, c_bar, s_bar):
        """The norm of the new direction; 1 without a preconditioner."""
        if self.plain:
            return self.basis.one
        here, back = c_bar * self.basis.v_scale, -s_bar * self.scale
        self.g, sums = self.vectors.axpby(here, self.basis.P, back, self.g)
        self.scale = self.basis.one
        return self.basis.xp.sqrt(sums)


class _ResidualNorm:
    """``||r||`` from the rotations alone (Fong and Saunders, section 5.1)."""

    def __init__(self, xp, beta):
        self.xp, self.beta_dd, self.beta_d = xp, beta, 0 * beta
        self.rho_d, self.tau, self.theta = 0 * beta + 1, 0 * beta, 0 * beta

    def update(self, c, s, theta_bar, rho_bar, zeta_old, zeta):
        xp, everywhere = self.xp, c == c
        beta_hat, self.beta_dd = c * self.beta_dd, -s * self.beta_dd
        theta_old = self.theta
        c_tilde, s_tilde, rho_tilde = rotation(xp, self.rho_d, theta_bar)
        self.theta, self.rho_d = s_tilde * rho_bar, c_tilde * rho_bar
        self.beta_d = c_tilde * beta_hat - s_tilde * self.beta_d
        self.tau = divide(xp, everywhere, zeta_old - theta_old * self.tau, rho_tilde)
        tau_d = divide(xp, everywhere, zeta - self.theta * self.tau, self.rho_d)
        return xp.hypot(self.beta_d - tau_d, self.beta_dd)
