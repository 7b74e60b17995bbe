"""How padded samples are made: one entry for each boundary."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Boundary:
    """A way to make the samples beyond the ends of an axis.

    Attributes
    ----------
    index : callable
        ``index(q, length)``: the sample of an axis of `length` that stands at each
        position of the int64 array `q`, which may lie anywhere; -1 for a zero.
    aliases : tuple of str
        What NumPy, SciPy, PyTorch and ONNX call it, where that can mean nothing else.
    wraps : bool
        Whether samples at opposite ends become neighbors.
    """

    index: Callable[[np.ndarray, int], np.ndarray]
    aliases: tuple[str, ...] = ()
    wraps: bool = False


def _zero(q, length):
    return np.where((q >= 0) & (q < length), q, -1)


def _periodic(q, length):
    return q % length


def _reflect(q, length):
    if length == 1:
        return np.zeros_like(q)
    q = q % (2 * (length - 1))
    return np.minimum(q, 2 * (length - 1) - q)


def _symmetric(q, length):
    q = q % (2 * length)
    return np.minimum(q, 2 * length - 1 - q)


def _replicate(q, length):
    return np.clip(q, 0, length - 1)


# numpy.pad calls them constant, wrap, reflect, symmetric and edge.
BOUNDARIES = {
    "zero": Boundary(_zero, ("zeros", "constant", "fill")),
    "periodic": Boundary(_periodic, ("circular", "wrap", "grid-wrap"), wraps=True),
    "reflect": Boundary(_reflect, ("mirror",)),
    "symmetric": Boundary(_symmetric, ("symm", "grid-mirror")),
    "replicate": Boundary(_replicate, ("edge", "nearest")),
}
ALIASES = {alias: name for name, b in BOUNDARIES.items() for alias in b.aliases}


def padded_index(length: int, before: int, after: int, boundary: str) -> np.ndarray:
    """Index of the input sample at every padded position, -1 where it is zero.

    Padding wider than the image folds as often as it must.
    """
    q = np.arange(-before, length + after, dtype=np.int64)
    return BOUNDARIES[boundary].index(q, length)


def canonical_boundary(name) -> str:
    """The name of a boundary that may be given by an alias."""
    if isinstance(name, str):
        if name in BOUNDARIES:
            return name
        if name in ALIASES:
            return ALIASES[name]
    known = ", ".join(map(repr, BOUNDARIES))
    text = f"boundary must be one of {known}, got {name!r}"
    close = difflib.get_close_matches(str(name).lower(), [*BOUNDARIES, *ALIASES], 1)
    if isinstance(name, str) and close:
        text += f"; did you mean {ALIASES.get(close[0], close[0])!r}?"
    raise ValueError(text)
