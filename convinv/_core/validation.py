"""Checks of what users give, with errors that name the argument."""

import math
import operator
from collections.abc import Iterable

import numpy as np

from .adapters import argument


def number(value, name: str, positive: bool = False) -> float:
    """A finite number that is not negative, or `positive`."""
    if type(value) not in (int, float):
        value = argument(value, name, "the call")
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a real number, got {value!r}") from None
    if not 0 <= found < math.inf or (positive and found == 0):
        kind = "positive" if positive else "not negative"
        raise ValueError(f"{name} must be finite and {kind}, got {value!r}")
    return found


def integer(value, name: str, least: int = 0) -> int:
    """An integer that is no less than `least`."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        found = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if found < least:
        raise ValueError(f"{name} must be at least {least}, got {found}")
    return found


def choice(value, name: str, choices: Iterable[str]) -> str:
    """One of some texts."""
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(map(repr, choices))
        raise ValueError(f"{name} must be one of {listed}, got {value!r}")
    return value


def boolean(value, name: str) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)
