"""What `regularizer` and `damp` of `solve` stand for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from .._core.arrays import namespace
from .._core.validation import number
from .._regularize.criteria import RULES
from ..operators._base import ShapedOperator
from ..operators._convolution import ConvLinearOperator
from ..operators._differences import DifferenceOperator, LaplacianOperator
from ..operators._foreign import as_operator

NAMES = ("identity", "gradient", "laplacian")


def is_identity(regularizer) -> bool:
    """Whether `damp` weights x itself."""
    named = isinstance(regularizer, str) and regularizer == "identity"
    return regularizer is None or named


def regularizers(given, op) -> list[ShapedOperator]:
    """The operators L that a regularizer stands for."""
    several = isinstance(given, (list, tuple))
    found = [_regularizer(one, op) for one in (given if several else [given])]
    if not found:
        raise ValueError(
            "regularizer must name at least one penalty, got an empty list"
        )
    return found


def _regularizer(given, op):
    if isinstance(given, str):
        return _named(given, op)
    if namespace(given) is not None and not isinstance(given, np.matrix):
        return _of_kernel(given, op)
    if sparse.issparse(given) or hasattr(given, "matvec"):
        found = as_operator(given)
        if found.shape[1] != op.shape[1]:
            raise ValueError(
                f"regularizer must take the {op.shape[1]} unknowns of op, got an "
                f"operator of shape {found.shape}"
            )
        return found
    raise TypeError(
        f"regularizer must be one of {', '.join(map(repr, NAMES))}, a kernel, a linear "
        f"operator or a list of these, got {type(given).__name__}"
    )


def _named(name, op):
    if name not in NAMES:
        listed = ", ".join(map(repr, NAMES))
        raise ValueError(
            f"regularizer must be one of {listed}, a kernel, a linear operator or a "
            f"list of these, got {name!r}"
        )
    real = np.empty(0, op.dtype).real.dtype
    xp = np if op.xp is None else op.xp
    if len(op.input_shape) not in (2, 3, 4):
        if name == "identity":
            return as_operator(sparse.eye_array(op.shape[1], dtype=real))
        raise ValueError(
            f"regularizer={name!r} needs an op on images, of input_shape (C, "
            f"*spatial), got {op.input_shape}; pass a linear operator"
        )
    if name == "identity":
        channels, ndim = op.input_shape[0], len(op.input_shape) - 1
        kernel = xp.ones((channels, 1, *(1,) * ndim), dtype=real)
        return ConvLinearOperator(kernel, op.input_shape, groups=channels)
    make = DifferenceOperator if name == "gradient" else LaplacianOperator
    wraps = any(part.geometry.wraps for part, _ in op.weighted_convolutions)
    boundary = "periodic" if wraps else "symmetric"
    return make(op.input_shape, boundary=boundary, dtype=real, xp=xp)


def _of_kernel(kernel, op):
    """A kernel for every channel, or one of all channels, without padding."""
    shape, ndim = op.input_shape, len(op.input_shape) - 1
    xp = namespace(kernel)
    if kernel.ndim == ndim:
        kernel = xp.broadcast_to(kernel, (shape[0], 1, *kernel.shape))
        return ConvLinearOperator(kernel, shape, groups=shape[0])
    if kernel.ndim == ndim + 2 and shape[0] % kernel.shape[1] == 0:
        return ConvLinearOperator(kernel, shape, groups=shape[0] // kernel.shape[1])
    raise ValueError(
        f"a regularizer's kernel must have the {ndim} spatial axes of op, or shape "
        f"(C_out, C_in // groups, *k), got shape {tuple(kernel.shape)} for input_shape "
        f"{tuple(shape)}"
    )


def damps(damp, penalties) -> list[float] | str:
    """One weight for each penalty, or the name of a rule for all of them."""
    if isinstance(damp, str):
        return damp
    several = isinstance(damp, Sequence) or getattr(damp, "ndim", 0) == 1
    found = [number(one, "damp") for one in (damp if several else [damp])]
    if len(found) == 1:
        found = found * len(penalties)
    if len(found) != len(penalties):
        raise ValueError(
            f"damp must be one weight, or one for each of {len(penalties)} "
            f"regularizers, got {len(found)}"
        )
    if not any(found):
        raise ValueError(
            "regularizer needs a damp larger than 0, or the name of a rule: "
            f"{', '.join(map(repr, RULES))}"
        )
    return found
