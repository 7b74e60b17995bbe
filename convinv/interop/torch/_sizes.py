"""The sizes of a layer's input that fit its output."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from ..._core.geometry import padding_pairs
from .._layer_map import per_axis
from ._layers import ReadLayer

MODULE = "give input_shape to the module, or output_size to its forward"


def fitted(
    layer: ReadLayer,
    output: Sequence[int],
    output_size: Sequence[int] | None,
    way_out: str = MODULE,
) -> tuple[ReadLayer, tuple[int, ...]]:
    """The layer and the shape of its input for an output of shape ``(..., *spatial)``.

    With a stride several inputs have an output of the same size, and `output_size` says
    which; an error without it ends with `way_out` and those sizes. A transposed layer
    has one input for each output, from which its ``output_padding`` follows.
    """
    axes = layer.weight.ndim - 2
    if len(output) not in (axes + 1, axes + 2):
        raise ValueError(
            f"y must have {axes} spatial axes, shape (N, C, *spatial) or (C, "
            f"*spatial), got {tuple(output)}"
        )
    spatial = [int(n) for n in output[-axes:]]
    if layer.options.get("transposed"):
        layer, size = _transposed(layer, spatial)
        channels, choices = layer.weight.shape[0], [[n] for n in size]
    else:
        channels = layer.weight.shape[1] * layer.options.get("groups", 1)
        choices = [list(sizes) for sizes in _convolved(layer, spatial)]
    return layer, (int(channels), *_chosen(choices, spatial, output_size, way_out))


def _convolved(layer: ReadLayer, output: Sequence[int]) -> list[range]:
    """The sizes of each axis whose convolution has these outputs."""
    taps, axes = layer.weight.shape[2:], len(output)
    stride, dilation, pairs = _options(layer, axes)
    sizes = []
    for m, k, s, d, pair in zip(output, taps, stride, dilation, pairs):
        least = (m - 1) * s + d * (k - 1) + 1 - sum(pair)
        sizes.append(range(max(least, 1), least + s))
    return sizes


def _transposed(
    layer: ReadLayer, output: Sequence[int]
) -> tuple[ReadLayer, tuple[int, ...]]:
    taps, axes = layer.weight.shape[2:], len(output)
    stride, dilation, pairs = _options(layer, axes)
    size, extra = [], []
    for m, k, s, d, pair in zip(output, taps, stride, dilation, pairs):
        steps, rest = divmod(m + sum(pair) - d * (k - 1) - 1, s)
        size.append(steps + 1)
        extra.append(rest)
    if min(size) < 1:
        raise ValueError(f"y is smaller than any output of the layer: {tuple(output)}")
    options = {**layer.options, "output_padding": tuple(extra)}
    return replace(layer, options=options), tuple(size)


def _options(
    layer: ReadLayer, axes: int
) -> tuple[tuple[int, ...], tuple[int, ...], list[tuple[int, int]]]:
    stride = per_axis(layer.options.get("stride", 1), axes, "stride")
    dilation = per_axis(layer.options.get("dilation", 1), axes, "dilation")
    padding, taps = layer.options.get("padding", 0), layer.weight.shape[2:]
    return stride, dilation, padding_pairs(padding, axes, taps, dilation)


def _chosen(
    choices: list[list[int]],
    output: Sequence[int],
    wanted: Sequence[int] | None,
    way_out: str,
) -> tuple[int, ...]:
    words = " x ".join(
        f"{c[0]}" if len(c) == 1 else f"{c[0]}-{c[-1]}" for c in choices if c
    )
    if not all(choices):
        raise ValueError(f"no input of the layer has an output of size {tuple(output)}")
    if wanted is None:
        if all(len(c) == 1 for c in choices):
            return tuple(c[0] for c in choices)
        listed = [str(s) for s in itertools.islice(itertools.product(*choices), 9)]
        listed = listed[:8] + ["..."] * (len(listed) > 8)
        raise ValueError(
            f"inputs of several sizes have an output of size {tuple(output)}, because "
            f"of the stride: {way_out}, one of {', '.join(listed)}"
        )
    size = tuple(int(n) for n in wanted)[-len(choices) :]
    fits = len(size) == len(choices) and all(n in c for n, c in zip(size, choices))
    if not fits:
        raise ValueError(
            f"output_size must be of size {words} for an output of size "
            f"{tuple(output)}, got {tuple(wanted)}"
        )
    return size
