"""LSQR: least squares by Golub-Kahan bidiagonalisation."""

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._problem.problem import CONVERGED, divide
from ._bidiagonal import Bidiagonalisation, rotation
from ._iterate import iterate
from ._registry import solver


@solver(
    "lsqr",
    preconditioner=True,
    condition=True,
    storage=Storage(m=2, n=3, preconditioned_n=1, augmented=True),
    products=Products(),
)
def lsqr(problem, monitor):
    """Golub-Kahan bidiagonalisation that minimises the residual.

    Paige and Saunders (1982). The iterates are those of CGLS, reached more stably where
    the operator is ill-conditioned. With `damp` it runs on ``[A; damp I]``, which
    stores n more numbers in every vector of length m. With a preconditioner M, an
    approximation of ``(A^H A + damp^2 I)^-1`` that is Hermitian positive definite, it
    is LSQR on ``A M^(1/2)``, without that root, and the minimum norm is that of
    ``M^-1``'s inner product.
    """
    problem = problem.augmented()
    xp, vectors = problem.xp, problem.vectors
    x = problem.zeros(problem.shape[1])
    basis = Bidiagonalisation(problem, monitor)
    w, w_scale = copy(basis.V), basis.v_scale
    phi_bar, rho_bar, above = basis.beta, basis.alpha, 0 * basis.one
    monitor.end(rho_bar == 0, CONVERGED)

    def iteration():
        nonlocal x, w, w_scale, phi_bar, rho_bar, above
        active = monitor.active  # items whose preconditioner fails move x a last time
        basis.advance()
        c, s, rho = rotation(xp, rho_bar, basis.beta)
        active = active & ~monitor.factor(rho * rho, above)
        theta, rho_bar = s * basis.alpha, -c * basis.alpha
        above = theta * theta
        length = divide(xp, active, c * phi_bar, rho)
        phi_bar = s * phi_bar
        # w = v - (theta / rho) w, in units of v
        back = -divide(xp, monitor.active, theta * w_scale, rho * basis.v_scale)
        x, w = vectors.step(length * w_scale, w, x, basis.V, back)
        w_scale = basis.v_scale
        # A^H r = -c phi_bar (alpha p), whatever inner product alpha is from
        monitor.update(x, xp.abs(phi_bar), xp.abs(phi_bar * basis.normal * c))

    iterate(problem, monitor, iteration, basis)
    return x, {}
