"""CGLS: conjugate gradients on the normal equations, which are never formed."""

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._problem.problem import BREAKDOWN, CONVERGED, divide
from ._iterate import iterate
from ._registry import solver


@solver(
    "cgls",
    preconditioner=True,
    condition=True,
    storage=Storage(m=2, n=2),
    products=Products(),
)
def cgls(problem, monitor):
    """Conjugate gradients for least squares.

    Hestenes and Stiefel (1952); the recurrences of Bjorck, "Numerical Methods for Least
    Squares Problems", section 7.4. The residual decreases in every iteration. With a
    preconditioner M, an approximation of ``(A^H A + damp^2 I)^-1`` that is Hermitian
    positive definite, it is preconditioned CG on the normal equations, and the minimum
    norm is that of M's inner product.
    """
    xp, vectors = problem.xp, problem.vectors
    x = problem.zeros(problem.shape[1])
    r = copy(problem.b)
    s, normal = problem.first_normal_residual()
    z = problem.precondition(s)
    gamma = normal if z is s else problem.real_dot(s, z)
    p = copy(z)
    del z  # frees its memory
    q, one, above = None, problem.fill(1.0), problem.fill(0.0)
    monitor.end(gamma == 0, CONVERGED)

    def iteration():
        nonlocal x, r, s, p, q, gamma, above
        q, delta = problem.forward(p, sumsq=True, out=q)
        if problem.damp:
            delta = delta + problem.damp**2 * vectors.sumsq(p)
        monitor.end(~(delta > 0), BREAKDOWN)
        monitor.factor(delta / gamma, above)
        alpha = divide(xp, monitor.active, gamma, delta)
        r, residual = vectors.axpy(-alpha, q, r)
        if problem.damp:  # the normal residual needs the new x
            x, _ = vectors.axpy(alpha, p, x)
        s, normal = problem.normal_residual(r, x, out=s)
        z = problem.precondition(s)
        previous, gamma = gamma, normal if z is s else problem.real_dot(s, z)
        monitor.end(~(gamma >= 0), BREAKDOWN)
        beta = divide(xp, monitor.active, gamma, previous)
        above = beta / alpha
        if problem.damp:
            p, _ = vectors.axpby(one, z, beta, p)
        else:
            x, p = vectors.step(alpha, p, x, z, beta)
        monitor.update(x, xp.sqrt(residual), xp.sqrt(normal))

    iterate(problem, monitor, iteration)
    return x, {}
