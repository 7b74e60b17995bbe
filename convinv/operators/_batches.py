"""Batches that operators are applied to: their shapes, and memory for results."""

import math

from .. import kernels
from .._core.arrays import contiguous, namespace


def batch_of(array, item):
    """A batch with its items in another shape."""
    return namespace(array).reshape(array, (array.shape[0], *item))


def checked_batch(array, name, item):
    """A batch of arrays of the shape `item`; refuses others."""
    if tuple(array.shape[1:]) != item:
        raise ValueError(
            f"{name} must have shape (B, {', '.join(map(str, item))}), got "
            f"{tuple(array.shape)}"
        )
    return array


def check_out(out, shape, dtype):
    """Refuse memory that a result of this shape and dtype can't be written to."""
    in_order = getattr(getattr(out, "flags", None), "c_contiguous", True)
    if tuple(out.shape) != shape or out.dtype != dtype or not in_order:
        raise ValueError(
            f"out must be a C-contiguous array of shape {shape} and dtype {dtype}, got "
            f"shape {tuple(out.shape)} and dtype {out.dtype}"
        )


def finished(result, out, sumsq):
    """What `ShapedOperator.apply` returns, from the product alone."""
    if out is not None:
        check_out(out, tuple(result.shape), result.dtype)
        out[...] = result
        result = out
    return (result, squared_norms(result)) if sumsq else result


def squared_norms(batch):
    """The squared norm of each item, summed in double precision."""
    xp, (count, *item) = namespace(batch), batch.shape
    if not count:
        return xp.zeros((0,), dtype=xp.float64)
    flat = contiguous(xp.reshape(batch, (count, math.prod(item))))
    return kernels.load("vectors", xp).sumsq(flat)


def common_shape(shapes):
    """Of shapes with one number of entries the first that is not flat, if one is."""
    return next((shape for shape in shapes if len(shape) > 1), shapes[0])


def shaped_product(array, name, taken, given, apply):
    """A product with an array of any number of leading axes, by one with a batch."""
    batch = array.shape[: max(array.ndim - len(taken), 0)]
    if array.shape != (*batch, *taken):
        raise ValueError(
            f"{name} must have shape (..., {', '.join(map(str, taken))}), "
            f"got {array.shape}"
        )
    flat = array.reshape((math.prod(batch), *taken))
    return apply(flat).reshape((*batch, *given))
