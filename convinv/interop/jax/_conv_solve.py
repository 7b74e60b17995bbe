"""conv_solve: the input of a layer from its output, for JAX to trace."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..._core.geometry import make_geometry
from ..._core.optional import optional
from ..._core.result import OnFailure, check_on_failure
from ..._core.typing import Padding, PerAxis, Shape
from ..._core.validation import number
from .._call import RTOL
from .._layer_map import LayerMap
from ._host import Settings, solve_gradients, solved
from ._products import leading

jax: Any = optional("jax", "convinv.interop.jax")

Array = Any  # of JAX, traced or not


def conv_solve(
    y: Array,
    kernel: Array,
    input_shape: Shape,
    *,
    bias: Array | None = None,
    damp: float | Array = 0.0,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    boundary: str = "zero",
    method: str = "auto",
    rtol: float | None = None,
    on_failure: OnFailure = "warn",
) -> Array:
    """The input of a convolution layer from its output, with gradients, under JAX.

    The x of least ``||A x + bias - y||^2 + damp^2 ||x||^2``, where A is what
    `conv_forward` does with these arguments; among several, that of least norm.

    Parameters
    ----------
    y : array, shape (..., C_out, *spatial)
        The output, or a batch of outputs.
    kernel : array, shape (C_out, C_in // groups, *k)
        With one, two or three spatial axes: that of `jax.lax.conv_general_dilated`, and
        of Flax and Equinox with its axes in this order.
    input_shape : tuple of int
        ``(C_in, *spatial)`` of one input: with a stride, inputs of several sizes have
        outputs of the same size.
    bias : array, shape (C_out,), optional
    damp : float or array of one number
        Tikhonov damping, not negative.
    stride, padding, dilation, groups, boundary
        As `convinv.ConvLinearOperator` takes them.
    method : str
        As `convinv.solve` takes it, for the solution; gradients take the exact inverse
        where there is one.
    rtol : float, optional
        Tolerance of the solve and of those for gradients, as in `convinv.solve`, by
        default 1e-10 in double precision; in single 1e-6, and 1e-5 for gradients.
    on_failure : {"warn", "raise", "ignore"}
        What to do where it is not reached, in the solve and in gradients. JAX raises an
        error of its own, with the text of ours in it.

    Returns
    -------
    array, shape (..., C_in, *spatial)
        In the dtype that y and the kernel have together; half precision is computed in
        float32 and comes back as y is.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or the shapes do not fit.
    ImportError
        If JAX is not installed.

    Warns
    -----
    ConvergenceWarning
        If the tolerance is not reached.

    Notes
    -----
    `jax.jit` and `jax.vmap` take it, and reverse-mode gradients (`jax.grad`, `jax.vjp`)
    by y, kernel, bias and damp, once: they are exact to the tolerance, for tall and
    wide layers, damped or not (Golub and Pereyra, "The differentiation of
    pseudo-inverses and nonlinear least squares problems whose variables separate",
    1973, DOI 10.1137/0710036). Under `jax.vmap` over y all items are one solve; over
    kernels or damps each is one.

    The solve runs on the host, on NumPy arrays, through `jax.pure_callback`; arrays of
    a GPU are copied there and back. What is set up to invert a kernel is kept until 16
    others have been inverted, or set up in more than 1 GiB; a kernel is known by its
    values.

    Examples
    --------
    >>> import jax
    >>> from convinv.interop.jax import conv_forward, conv_solve
    >>> kernel = jax.random.normal(jax.random.key(0), (8, 3, 3, 3))
    >>> x = jax.random.uniform(jax.random.key(1), (4, 3, 16, 16))
    >>> y = conv_forward(x, kernel)
    >>> found = jax.jit(lambda y: conv_solve(y, kernel, (3, 16, 16)))(y)
    >>> bool(abs(found - x).max() < 1e-4)
    True
    >>> loss = lambda kernel: (conv_solve(y, kernel, (3, 16, 16)) ** 2).sum()
    >>> jax.grad(loss)(kernel).shape
    (8, 3, 3, 3)
    """
    check_on_failure(on_failure)
    y, kernel = _floating(y, "y"), _floating(kernel, "kernel")
    geometry = make_geometry(
        kernel.shape,
        input_shape,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        boundary=boundary,
    )
    leading(y, "y", geometry.output_shape)
    given = jax.numpy.result_type(y, kernel)
    dtype = _computed(given)
    data = y.astype(dtype)
    if bias is not None:
        data = data - _along_channels(bias, geometry).astype(dtype)
    rtols = RTOL[_real(dtype).itemsize]
    if rtol is not None:
        rtols = number(rtol, "rtol"), number(rtol, "rtol")
    settings = Settings(LayerMap(geometry), method, *rtols, on_failure)
    x = _solve(settings, data, kernel.astype(dtype), _damping(damp, _real(dtype)))
    return x.astype(given)


def _floating(array: Array, name: str) -> Array:
    """An array of JAX with a dtype that has gradients."""
    array = jax.numpy.asarray(array)
    if not jax.numpy.issubdtype(array.dtype, jax.numpy.inexact):
        raise TypeError(
            f"{name} must be an array of floating or complex numbers, got dtype "
            f"{array.dtype}"
        )
    return array


def _computed(dtype: Any) -> np.dtype:
    """The dtype that is computed in."""
    return np.dtype("float32") if dtype.itemsize == 2 else np.dtype(dtype)


def _real(dtype: np.dtype) -> np.dtype:
    return np.empty(0, dtype).real.dtype


def _damping(damp: Any, dtype: np.dtype) -> Array:
    if isinstance(damp, (int, float, np.number)):
        damp = number(damp, "damp")
    damp = jax.numpy.asarray(damp)
    if damp.size != 1 or jax.numpy.iscomplexobj(damp):
        raise ValueError(
            f"damp must be one real number, got an array of dtype {damp.dtype} and "
            f"shape {damp.shape}"
        )
    return damp.reshape(()).astype(dtype)


def _along_channels(bias: Any, geometry: Any) -> Array:
    bias = jax.numpy.asarray(bias)
    if bias.shape != (geometry.c_out,):
        raise ValueError(f"bias must have shape ({geometry.c_out},), got {bias.shape}")
    return bias.reshape((geometry.c_out, *[1] * geometry.ndim))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _solve(settings: Settings, y: Array, kernel: Array, damp: Array) -> Array:
    """The solution, by a call of the host."""
    m = settings.layer_map
    lead = y.shape[: y.ndim - len(m.output_shape)]
    return jax.pure_callback(
        functools.partial(solved, settings, y.ndim),
        jax.ShapeDtypeStruct((*lead, *m.input_shape), y.dtype),
        y,
        kernel,
        damp,
        vmap_method="expand_dims",
    )


def _forward(settings: Settings, y: Any, kernel: Any, damp: Any) -> tuple[Array, Any]:
    """The solution, and what gradients need of it.

    Whether they are asked for by the kernel or damp is told by the kind of a container,
    the one thing beside arrays that JAX keeps.
    """
    values = y.value, kernel.value, damp.value
    x = _solve(settings, *values)
    return x, (x, *values, [] if kernel.perturbed or damp.perturbed else ())


def _backward(settings: Settings, kept: Any, g: Any) -> tuple[Array, ...]:
    x, y, kernel, damp, asked = kept
    parameters = isinstance(asked, list)
    like = (y, kernel, damp) if parameters else (y,)
    if isinstance(g, jax.custom_derivatives.SymbolicZero):
        return None, None, None
    found = jax.pure_callback(
        functools.partial(solve_gradients, settings, y.ndim, parameters),
        tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in like),
        g.conj(),
        x,
        y,
        kernel,
        damp,
        vmap_method="expand_dims",
    )
    found = tuple(a.conj() for a in found)
    return (*found, *[None] * (3 - len(found)))


_solve.defvjp(_forward, _backward, symbolic_zeros=True)
