"""The operator that blurs a scene, and where the picture's frame is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core.boundaries import canonical_boundary
from .._core.validation import integer
from ..operators._convolution import ConvLinearOperator

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Camera:
    """The operator from a scene to the pictures, and the scene's part in the frame.

    Attributes
    ----------
    op : ConvLinearOperator
        With a group per channel of its input, and an output per exposure and channel.
    frame : tuple of slice
        The pixels of the scene that the result shows, along the spatial axes.
    """

    op: ConvLinearOperator
    frame: tuple[slice, ...]


def camera(spread, size, boundary, stride, dtype, xp: Any = np) -> Camera:
    """The camera for pictures of a size.

    With an unknown boundary the scene is larger than the frame by all pixels that reach
    it. A picture's pixel i sees the scene's pixel ``stride * i`` through the center of
    the point spread function.
    """
    taps, center = spread.size, spread.center
    shown = [n * q for n, q in zip(size, stride)]
    after = [k - 1 - c for k, c in zip(taps, center)]
    options: dict[str, Any] = {}
    if boundary == UNKNOWN:
        reach = [(n - 1) * q + k for n, q, k in zip(size, stride, taps)]
        scene = [max(r, a + n) for r, a, n in zip(reach, after, shown)]
        first = after
        padding: Any = 0
    else:
        scene, first = shown, [0] * len(size)
        padding = [(a, c) for a, c in zip(after, center)]
        options["boundary"] = canonical_boundary(boundary)
    kernels = spread.kernels  # exposures, channels, taps
    channels = kernels.shape[1]
    kernels = kernels.swapaxes(0, 1).reshape(-1, 1, *taps)
    op = ConvLinearOperator(
        xp.asarray(np.ascontiguousarray(kernels, dtype=np.empty(0, dtype).real.dtype)),
        (channels, *scene),
        stride=stride,
        padding=padding,
        groups=channels,
        flip=True,
        **options,
    )
    frame = tuple(slice(a, a + n) for a, n in zip(first, shown))
    return Camera(op, frame)


def strides(stride, axes) -> tuple[int, ...]:
    """One positive stride for each axis."""
    given = (stride,) * axes if np.ndim(stride) == 0 else tuple(stride)
    if len(given) != axes:
        raise ValueError(
            f"stride must be one integer or one for each of {axes} axes, got {stride!r}"
        )
    return tuple(integer(q, "stride", 1) for q in given)


def check_boundary(boundary) -> None:
    """Refuse what is neither "unknown" nor a boundary of operators."""
    if boundary == UNKNOWN:
        return
    try:
        canonical_boundary(boundary)
    except (TypeError, ValueError) as error:
        raise type(error)(f'{error}, or "unknown"') from None
