"""RSHK: steps along the normal residual, of the length that is right for x."""

from dataclasses import dataclass
from typing import Any, Literal

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._problem.items import CONVERGED, divide
from ._iterate import iterate
from ._registry import solver
from ._stagnation import StagnationTest


@solver(
    "rshk",
    damp=False,
    consistent_only=True,
    rate="gradient",
    attainable_rtol=1e-3,
    storage=Storage(m=2, n=2, captured=True),
    products=Products(),
    by_setting={("step", "residual"): {"consistent_only": False}},
    variants={"residual": {"step": "residual"}},
)
def rshk(problem, monitor, *, step: Literal["error", "residual"] = "error"):
    r"""Residual-based surrogate hyperplane Kaczmarz.

    Take it on consistent data where the error of x must fall in every iteration. It
    needs nothing of the operator but its products. `cgls` as a rule needs far fewer
    iterations.

    Parameters
    ----------
    step : {"error", "residual"}
        The length of the step: the one that minimizes the error of x on consistent
        data, or that of steepest descent, which minimizes the residual and converges on
        all data.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        No keys of its own.

    Notes
    -----
    An iteration is [1]_

    .. math::

        y = A^H r, \qquad x \leftarrow x + \frac{\|r\|^2}{\|y\|^2}\, y, \qquad
        r \leftarrow r - \frac{\|r\|^2}{\|y\|^2}\, A y ,

    the projection of x onto the hyperplane :math:`(r^H A) x = r^H b`. With
    ``step="residual"`` the factor is :math:`\|y\|^2 / \|A y\|^2`.

    - *Cost:* one product with A and one with :math:`A^H` per iteration.
    - *Storage:* two vectors of length m and two of length n, beside b and x.
    - *Convergence:* on consistent data the error of x falls in every iteration, at
      least by the factor :math:`(\kappa^2 - 1) / (\kappa^2 + 1)`, with :math:`\kappa`
      the condition number of A over its nonzero singular values. With
      ``step="residual"`` the factor is that of :math:`\|A (x_k - x)\|`. The history
      holds the norm of the residual.
    - *Inconsistent systems:* steps of ``"error"`` do not get shorter than
      :math:`\|r\| / \|A\|`, and x keeps moving about the solution (its noise horizon):
      the method ends with the status STALLED when the residual falls by less than 1 %
      in 100 iterations. ``"residual"`` converges to the least-squares solution.
    - *Singular systems:* x converges to the solution of least norm, or to the one
      nearest to x0.
    - *Damping:* it takes no `damp`; see `rshek`.
    - *Departures from* [1]_: ``step="residual"``, and the end at the noise horizon.

    References
    ----------
    .. [1] Z. Wang and J.-F. Yin, "A surrogate hyperplane Kaczmarz method for solving
       consistent linear equations", Applied Mathematics Letters 144 (2023), 108704.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> errors = []
    >>> result = solve(op, op.forward(x), "rshk", rtol=1e-4,
    ...                callback=lambda s: errors.append(np.linalg.norm(s.x - x)))
    >>> result.success, bool(np.all(np.diff(errors) < 0))
    (True, True)
    """
    if step not in ("error", "residual"):
        raise ValueError(f"step must be 'error' or 'residual', got {step!r}")
    state = _State(problem.zeros(problem.shape[1]), copy(problem.b), step)
    state.squares = problem.vectors.sumsq(state.r)
    state.y, state.normal = problem.first_normal_residual()
    state.stagnation = StagnationTest(problem, monitor)
    monitor.end(state.normal == 0, CONVERGED)
    iterate(problem, monitor, _step, state, on_host=state.stagnation.is_due)
    return state.x, state.stagnation.notes()


@dataclass
class _State:
    x: Any
    r: Any  # b - A x
    length: str  # the option `step`
    squares: Any = None  # ||r||^2
    y: Any = None  # A^H r
    normal: Any = None  # ||y||^2
    q: Any = None  # A y
    stagnation: Any = None


def _step(problem, monitor, state):
    xp, vectors = problem.xp, problem.vectors
    state.q, curvature = problem.forward(state.y, sumsq=True, out=state.q)
    over, under = state.squares, state.normal
    if state.length == "residual":  # not in the paper: steepest descent
        over, under = state.normal, curvature
    alpha = divide(xp, monitor.active, over, under)
    state.x, _ = vectors.axpy(alpha, state.y, state.x)
    state.r, state.squares = vectors.axpy(-alpha, state.q, state.r)
    state.y, state.normal = problem.adjoint(state.r, sumsq=True, out=state.y)
    residual = xp.sqrt(state.squares)
    if state.length == "error":
        state.stagnation(residual)
    monitor.update(state.x, residual, xp.sqrt(state.normal))
