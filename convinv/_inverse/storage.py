"""Numbers that an application of an exact inverse holds for an item."""

import math

from ..operators._cells import cells_of, keeper
from .gram_inverse import side_of

TRANSFORM = 6  # vectors as long as its argument that an FFT on a device takes


def application_numbers(use, vectors, is_fft=True) -> float:
    """Of an inverse that holds so many vectors as long as the Gram matrix N."""
    m, n = use.op.shape
    # N is that of the layer or of its adjoint, whichever is smaller
    length = m if m < n else padded_length(use.op)
    transform = is_fft * transform_numbers(use, length)
    return vectors * length + transform + start_numbers(use)


def transform_numbers(use, length) -> float:
    """What an FFT of so many numbers takes."""
    return 0.0 if use.on_host else float(TRANSFORM * length)


def padded_length(op) -> int:
    """The unknowns of a layer, its image filled up to whole strides."""
    layer = cells_of(keeper(op))
    return layer.groups * layer.channels * math.prod(layer.cells)


def start_numbers(use) -> float:
    """What a start with damp adds for wide layers."""
    damped_wide = use.damped and side_of(use.op) == "output"
    return float(sum(use.op.shape)) if damped_wide else 0.0
