"""Types of arguments: texts as numbers, sizes and boundaries."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

from .._core.boundaries import canonical_boundary


def numbers(text: str) -> tuple[float, ...]:
    """Numbers between commas."""
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be numbers with commas between them"
        ) from None


def sizes(text: str) -> tuple[int, ...]:
    """Positive integers between commas."""
    try:
        found = tuple(int(word) for word in text.split(","))
        if min(found) < 1:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be positive integers with commas between them"
        ) from None
    return found


def integer(text: str) -> int:
    """A positive integer."""
    found = sizes(text)
    if len(found) > 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be one positive integer")
    return found[0]


def per_axis(text: str) -> int | tuple[int, ...]:
    """One positive integer for all axes, or one each."""
    found = sizes(text)
    return found[0] if len(found) == 1 else found


def padding(text: str) -> Any:
    """``same``, ``valid``, a number for all axes, or ``N`` or ``BEFORE:AFTER`` each."""
    if text in ("same", "valid"):
        return text
    try:
        found = [tuple(map(int, word.split(":"))) for word in text.split(",")]
        if min(map(min, found)) < 0 or max(map(len, found)) > 2:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be same, valid, N, or N or BEFORE:AFTER for each axis with "
            "commas between them"
        ) from None
    if len(found) == 1 and len(found[0]) == 1:
        return found[0][0]
    return tuple((pair[0], pair[-1]) for pair in found)


def bounds(text: str) -> tuple[float, float]:
    """``LO,HI``, where either may be left out."""
    ends = text.split(",")
    try:
        low, high = (float(end) if end else None for end in ends)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be LO,HI, of which one may be left out, as in 0,"
        ) from None
    found = (
        -math.inf if low is None else low,
        math.inf if high is None else high,
    )
    if not found[0] < found[1]:
        raise argparse.ArgumentTypeError(f"{text!r}: LO must be below HI")
    return found


def number_or(*words: str) -> Callable[[str], float | str]:
    """A type: a number that is not negative, or one of some words."""

    def parse(text: str) -> float | str:
        if text in words:
            return text
        try:
            value = float(text)
            if not 0 <= value < math.inf:
                raise ValueError
        except ValueError:
            listed = ", ".join(["a number that is not negative", *words])
            raise argparse.ArgumentTypeError(
                f"{text!r} must be one of: {listed}"
            ) from None
        return value

    return parse


not_negative = number_or()


def boundary(text: str) -> str:
    """One of the five boundaries, also by the name that other packages have for it."""
    try:
        return canonical_boundary(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def boundary_or_unknown(text: str) -> str:
    """The same, or that the scene goes on beyond the frame in a way nobody knows."""
    return text if text == "unknown" else boundary(text)


def channel_axis(text: str) -> int | None:
    """An integer or ``none``."""
    if text == "none":
        return None
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be an integer or none"
        ) from None
