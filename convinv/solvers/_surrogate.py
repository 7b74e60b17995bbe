"""Steps along a combination of many rows, each item of a batch with its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._core.arrays import copy
from .._problem.items import divide
from ._iterate import iterate
from ._stagnation import StagnationTest


def surrogate_hyperplanes(problem, monitor, select, *, momentum=0.0):
    """Project onto ``(eta^H A) x = eta^H b``, where eta is r on selected rows.

    ``select(r, ||r||^2)`` is a mask of these rows, shape (B, m). On the others eta is
    zero, so that ``eta^H r = ||eta||^2``. With `momentum` that multiple of the last
    change of x is added.
    """
    state = _State(
        x=problem.zeros(problem.shape[1]),
        r=copy(problem.b),
        squares=problem.vectors.sumsq(problem.b),
        select=select,
        momentum=momentum,
        stagnation=StagnationTest(problem, monitor),
    )
    iterate(problem, monitor, _step, state, on_host=state.stagnation.is_due)
    return state.x, state.stagnation.notes()


@dataclass
class _State:
    x: Any
    r: Any  # b - A x
    squares: Any  # ||r||^2
    select: Callable
    momentum: float
    stagnation: StagnationTest
    y: Any = None  # A^H eta
    q: Any = None  # A y
    change: Any = None  # the last change of x, with momentum
    image: Any = None  # A times that


def _step(problem, monitor, state):
    xp, vectors, r = problem.xp, problem.vectors, state.r
    eta = xp.where(state.select(r, state.squares), r, xp.zeros_like(r))
    size = vectors.sumsq(eta)
    state.y, norm = problem.adjoint(eta, sumsq=True, out=state.y)
    alpha = divide(xp, monitor.active, size, norm)
    state.q = problem.forward(state.y, out=state.q)
    if state.momentum:
        _add_momentum(problem, monitor, state, alpha)
        one = problem.fill(1.0)
        state.x, _ = vectors.axpy(one, state.change, state.x)
        state.r, state.squares = vectors.axpy(-one, state.image, r)
    else:
        state.x, _ = vectors.axpy(alpha, state.y, state.x)
        # the papers compute b - A x anew
        state.r, state.squares = vectors.axpy(-alpha, state.q, r)
    residual = xp.sqrt(state.squares)
    state.stagnation(residual)
    monitor.update(state.x, residual)


def _add_momentum(problem, monitor, state, alpha):
    """The change of x, ``alpha y`` and a multiple of the last one, and its image."""
    xp, vectors = problem.xp, problem.vectors
    beta = xp.where(monitor.active, problem.fill(state.momentum), 0 * alpha)
    if state.change is None:
        state.change, state.image = xp.zeros_like(state.y), xp.zeros_like(state.q)
    state.change, _ = vectors.axpby(alpha, state.y, beta, state.change)
    state.image, _ = vectors.axpby(alpha, state.q, beta, state.image)
