"""CG for Hermitian positive definite operators."""

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._problem.problem import BREAKDOWN, CONVERGED, INDEFINITE, divide
from ._iterate import iterate
from ._registry import solver


@solver(
    "cg",
    square=True,
    hermitian=True,
    needs_adjoint=False,
    damp=False,
    preconditioner=True,
    condition=True,
    storage=Storage(m=1, n=2),
    products=Products(1, 0),
)
def cg(problem, monitor):
    """Conjugate gradients for Hermitian positive definite operators.

    Hestenes and Stiefel (1952). The operator is probed with random vectors first and
    refused if it is not Hermitian; a direction of negative curvature ends the solve
    with the status INDEFINITE.
    """
    xp, vectors = problem.xp, problem.vectors
    x = problem.zeros(problem.shape[1])
    r = copy(problem.b)
    residual = vectors.sumsq(r)
    z = problem.precondition(r)
    gamma = residual if z is r else problem.real_dot(r, z)
    p, q, above = copy(z), None, problem.fill(0.0)
    del z  # frees its memory
    monitor.end(residual == 0, CONVERGED)

    def iteration():
        nonlocal x, r, p, q, gamma, above
        q = problem.forward(p, out=q)
        curvature = problem.real_dot(p, q)
        monitor.end(curvature < 0, INDEFINITE)
        monitor.end(~(curvature > 0), BREAKDOWN)
        monitor.factor(curvature / gamma, above, hermitian=True)
        alpha = divide(xp, monitor.active, gamma, curvature)
        r, residual = vectors.axpy(-alpha, q, r)
        z = problem.precondition(r)
        previous, gamma = gamma, residual if z is r else problem.real_dot(r, z)
        monitor.end(~(gamma >= 0), INDEFINITE)
        beta = divide(xp, monitor.active, gamma, previous)
        above = beta / alpha
        x, p = vectors.step(alpha, p, x, z, beta)
        monitor.update(x, xp.sqrt(residual))

    iterate(problem, monitor, iteration)
    return x, {}
