"""Products of a layer in JAX's own operations, which it differentiates and batches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..._core.geometry import Geometry, axis_index, make_geometry
from ..._core.optional import optional
from ..._core.typing import Padding, PerAxis, Shape

jax: Any = optional("jax", "convinv.interop.jax")

Array = Any  # of JAX, traced or not


def conv_forward(
    x: Array,
    kernel: Array,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    boundary: str = "zero",
) -> Array:
    """What a convolution layer does to its input, as JAX's own operations.

    The product of `convinv.ConvLinearOperator` with these arguments, for JAX to trace,
    differentiate and compile.

    Parameters
    ----------
    x : array, shape (..., C_in, *spatial)
    kernel : array, shape (C_out, C_in // groups, *k)
        With one, two or three spatial axes.
    stride, padding, dilation, groups, boundary
        As `convinv.ConvLinearOperator` takes them.

    Returns
    -------
    array, shape (..., C_out, *spatial)

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or the shapes do not fit.

    Examples
    --------
    >>> import jax
    >>> from convinv.interop.jax import conv_forward
    >>> kernel = jax.numpy.ones((1, 1, 3))
    >>> x = jax.numpy.arange(5.0)[None]
    >>> print(conv_forward(x, kernel, padding=1, boundary="periodic"))
    [[5. 3. 6. 9. 7.]]
    """
    x, kernel = jax.numpy.asarray(x), jax.numpy.asarray(kernel)
    g = make_geometry(
        kernel.shape,
        x.shape[max(x.ndim - kernel.ndim + 1, 0) :],
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        boundary=boundary,
    )
    return correlated(g, x, kernel)


def conv_adjoint(
    y: Array,
    kernel: Array,
    input_shape: Shape,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    boundary: str = "zero",
) -> Array:
    """The adjoint of `conv_forward`, a transposed convolution.

    Parameters
    ----------
    y : array, shape (..., C_out, *spatial)
    kernel : array, shape (C_out, C_in // groups, *k)
    input_shape : tuple of int
        ``(C_in, *spatial)`` of one input of the layer.
    stride, padding, dilation, groups, boundary
        As `convinv.ConvLinearOperator` takes them.

    Returns
    -------
    array, shape (..., C_in, *spatial)

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or the shapes do not fit.

    Examples
    --------
    >>> import jax
    >>> from convinv.interop.jax import conv_adjoint
    >>> print(conv_adjoint(jax.numpy.ones((1, 3)), jax.numpy.ones((1, 1, 3)), (1, 5)))
    [[1. 2. 3. 2. 1.]]
    """
    y, kernel = jax.numpy.asarray(y), jax.numpy.asarray(kernel)
    g = make_geometry(
        kernel.shape,
        input_shape,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        boundary=boundary,
    )
    lead = leading(y, "y", g.output_shape)
    dtype = jax.numpy.result_type(y, kernel)
    like = jax.ShapeDtypeStruct((*lead, *g.input_shape), dtype)
    turned = kernel.astype(dtype).conj()
    transpose = jax.linear_transpose(lambda x: correlated(g, x, turned), like)
    return transpose(y.astype(dtype))[0]


def leading(array: Array, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of an array before those of an item."""
    lead = tuple(array.shape[: max(array.ndim - len(shape), 0)])
    if tuple(array.shape) != (*lead, *shape):
        inner = ", ".join(map(str, shape))
        raise ValueError(
            f"{name} must have shape (..., {inner}), got {tuple(array.shape)}"
        )
    return lead


def correlated(g: Geometry, x: Array, kernel: Array) -> Array:
    """The layer's output, for any leading axes of x."""
    lead = x.shape[: x.ndim - g.ndim - 1]
    dtype = jax.numpy.result_type(x, kernel)
    x = x.reshape((math.prod(lead), *g.input_shape)).astype(dtype)
    first = 3 - g.ndim
    padding: Any = list(zip(g.before, g.after))[first:]
    if g.boundary != "zero":
        for axis in range(first, 3):
            if g.before[axis] or g.after[axis]:
                index = np.asarray(axis_index(g, axis))
                x = jax.numpy.take(x, index, axis=axis - 3 + x.ndim)
        padding = [(0, 0)] * g.ndim
    y = jax.lax.conv_general_dilated(
        x,
        kernel.astype(dtype),
        window_strides=g.stride[first:],
        padding=padding,
        rhs_dilation=g.dilation[first:],
        feature_group_count=g.groups,
    )
    return y.reshape((*lead, *y.shape[1:]))
