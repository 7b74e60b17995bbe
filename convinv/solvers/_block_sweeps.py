"""Sweeps of block Kaczmarz until they have solved the problem."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._core.arrays import copy
from ._iterate import iterate


def block_sweeps(problem, monitor, sweeps, stopping_test):
    """Sweep until the monitor stops it; returns x.

    ``sweeps.load(b)`` takes a right-hand side, which damped sweeps overwrite, and
    ``sweeps(x)`` makes a sweep from x, which may be overwritten. ``stopping_test(x,
    change, residual, normal)`` ends items of the monitor for other reasons after each
    sweep; `change` is that of x, the others are norms.
    """
    sweeps.load(_right_hand_side(problem))
    state = _State(problem.zeros(problem.shape[1]), sweeps, stopping_test)
    iterate(problem, monitor, _step, state, on_host=True)
    return _from_origin(problem, state.x)


@dataclass
class _State:
    x: Any  # from zero, also where the solve has a starting point and a damp
    sweeps: Any
    stopping_test: Callable


def _step(problem, monitor, state):
    xp = problem.xp
    new = state.sweeps(copy(state.x))
    change = new - state.x
    state.x = xp.where(monitor.active[:, None], new, state.x)
    d = _from_origin(problem, state.x)
    _, residual, normal = residuals(problem, d)
    monitor.update(d, residual, normal)
    state.stopping_test(new, change, residual, normal)
    if monitor.check_every == 1:  # else update looks, later
        monitor.recheck()


def residuals(problem, d):
    """The residual at d, its norm and that of the normal residual."""
    xp = problem.xp
    r, squared = problem.vectors.axpy(
        problem.fill(-1.0), problem.forward(d), copy(problem.b)
    )
    _, normal = problem.normal_residual(r, d)
    return r, xp.sqrt(squared), xp.sqrt(normal)


def _right_hand_side(problem):
    """A copy of b; for damped sweeps that of x = 0, whatever the starting point.

    They have to start at zero: the starting point would enter the result.
    """
    b = copy(problem.b)
    if problem.damp and problem.origin is not None:
        b, _ = problem.vectors.axpy(
            problem.fill(1.0), problem.forward(problem.origin), b
        )
    return b


def _from_origin(problem, x):
    return x - problem.origin if problem.damp and problem.origin is not None else x
