"""The projection onto the null space of a layer."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from .._closed_forms.forms import closed_form
from .._core.adapted_calls import adapts
from .._core.arrays import to_numpy, working_dtype
from .._core.result import ConvergenceWarning
from .._core.typing import AnyArray, ArrayInput, OperatorInput
from ..operators._base import check_layer
from ..operators._polyphase import Polyphase
from ..solvers import METHODS
from .front import solve

# Size of the shorter side, and entries, up to which the dense matrix is decomposed.
DENSE, DENSE_ENTRIES = 600, 2**22
ROUNDS, PROGRESS = 20, 0.5  # solves for what is left, while that shrinks by a factor
FLOOR = 8  # rounding errors of ||A|| ||x|| that no residual can go below


@adapts("x", side="input")
def project_nullspace(
    op: OperatorInput,
    x: ArrayInput,
    *,
    rtol: float = 1e-10,
    method: str = "auto",
    **options: Any,
) -> AnyArray:
    """The orthogonal projection of x onto the null space of a layer: ``x - A^+ A x``.

    Parameters
    ----------
    op : ConvLinearOperator
        The layer ``A``, or the adjoint of one.
    x : array_like, shape (n,), op.input_shape or (..., *op.input_shape)
        One vector or a batch. Where a shape can be read in two ways, the shaped reading
        wins. It is not modified.
    rtol : float
        Where the null space is found by iterations, what ``||A z||`` may be of ``||A
        x||``, with z the result; it decides how exact the projection is.
    method, **options
        How `convinv.solve` finds ``A^+ A x`` there. The method has to find the solution
        of least norm, and takes no damp. A method named is used for small layers, too.

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
        If ``||A z|| <= rtol ||A x||`` is not reached.

    Notes
    -----
    For layers that are invariant under shifts around a torus (`convinv.spectra`) the
    projection is exact to rounding, one matrix of ``(C_in / groups * prod(stride))^2``
    entries per frequency. It is also for those with up to 600 unknowns or data and
    2**22 entries, whose matrix is decomposed. Both are made once and kept with the
    operator.

    Others cost solves in double precision, whatever the dtypes are: ``A x`` is in the
    range of the layer, so one after the other is made for what is left of it until
    `rtol` is reached, or a few rounding errors of ``||A|| ||x||``. The result is then
    off by up to ``||A z||`` divided by the smallest singular value that is not zero: a
    layer of condition number c loses about as many digits as c has.

    A layer of full column rank has no null space: the result is zero, up to that.

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
        form: Any = closed_form(op.astype(dtype))  # a torus has one
        projection = op.cached(key, form.remainder)
        return projection.apply(wide).reshape(x.shape)
    double = np.result_type(dtype, np.float64)
    wide = wide.astype(double, copy=False)
    if method == "auto" and _is_small(op):
        seen = op.cached(("null space", "dense"), lambda: _row_space(op))
        z = wide - (wide @ seen.T) @ seen.conj()
    else:
        z = _remainder(op.astype(double), wide, method, rtol, options)
    return z.astype(dtype, copy=False).reshape(x.shape)


def _is_small(op):
    return min(op.shape) <= DENSE and math.prod(op.shape) <= DENSE_ENTRIES


def _row_space(op):
    """The right singular vectors ``V`` in double precision: ``V x`` is what is seen.

    Singular values that rounding of the kernel
    could have made count as zero.
    """
    matrix = op.astype(np.result_type(op.dtype, np.float64)).tosparse().toarray()
    _, values, basis = np.linalg.svd(matrix, full_matrices=False)
    rounding = float(np.finfo(op.dtype).eps) + max(op.shape) * 2.0**-52
    return op.xp.asarray(basis[values > rounding * values[0]])


def _remainder(op, x, method, rtol, options):
    """``x - A^+ A x`` by repeated solves for the rest of ``A x``, checked per item."""
    solved = _Solver(op, method, rtol, options)
    z, rest = x, op.apply(x.reshape(-1, *op.input_shape))
    size = left = _norms(op, rest)
    enough = np.maximum(rtol * size, _floor(op, x, rest))
    for _ in range(ROUNDS):
        found = z - solved(rest).reshape(z.shape)
        image = op.apply(found.reshape(-1, *op.input_shape))
        before, norms = left, _norms(op, image)
        better = norms < left
        left = np.where(better, norms, left)
        better = op.xp.asarray(better)[:, None]
        z = op.xp.where(better, found, z)
        better = better.reshape(-1, *(1,) * (rest.ndim - 1))
        rest = op.xp.where(better, image, rest)
        undone = left > enough
        if not (undone & (left <= PROGRESS * before)).any() or solved.maxiter == 0:
            break
    if undone.any():
        share = float(np.max(left[undone] / size[undone]))
        text = (
            f"project_nullspace: {solved.last.method}: ||A z|| is {share:.1e} ||A x||, "
            f"and rtol={rtol:g} was asked for; {solved.last.message}"
        )
        warnings.warn(text, ConvergenceWarning, stacklevel=4)
    return z


class _Solver:
    """Repeated solves with one operator, with one `maxiter` for all of them."""

    def __init__(self, op, method, rtol, options):
        self.op, self.method, self.rtol = op, method, rtol
        self.options = {**options, "on_failure": "ignore"}
        self.maxiter = options.get("maxiter")

    def __call__(self, b):
        if self.maxiter is not None:
            self.options["maxiter"] = self.maxiter
        self.last = solve(self.op, b, self.method, rtol=self.rtol, **self.options)
        if self.maxiter is not None:
            self.maxiter = max(self.maxiter - self.last.nit, 0)
        return self.last.x


def _floor(op, x, b):
    """The rounding error of ``A z``, with ``||A|| >= ||A^H b|| / ||b||``."""
    size, seen = _norms(op, b), _norms(op, op.apply_adjoint(b))
    norm = float(np.max(seen / np.where(size > 0, size, 1)))
    return FLOOR * np.finfo(float).eps * norm * _norms(op, x)


def _norms(op, array):
    """The norm of each item, on the host, safe against overflow of squares."""
    sizes = abs(array.reshape(array.shape[0], -1))
    largest = to_numpy(sizes.max(axis=1))
    unit = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    parts = sizes / op.xp.asarray(unit)[:, None]
    return unit * np.sqrt(to_numpy((parts**2).sum(axis=1)))


def _checked(op, x, method, options):
    """x as an array of the operator's library."""
    check_layer(op)
    for name in ("x0", "damp", "on_failure"):
        if name in options:
            raise ValueError(f"the projection takes no {name}")
    if method in METHODS and not METHODS[method].minimum_norm:
        raise ValueError(f"method {method!r} does not find the solution of least norm")
    x = op.own_array(x, "x")
    shape, n = op.input_shape, op.shape[1]
    if x.shape[max(x.ndim - len(shape), 0) :] != shape and x.shape != (n,):
        raise ValueError(
            f"x must have shape ({n},), {shape} or (..., {str(shape)[1:-1]}), "
            f"got {x.shape}"
        )
    if 0 in x.shape:
        raise ValueError(f"x holds no vector: its shape is {x.shape}")
    if not bool(op.xp.isfinite(x).all()):
        raise ValueError("x holds NaN or infinity")
    return x
