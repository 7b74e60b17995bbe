"""Weights and masks of the data, and what they make of data and operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from .._core.arrays import namespace
from ..operators._diagonal import DiagonalOperator
from ..operators._stacked import StackedOperator
from ..operators._weighted import WeightedConvolution


@dataclass(frozen=True)
class Weights:
    """Weights of the data and the data themselves, without entries that do not count.

    `weights` is None for weights of 1; its shape is that of b, or of one item.
    """

    weights: Any
    b: Any


def weighted_data(op, b, weights, mask) -> Weights:
    """What weights and a mask, or the mask of a masked array, make of the data."""
    xp = namespace(b)
    if sparse.issparse(b):
        b, xp = b.toarray(), np
    kept = None
    if isinstance(b, np.ma.MaskedArray):
        if np.ma.is_masked(b):
            kept = ~np.ma.getmaskarray(b)
        b = np.asarray(b.data)
    b = np.asarray(b) if xp is None else b
    xp = namespace(b)
    if mask is not None:
        mask = _entries(xp, op, b, mask, "mask")
        if mask.dtype != bool:
            raise TypeError(
                f"mask must hold True (used) and False, got dtype {mask.dtype}; for "
                "weights between 0 and 1 there is weights="
            )
        kept = mask if kept is None else mask & kept
    found = None
    if weights is not None:
        found = _entries(xp, op, b, weights, "weights")
        real = found.dtype.kind in "fiub"
        if not real or not bool(((found >= 0) & (found < np.inf)).all()):
            raise ValueError("weights must be real, finite and not negative")
        found = found.astype(np.float64)
    if kept is not None:
        found = kept.astype(np.float64) * (1.0 if found is None else found)
    if found is not None:
        if not bool((found > 0).any()):
            raise ValueError("mask and weights leave no datum: all of them are zero")
        counts = xp.broadcast_to(found > 0, b.shape)
        b = xp.where(counts, b, xp.zeros_like(b))
    return Weights(found, b)


def _entries(xp, op, b, values, name):
    """An array of one number per datum, in b's library."""
    values = values if namespace(values) is xp else xp.asarray(values)
    m, shape = op.shape[0], tuple(op.output_shape)
    if tuple(values.shape) == (m,) and tuple(b.shape) != (m,):
        values = values.reshape(shape)
    target = tuple(b.shape) if tuple(b.shape)[-len(shape) :] == shape else (m,)
    try:
        item = target[len(target) - len(shape) :] if target != (m,) else target
        if np.broadcast_shapes(values.shape, item) == item:
            return xp.broadcast_to(values, item)
        if np.broadcast_shapes(values.shape, target) == target:
            return xp.broadcast_to(values, target)
    except ValueError:
        pass
    raise ValueError(
        f"{name} must have the shape of one item of b, {shape}, or broadcast to it or "
        f"to b, of shape {tuple(b.shape)}; got {tuple(values.shape)}"
    )


def weighted(op, weights):
    """``W^(1/2) A``."""
    if weights is None:
        return op
    root = np.sqrt(weights.reshape(op.output_shape))
    if op.is_convolution:
        return WeightedConvolution(op, root)
    if isinstance(op, StackedOperator) and op.convolutions:
        parts = zip(op.operators, op.split(root))
        return StackedOperator([weighted(one, part**2) for one, part in parts])
    return DiagonalOperator(root) @ op
