"""Whether a layer's output determines its input, kept with the layer's operator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..._core.arrays import to_numpy
from ..._core.random_vectors import unit_vector
from ...operators._base import ShapedOperator
from ...spectra._smallest import smallest_singular_value
from .._layer_map import LayerMap
from .._setups import OPERATORS
from ._tensors import array_of

STEPS = 12  # of the power method
ZERO = 8  # roundings of the norm, up to which a singular value may be 0


@dataclass(frozen=True)
class Ends:
    """The ends of a layer's singular values, about.

    Attributes
    ----------
    largest : float
    smallest : float
        0 where there are less outputs than inputs, or inputs without an output.
    zero : float
        The size of rounding, in the weight's dtype, of singular values.
    """

    largest: float
    smallest: float
    zero: float

    @property
    def determined(self) -> bool:
        """Whether no input but 0 has an output of the size of rounding."""
        return self.smallest > self.zero

    @property
    def condition(self) -> float:
        return self.largest / self.smallest if self.smallest else math.inf


def ends(layer_map: LayerMap, weight: Tensor) -> Ends:
    """Those of the layer with a weight, made once for each value of it."""
    op = OPERATORS.operator(layer_map, array_of(weight))
    eps = float(np.finfo(op.dtype).eps)

    def make() -> Ends:
        host = _host(layer_map, weight)
        largest = _largest(host)
        smallest = 0.0
        if host.shape[0] >= host.shape[1] and largest and _is_seen(host):
            smallest = _smallest(layer_map, host, largest)
        return Ends(largest, smallest, ZERO * max(eps, 1e-13) * largest)

    return op.cached(("ends of the singular values",), make)


def _host(layer_map: LayerMap, weight: Tensor) -> ShapedOperator:
    kernel = to_numpy(array_of(weight))
    wide = np.result_type(kernel.dtype, np.float64)
    return layer_map.operator(kernel.astype(wide))


def _largest(op: ShapedOperator) -> float:
    """The largest singular value, a little less."""
    v = unit_vector(np.random.default_rng(0), op.shape[1], op.dtype)
    v, norm = v.reshape(1, *op.input_shape), 0.0
    for _ in range(STEPS):
        v = op.apply_adjoint(op.apply(v))
        norm = float(np.linalg.norm(v))
        if not norm:
            return 0.0
        v = v / norm
    return math.sqrt(norm)


def _smallest(layer_map: LayerMap, op: ShapedOperator, largest: float) -> float:
    """The smallest singular value, a little more."""
    g = layer_map.geometry
    if max(*g.kernel, *g.stride) == 1 and not any(g.before + g.after):
        matrices = op.layer.kernel.reshape(g.groups, g.c_out // g.groups, -1)
        return float(np.linalg.svd(matrices, compute_uv=False).min())
    found = smallest_singular_value(op, largest, 0)
    # with an error of its own size it may be 0
    return found.value if found.error < found.value / 2 else 0.0


def _is_seen(op: ShapedOperator) -> bool:
    """Whether every input has a part in some output."""
    layer = op.layer
    sizes = layer.with_kernel(np.abs(layer.kernel))
    sizes = sizes if op is layer else sizes.H
    ones = np.ones((1, *op.output_shape), sizes.dtype)
    return bool((sizes.apply_adjoint(ones) > 0).all())
