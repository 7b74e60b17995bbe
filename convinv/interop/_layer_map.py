"""The linear maps of layers, without their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._core.geometry import Geometry, make_geometry
from .._core.typing import AnyArray, Shape
from ..operators._base import ShapedOperator
from ..operators._convolution import ConvLinearOperator


@dataclass(frozen=True)
class LayerMap:
    """The linear map of a convolution or a transposed convolution, without its weight.

    Attributes
    ----------
    geometry : Geometry
        Of the convolution: a transposed one maps its outputs to its inputs.
    transposed : bool
        Whether it is the transpose (without conjugation) of the convolution.
    """

    geometry: Geometry
    transposed: bool = False

    # The properties of Geometry say the same, but compilers of PyTorch before 2.8 don't
    # find those of a named tuple.

    @property
    def input_shape(self) -> tuple[int, ...]:
        g = self.geometry
        return _shape(
            g, *((g.c_out, g.output) if self.transposed else (g.c_in, g.input))
        )

    @property
    def output_shape(self) -> tuple[int, ...]:
        g = self.geometry
        return _shape(
            g, *((g.c_in, g.input) if self.transposed else (g.c_out, g.output))
        )

    def operator(
        self, kernel: AnyArray, dtype: DTypeLike | None = None
    ) -> ShapedOperator:
        """The map with a kernel, of NumPy or CuPy."""
        g = self.geometry
        first = 3 - g.ndim
        op = ConvLinearOperator(
            kernel.conj() if self.transposed else kernel,
            g.input_shape,
            stride=g.stride[first:],
            padding=tuple(zip(g.before, g.after))[first:],
            dilation=g.dilation[first:],
            groups=g.groups,
            boundary=g.boundary,
            dtype=dtype,
        )
        return op.H if self.transposed else op


def _shape(g: Geometry, channels: int, axes: tuple[int, ...]) -> tuple[int, ...]:
    return (channels, *axes[3 - g.ndim :])


def layer_map(
    weight_shape: Shape,
    input_shape: Shape,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    transposed: bool = False,
) -> LayerMap:
    """The map of a layer with these options, which are named as PyTorch names them.

    `input_shape` is ``(C_in, *spatial)`` of the layer's input.
    """
    shape = tuple(int(n) for n in weight_shape)
    options = {"stride": stride, "dilation": dilation, "groups": groups}
    if not transposed:
        if any(per_axis(output_padding, len(shape) - 2, "output_padding")):
            raise ValueError("output_padding is for transposed=True alone")
        geometry = make_geometry(
            shape, input_shape, padding=padding, boundary=padding_mode, **options
        )
        return LayerMap(geometry)
    if padding_mode not in ("zeros", "zero"):
        raise ValueError(
            "a transposed convolution has padding_mode 'zeros' only, got "
            f"{padding_mode!r}"
        )
    spatial, pairs = _transposed_sizes(
        shape, input_shape, stride, padding, output_padding, dilation
    )
    geometry = make_geometry(
        shape, (shape[1] * groups, *spatial), padding=pairs, boundary="zero", **options
    )
    return LayerMap(geometry, transposed=True)


def _transposed_sizes(
    shape: tuple[int, ...],
    input_shape: Shape,
    stride: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """The output's spatial axes, and the padding of the convolution."""
    axes = len(shape) - 2
    stride = per_axis(stride, axes, "stride")
    ends = _pairs(padding, axes)
    extra = per_axis(output_padding, axes, "output_padding")
    dilation = per_axis(dilation, axes, "dilation")
    given = tuple(int(n) for n in input_shape)
    if len(given) != axes + 1 or given[0] != shape[0]:
        raise ValueError(
            f"input_shape must be ({shape[0]}, *spatial) with {axes} spatial axes to "
            f"match a weight of shape {shape}, got {given}"
        )
    sizes, pairs = [], []
    for n, s, (p, q), e, d, k in zip(
        given[1:], stride, ends, extra, dilation, shape[2:]
    ):
        if e >= max(s, d):
            raise ValueError(
                "output_padding must be smaller than stride or dilation, got "
                f"{e} with stride {s} and dilation {d}"
            )
        # the convolution must have n outputs: up to s - 1 samples after its last window
        after = q if e < s and q >= 0 else max(q - e, 0)
        if p < 0 or after + e - q >= s:
            what = f"padding {p} is negative"
            if p >= 0:
                what = f"output_padding {e} is larger than padding {q}"
            raise ValueError(
                f"{what}, with a stride of {s}: part of the output is not reached by "
                "the layer"
            )
        made = (n - 1) * s + d * (k - 1) + 1 - p - q + e
        if made < 1:
            raise ValueError(f"padding {p}, {q} leaves no output of {n} inputs")
        sizes.append(made)
        pairs.append((p, after))
    return tuple(sizes), tuple(pairs)


def _pairs(padding: Any, axes: int) -> list[tuple[int, int]]:
    """Padding before and after each axis, of numbers or pairs."""
    if not isinstance(padding, (int, np.integer)) and np.ndim(padding) == 2:
        return [(int(p), int(q)) for p, q in padding]
    return [(p, p) for p in per_axis(padding, axes, "padding")]


def per_axis(value: Any, axes: int, name: str) -> tuple[int, ...]:
    """One integer for each axis."""
    values = (value,) * axes if isinstance(value, (int, np.integer)) else tuple(value)
    if len(values) != axes or not all(isinstance(v, (int, np.integer)) for v in values):
        raise ValueError(f"{name} must be an int or one for each axis, got {value!r}")
    return tuple(int(v) for v in values)
