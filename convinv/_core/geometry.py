"""Shapes, stride, padding, dilation and groups of a convolution, as plain integers.

Nothing here touches an image: a :class:`Geometry` is built and asked for its shapes
in constant time and memory, however large the operator is.
"""

import math
from typing import NamedTuple

import numpy as np

from .boundaries import BOUNDARIES, canonical_boundary, padded_index
from .validation import integer


class Geometry(NamedTuple):
    """The integers that, with a kernel, define a convolution layer.

    One- and two-dimensional layers are stored as three-dimensional ones whose
    leading axes have size 1, so that every kernel is written once. All spatial
    tuples have length 3.

    With ``padded[q]`` the input extended by `before` and `after` samples (made as
    `boundary` says), the forward map is::

        y[o, i] = sum_{c, u} kernel[o, c, u] * padded[g * C_in / groups + c,
                                                     stride * i + dilation * u]

    where ``g`` is the group that output channel ``o`` belongs to.
    """

    c_in: int
    c_out: int
    groups: int
    input: tuple[int, int, int]
    kernel: tuple[int, int, int]
    output: tuple[int, int, int]
    stride: tuple[int, int, int]
    dilation: tuple[int, int, int]
    before: tuple[int, int, int]
    after: tuple[int, int, int]
    boundary: str
    ndim: int

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.c_in, *self.input[3 - self.ndim :])

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (self.c_out, *self.output[3 - self.ndim :])

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        channels = (self.c_out, self.c_in // self.groups)
        return channels + self.kernel[3 - self.ndim :]

    @property
    def wraps(self) -> bool:
        """Whether samples at opposite ends of the image are neighbors."""
        return BOUNDARIES[self.boundary].wraps and any(self.before + self.after)

    @property
    def padded(self) -> tuple[int, int, int]:
        """Sizes of the padded input."""
        a, b, c = (p + n + q for p, n, q in zip(self.before, self.input, self.after))
        return a, b, c

    @property
    def multiplications(self) -> int:
        """Multiplications in one product with one image (padded taps counted)."""
        taps = self.c_in // self.groups * math.prod(self.kernel)
        return self.c_out * math.prod(self.output) * taps


def make_geometry(
    kernel_shape, input_shape, *, stride, padding, dilation, groups, boundary
) -> Geometry:
    """Validate the arguments of a convolution layer and return its geometry."""
    kernel_shape = tuple(int(n) for n in kernel_shape)
    ndim = len(kernel_shape) - 2
    if ndim not in (1, 2, 3):
        hint = "; one filter alone is kernel[None, None]" if ndim in (-1, 0) else ""
        raise ValueError(
            "kernel must have shape (C_out, C_in // groups, *k) with one, two or "
            f"three spatial axes, got shape {kernel_shape}{hint}"
        )
    if min(kernel_shape) < 1:
        raise ValueError(f"kernel must not be empty, got shape {kernel_shape}")
    input_shape = _shape(input_shape, ndim)
    groups = integer(groups, "groups", 1)
    c_out, c_in = kernel_shape[0], input_shape[0]
    if c_in != kernel_shape[1] * groups:
        raise ValueError(
            f"input_shape has {c_in} channels, but a kernel of shape {kernel_shape} "
            f"with groups={groups} takes {kernel_shape[1] * groups}"
        )
    if c_out % groups:
        raise ValueError(
            f"groups must divide the number of output channels, got groups={groups} "
            f"and {c_out} output channels"
        )
    boundary = canonical_boundary(boundary)
    stride = _per_axis(stride, "stride", ndim, 1)
    dilation = _per_axis(dilation, "dilation", ndim, 1)
    size, taps = input_shape[1:], kernel_shape[2:]
    if isinstance(padding, str) and padding == "same" and max(stride) > 1:
        raise _same_with_stride(size, taps, stride, dilation)
    pairs = padding_pairs(padding, ndim, taps, dilation)
    output = []
    for axis in range(ndim):
        padded = size[axis] + sum(pairs[axis])
        reach = dilation[axis] * (taps[axis] - 1) + 1
        if padded < reach:
            raise ValueError(
                f"kernel does not fit on spatial axis {axis}: it reaches over {reach} "
                f"samples (size {taps[axis]}, dilation {dilation[axis]}), but the "
                f"padded input has {padded}"
            )
        output.append((padded - reach) // stride[axis] + 1)
    lead = (1,) * (3 - ndim)
    geometry = Geometry(
        c_in,
        c_out,
        groups,
        lead + size,
        lead + taps,
        lead + tuple(output),
        lead + stride,
        lead + dilation,
        (0,) * (3 - ndim) + tuple(p for p, _ in pairs),
        (0,) * (3 - ndim) + tuple(q for _, q in pairs),
        boundary,
        ndim,
    )
    _refuse_overflow(geometry)
    return geometry


def axis_index(geometry: Geometry, axis: int) -> np.ndarray:
    """`padded_index` of one of the three stored axes."""
    return padded_index(
        geometry.input[axis],
        geometry.before[axis],
        geometry.after[axis],
        geometry.boundary,
    )


def tap_samples(geometry: Geometry, axis: int) -> np.ndarray:
    """The sample under each tap of each output, -1 for none: (output, tap)."""
    g = geometry
    first = np.arange(g.output[axis])[:, None] * g.stride[axis]
    return axis_index(g, axis)[first + np.arange(g.kernel[axis]) * g.dilation[axis]]


def folds(index: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of an index map: the padded positions that show each sample.

    Returns ``(start, position)``: sample ``p`` stands at the padded positions
    ``position[start[p]:start[p + 1]]``, in increasing order.
    """
    shown = np.flatnonzero(index >= 0)
    order = np.argsort(index[shown], kind="stable")
    start = np.zeros(length + 1, dtype=np.int64)
    np.cumsum(np.bincount(index[shown], minlength=length), out=start[1:])
    return start, shown[order].astype(np.int64)


def _same_with_stride(size, taps, stride, dilation):
    """The error for "same" with a stride, which libraries understand differently."""
    totals = [d * (k - 1) for d, k in zip(dilation, taps)]
    upper = []
    for n, s, total in zip(size, stride, totals):
        more = max((-(-n // s) - 1) * s + total + 1 - n, 0)
        upper.append((more // 2, more - more // 2))
    whole = tuple((t // 2, t - t // 2) for t in totals)
    return ValueError(
        f"padding='same' needs stride 1, got stride {tuple(stride)}: for ONNX's "
        f"SAME_UPPER and TensorFlow's SAME pass padding={tuple(upper)}, for the "
        f"padding of stride 1 padding={whole}"
    )


def _shape(input_shape, ndim):
    try:
        shape = tuple(input_shape)
    except TypeError:
        raise TypeError(
            f"input_shape must be (C_in, *spatial), got {input_shape!r}"
        ) from None
    if len(shape) != ndim + 1:
        raise ValueError(
            f"input_shape must have {ndim + 1} entries (C_in and {ndim} spatial axes) "
            f"to match the kernel, got {shape}"
        )
    return tuple(integer(n, "input_shape entries", 1) for n in shape)


def _per_axis(value, name, ndim, least):
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{name} must be an int or one per axis, got {value!r}")
    values = _entries(value)
    if values is None:
        return (integer(value, name, least),) * ndim
    if len(values) != ndim:
        raise ValueError(
            f"{name} must be an int or a sequence of {ndim} (one per spatial axis), "
            f"got {value!r}"
        )
    return tuple(integer(v, name, least) for v in values)


def _entries(value):
    """Those of a sequence as a tuple, None for what is none."""
    if isinstance(value, int):  # compilers of PyTorch do not follow the attempt below
        return None
    try:
        return tuple(value)
    except TypeError:
        return None


def padding_pairs(padding, ndim, taps, dilation):
    """(before, after) of each axis."""
    if isinstance(padding, str):
        if padding == "valid":
            return [(0, 0)] * ndim
        if padding == "same":
            total = [d * (k - 1) for d, k in zip(dilation, taps)]
            return [(t // 2, t - t // 2) for t in total]
        raise ValueError(
            f"padding must be 'valid', 'same', an int, one per axis, or (before, "
            f"after) per axis, got {padding!r}"
        )
    entries = _entries(padding)
    if entries is None:
        return [(integer(padding, "padding", 0),) * 2] * ndim
    if len(entries) != ndim:
        hint = "; a 1-D operator takes ((before, after),)" if ndim == 1 else ""
        raise ValueError(
            f"padding must have one entry per spatial axis ({ndim}), "
            f"got {padding!r}{hint}"
        )
    pairs = []
    for entry in entries:
        pair = _entries(entry)
        pair = (entry, entry) if pair is None else pair
        if len(pair) != 2:
            raise ValueError(
                f"padding entries must be an int or (before, after), got {entry!r}"
            )
        pairs.append(tuple(integer(p, "padding", 0) for p in pair))
    return pairs


def _refuse_overflow(geometry):
    limit = 2**63
    sizes = {
        "padded input": geometry.c_in * math.prod(geometry.padded),
        "output": geometry.c_out * math.prod(geometry.output),
    }
    for name, size in sizes.items():
        if size >= limit:
            raise ValueError(f"the {name} has {size} samples, more than 2**63 - 1")
