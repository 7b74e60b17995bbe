"""What a layer does not see: the projection onto its null space."""

import warnings

import numpy as np

from ._array import working_dtype
from ._operator import LAYERS
from ._polyphase import Polyphase
from ._result import ConvergenceWarning
from ._solve import solve
from ._spectral_inverse import remainder
from .solvers import METHODS

__all__ = ["project_nullspace"]


def project_nullspace(op, x, *, rtol=1e-10, method="auto", **options):
    """The orthogonal projection of x onto the null space of a layer: ``x - A^+ A x``.

    Parameters
    ----------
    op : ConvLinearOperator
        The layer ``A``, or the adjoint of one.
    x : array_like, shape (n,), op.input_shape or (..., *op.input_shape)
        One vector or a batch. Where a shape can be read in two ways, the shaped reading
        wins. It is not modified.
    rtol : float
        Where the null space is found by iterations, the tolerance of `convinv.solve`
        for ``A x``; it decides how exact the projection is.
    method, **options
        How `convinv.solve` finds ``A^+ A x`` there. The method has to find the solution
        of least norm, and takes no damp.

    Returns
    -------
    array
        Of the shape of `x`, in ``result_type(op, x)``.

    Raises
    ------
    TypeError, ValueError
        If `op` is no ConvLinearOperator, the shape of `x` does not fit, or the options
        would make something else of the result.

    Warns
    -----
    ConvergenceWarning
        If the iterations do not reach `rtol`.

    Notes
    -----
    For layers that are invariant under shifts around a torus (`convinv.spectra`) the
    projection is exact to rounding, one matrix of ``(C_in / groups * prod(stride))^2``
    entries per frequency; they are made once and kept with the operator. Others cost a
    solve: with ``r`` what is left of its residual, the result is off by up to ``||r||``
    divided by the smallest singular value that is not zero.

    A layer of full column rank has no null space: the result is zero, up to `rtol`.

    Examples
    --------
    >>> import numpy as np
    >>> import convinv
    >>> kernel = np.ones((1, 1, 2)) / 2  # averages of pairs
    >>> op = convinv.ConvLinearOperator(kernel, (1, 6), stride=2)
    >>> z = convinv.project_nullspace(op, [[5.0, 1, 2, 3, 4, 4]])
    >>> z.round(12) + 0.0
    array([[ 2. , -2. , -0.5,  0.5,  0. ,  0. ]])
    """
    x = _checked(op, x, method, options)
    dtype = np.result_type(op.dtype, working_dtype(x.dtype, "x"))
    wide = op.xp.ascontiguousarray(x.astype(dtype, copy=False))
    wide = wide.reshape(-1, op.shape[1])
    if Polyphase(op.layer.geometry).is_torus:
        key = ("null space", dtype)
        projection = op._kept(key, lambda: remainder(op.astype(dtype)))
        return projection.apply(wide).reshape(x.shape)
    b = op._forward(wide.reshape(-1, *op.input_shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = solve(op, b, method, rtol=rtol, **options)
    if not result.success:
        text = f"project_nullspace: {result.method}: {result.message}"
        warnings.warn(text, ConvergenceWarning, stacklevel=2)
    return (wide - result.x.reshape(wide.shape)).reshape(x.shape)


def _checked(op, x, method, options):
    """x as an array of the operator's library."""
    if not isinstance(op, LAYERS):
        raise TypeError(f"op must be a ConvLinearOperator, got {type(op).__name__}")
    for name in ("x0", "damp"):
        if name in options:
            raise ValueError(f"the projection takes no {name}")
    if method in METHODS and not METHODS[method].minimum_norm:
        raise ValueError(f"method {method!r} does not find the solution of least norm")
    x = op._own(x, "x")
    shape, n = op.input_shape, op.shape[1]
    if x.shape[max(x.ndim - len(shape), 0) :] != shape and x.shape != (n,):
        raise ValueError(
            f"x must have shape ({n},), {shape} or (..., {str(shape)[1:-1]}), "
            f"got {x.shape}"
        )
    if 0 in x.shape:
        raise ValueError(f"x holds no vector: its shape is {x.shape}")
    return x
