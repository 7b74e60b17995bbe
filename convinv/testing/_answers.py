"""What solvers return, in whatever form, and what they say of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Answer:
    """The x of a solve, flat, and whether the solver calls it a success.

    Attributes
    ----------
    x : ndarray
    claims : bool or None
        None where the solver does not say.
    given : object
        What it returned.
    """

    x: np.ndarray
    claims: bool | None
    given: Any


def answer_of(given: Any) -> Answer:
    """Of an array, a pair of an array and something, or an object with ``x``."""
    if isinstance(given, tuple):
        x, claims = given[0], _claimed(given[1]) if len(given) == 2 else None
    elif hasattr(given, "x"):
        x, claims = given.x, _claimed(given)
    else:
        x, claims = given, None
    return Answer(np.asarray(x), claims, given)


def _claimed(info: Any) -> bool | None:
    """Success, of SciPy's codes (0 is success), results, and dicts."""
    if isinstance(info, dict):
        return next(
            (bool(info[k]) for k in ("success", "converged") if k in info), None
        )
    if isinstance(info, (bool, np.bool_)):
        return bool(info)
    if isinstance(info, (int, np.integer)):
        return info == 0
    for name in ("success", "converged"):
        if hasattr(info, name):
            return bool(getattr(info, name))
    return None


def keywords_of(function: Callable) -> set[str] | None:
    """The names of arguments that it takes by keyword, None if any."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY}
