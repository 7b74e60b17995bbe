"""Priors that act on every entry alone, and what several of them are together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core.arrays import namespace
from .._core.typing import AnyArray
from ._priors import Proximal, Weighted


class L1(Weighted):
    """The sum of all magnitudes times ``weight``.

    Parameters
    ----------
    weight : float, optional
        Not negative; None where a solver is to choose it.

    Raises
    ------
    ValueError, TypeError
        If the weight is not such a number.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.proximal import L1
    >>> L1(0.5).prox(np.array([-2.0, 0.3]), 1.0)
    array([-1.5,  0. ])
    """

    def value(self, x: Any) -> Any:
        """``weight`` times the sum of the magnitudes."""
        return self.known_weight * abs(x).sum(dtype=np.float64)

    def prox(self, x: AnyArray, step: Any) -> AnyArray:
        """Magnitudes less ``step * weight``, zero where that is negative."""
        xp, size = namespace(x), abs(x)
        least = size.dtype.type(np.finfo(size.dtype).tiny)
        cut = xp.asarray(step * self.known_weight, dtype=size.dtype)
        return x * (xp.maximum(size - cut, 0) / xp.maximum(size, least))


class Box(Proximal):
    """The constraint that all entries are between two numbers.

    Parameters
    ----------
    low, high : float or None
        The bounds; None, or infinity, where there is none.

    Raises
    ------
    ValueError, TypeError
        If they are no such numbers, or `low` is not less than `high`.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.proximal import Box
    >>> Box(0, 1).prox(np.array([-1.0, 0.5, 2.0]), 0.1)
    array([0. , 0.5, 1. ])
    """

    def __init__(self, low: float | None, high: float | None):
        self.low = _bound(low, "low", -math.inf)
        self.high = _bound(high, "high", math.inf)
        if not self.low < self.high:
            raise ValueError(
                f"low must be less than high, got {self.low} and {self.high}"
            )

    def value(self, x: Any) -> float:
        """0 inside, infinity outside."""
        if x.dtype.kind == "c":
            raise TypeError("bounds are for real x, got a complex one")
        return 0.0 if bool(((x >= self.low) & (x <= self.high)).all()) else math.inf

    def prox(self, x: AnyArray, step: Any) -> AnyArray:
        """The nearest array inside."""
        if x.dtype.kind == "c":
            raise TypeError("bounds are for real x, got a complex one")
        return namespace(x).clip(x, self.low, self.high).astype(x.dtype, copy=False)


class NonNegative(Box):
    """The constraint that no entry is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.proximal import NonNegative
    >>> NonNegative().prox(np.array([-1.0, 2.0]), 0.1)
    array([0., 2.])
    """

    def __init__(self) -> None:
        super().__init__(0.0, None)


class _Both(Proximal):
    """Magnitudes and bounds: a threshold, then the nearest entry inside."""

    def __init__(self, size, box):
        self.size, self.box = size, box

    def value(self, x):
        return self.size.value(x) + self.box.value(x)

    def prox(self, x, step):
        return self.box.prox(self.size.prox(x, step), step)


def merged(priors) -> list:
    """The same priors, those of single entries as one.

    Entry by entry they are convex functions of a number, where bounds come last.
    Classes derived from these are left alone.
    """
    boxes = [p for p in priors if type(p) in (Box, NonNegative)]
    sizes = [p for p in priors if type(p) is L1]
    others = [p for p in priors if type(p) not in (Box, NonNegative, L1)]
    one = None
    if boxes:
        low, high = max(p.low for p in boxes), min(p.high for p in boxes)
        if not low < high:
            raise ValueError(
                f"no number satisfies all bounds: at least {low} and at most {high}"
            )
        one = boxes[0] if len(boxes) == 1 else Box(low, high)
    if sizes:
        size = L1(sum(p.known_weight for p in sizes))
        one = size if one is None else _Both(size, one)
    return others if one is None else [one, *others]


def _bound(value, name, default):
    if value is None:
        return default
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number or None, got {value!r}") from None
    if math.isnan(found):
        raise ValueError(f"{name} must be a number or None, got {value!r}")
    return found
