"""RSHK: steps along the normal residual, of the length that is right for x."""

from typing import Literal

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._problem.problem import CONVERGED, divide
from ._iterate import iterate
from ._registry import solver
from ._surrogate import Horizon


@solver(
    "rshk",
    damp=False,
    consistent_only=True,
    rate="gradient",
    attainable_rtol=1e-3,
    storage=Storage(m=2, n=2),
    products=Products(),
    by_setting={("step", "residual"): {"consistent_only": False}},
    variants={"residual": {"step": "residual"}},
)
def rshk(problem, monitor, *, step: Literal["error", "residual"] = "error"):
    """Residual-based surrogate hyperplane Kaczmarz.

    Wang and Yin (2023): ``y = A^H r; x += (||r||^2 / ||y||^2) y``, the projection onto
    the hyperplane ``(r^H A) x = r^H b``. On consistent systems it is gradient descent
    with the step that minimises the error of x, which decreases in every iteration by
    at least ``(kappa^2 - 1) / (kappa^2 + 1)``, with kappa the condition number. On
    inconsistent ones the steps do not get short and x keeps moving about the solution
    (its noise horizon): the method ends when the residual no longer falls.
    ``step="residual"`` takes ``||y||^2 / ||A y||^2`` instead, the step of steepest
    descent, and converges to the least-squares solution.
    """
    xp, vectors = problem.xp, problem.vectors
    x, r = problem.zeros(problem.shape[1]), copy(problem.b)
    squares = vectors.sumsq(r)
    y, normal = problem.first_normal_residual()
    horizon, q = Horizon(problem, monitor), None
    monitor.end(normal == 0, CONVERGED)

    def iteration():
        nonlocal x, r, y, q, squares, normal
        q, qq = problem.forward(y, sumsq=True, out=q)
        over, under = (squares, normal) if step == "error" else (normal, qq)
        alpha = divide(xp, monitor.active, over, under)
        x, _ = vectors.axpy(alpha, y, x)
        r, squares = vectors.axpy(-alpha, q, r)
        y, normal = problem.adjoint(r, sumsq=True, out=y)
        residual = xp.sqrt(squares)
        if step == "error":
            horizon(residual)
        monitor.update(x, residual, xp.sqrt(normal))

    iterate(problem, monitor, iteration, horizon, eager=horizon.due)
    return x, horizon.notes()
