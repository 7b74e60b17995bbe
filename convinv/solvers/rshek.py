"""RSHEK: RSHK for the consistent part of b, which it finds on the way."""

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._problem.problem import CONVERGED, divide
from ._iterate import iterate
from ._registry import solver


@solver(
    "rshek",
    rate="gradient",
    attainable_rtol=1e-3,
    storage=Storage(m=4, n=5, augmented=True),
    products=Products(2, 2),
    limits=("groups",),
)
def rshek(problem, monitor):
    """Residual-based surrogate hyperplane extended Kaczmarz.

    Zhang, Chen and Jiang (2024), built from its idea: with z, at first b, an `rshk`
    step on ``A^H z = 0``, so that z tends to the part of b outside the range of A, and
    then one on ``A x = b - z``. Both systems are consistent: x converges linearly to
    the least-squares solution of least norm, whatever b is.
    """
    problem = problem.augmented()
    xp, vectors = problem.xp, problem.vectors
    x, e = problem.zeros(problem.shape[1]), copy(problem.b)  # e = b - A x
    r = xp.zeros_like(e)  # b - z - A x
    w, size = problem.adjoint(e, sumsq=True)  # A^H z
    y = xp.zeros_like(w)  # A^H r
    one, v, u = problem.fill(1.0), None, None
    monitor.end(size == 0, CONVERGED)

    def iteration():
        nonlocal x, e, r, w, y, v, u, size
        v, vv = problem.forward(w, sumsq=True, out=v)
        u = problem.adjoint(v, out=u)
        alpha = divide(xp, monitor.active, size, vv)
        w, size = vectors.axpy(-alpha, u, w)
        y, yy = vectors.axpy(alpha, u, y)
        r, squares = vectors.axpy(alpha, v, r)
        alpha = divide(xp, monitor.active, squares, yy)
        x, _ = vectors.axpy(alpha, y, x)
        v = problem.forward(y, out=v)
        u = problem.adjoint(v, out=u)
        r, _ = vectors.axpy(-alpha, v, r)
        e, residual = vectors.axpy(-alpha, v, e)
        y, _ = vectors.axpy(-alpha, u, y)
        _, normal = vectors.axpby(one, w, one, copy(y))  # A^H e
        monitor.update(x, xp.sqrt(residual), xp.sqrt(normal))

    iterate(problem, monitor, iteration)
    return x, {}
