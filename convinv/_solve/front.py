"""solve(): checks its arguments, and wraps what the task comes to."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Literal

from .._core.adapted_calls import adapts
from .._core.result import OnFailure, SolveResult, check_on_failure, deliver
from .._core.typing import ArrayInput, Callback, Damp, OperatorInput, Seed
from .._core.validation import number
from .._problem.batch import Layout
from .._regularize import damp_rule
from ..operators._foreign import as_operator
from ..solvers import METHODS, Method
from . import tiles
from .general_form import GeneralCall, is_general
from .memory import copied
from .outcome import Outcome
from .request import Request
from .weights import weighted_data


def methods() -> list[Method]:
    """The methods that `solve` knows, with what they need.

    Examples
    --------
    >>> import convinv
    >>> [m.name for m in convinv.methods() if m.square]
    ['cg', 'gmres']
    """
    return [METHODS[name] for name in sorted(METHODS)]


@adapts("b", side="output")
def solve(
    op: OperatorInput,
    b: ArrayInput,
    method: str = "auto",
    *,
    x0: ArrayInput | None = None,
    damp: Damp = 0.0,
    regularizer: Any = None,
    prior: ArrayInput | Literal["mean"] | None = None,
    weights: ArrayInput | None = None,
    mask: ArrayInput | None = None,
    rtol: float = 1e-6,
    atol: float = 0.0,
    maxiter: int | None = None,
    preconditioner: Any = None,
    callback: Callback = None,
    rng: Seed = None,
    progress: bool = False,
    noise_level: float | None = None,
    max_memory: float | str | None = None,
    rtol_normal: float | None = None,
    conlim: float | None = None,
    columns: bool | None = None,
    bounds: tuple[ArrayInput | None, ArrayInput | None] | None = None,
    out: Any = None,
    on_failure: OnFailure = "warn",
    **method_options: Any,
) -> SolveResult:
    """Invert a convolution: minimize ``||A x - b||^2 + damp^2 ||x||^2``.

    With `regularizer` L, `prior` and `weights` W it minimizes ``||W^(1/2) (A x - b)||^2
    + damp^2 ||L (x - prior)||^2``.

    Parameters
    ----------
    op : ConvLinearOperator, LinearOperator, sparse or dense matrix
        The operator ``A`` of shape ``(m, n)``, or any object with ``shape`` and
        ``matvec`` (``rmatvec`` for its adjoint). Integers are computed in float64. A
        layer of PyTorch where its size follows from b, see Notes.
    b : array_like
        One right-hand side, of shape ``(m,)`` or ``op.output_shape``, or a batch of
        them, ``(..., *op.output_shape)`` or as columns ``(m, k)``. Where a shape can be
        read in two ways, the shaped reading wins (a square b of a matrix holds rows;
        see `columns`). `b` is not modified.
    method : str
        One of `convinv.methods`; "auto" takes the best for the operator.
    x0 : array_like, optional
        Starting point, shaped like the result or like one item of it. The minimizer
        found is the one nearest to it; without it, the one of least norm, unless the
        method says otherwise.
    damp : float, sequence of float or {"gcv", "discrepancy", "lcurve", "ncp"}
        Tikhonov damping, one weight for each of a list of regularizers, or the rule
        that chooses it from the data; one for a batch. ``extra["damp"]`` and
        ``extra["damp_path"]`` tell what was chosen and tried.
    regularizer : str, array, LinearOperator, or list of these, optional
        What `damp` weights: "identity", the default; "gradient", the differences
        between neighbors; "laplacian", their second differences; the kernel of a
        convolution, with the spatial axes of the image alone (for each channel) or as
        ``(C_out, C_in // groups, *k)``; any operator or sparse matrix with op's
        unknowns. Differences end at the border of the image, except where op itself is
        periodic; a kernel is not padded. Stacks of convolutions are solved by the exact
        methods, others by iterations.
    prior : array or "mean", optional
        What x is drawn toward, shaped like `x0`; "mean" is the image of constant
        channels that fits the data best, so that `damp` does not darken flat fields.
    weights : array, optional
        Weights of the data, not negative: the inverses of their variances, say. Of the
        shape of b or of one item, or of one that broadcasts to it.
    mask : array of bool, optional
        Which data count (True); of the same shapes. What does not count may be NaN. A
        masked array b brings its own mask.
    rtol, atol : float
        Tolerances of the residual; see Notes. `atol` is in the units of `b`.
    maxiter : int, optional
        Iterations at most (sweeps, for row-action methods), by default ten times the
        number of unknowns, but between 1000 and 10000.
    preconditioner : str, callable or LinearOperator, optional
        "jacobi", "circulant" or "schwarz", an object of `convinv.precondition` (which
        keeps its set-up), or an approximate inverse of ``A^H A + damp^2 I`` (of A, for
        `cg` and plain `gmres`): an operator or matrix of shape ``(n, n)``, or a
        function, for a layer of arrays ``(B, *op.input_shape)``, for other operators of
        one vector ``(n,)`` at a time, as SciPy has it (``spilu(A).solve``).
    callback : callable, optional
        Called as ``callback(state)`` after each iteration; ``state.nit``, ``state.x``
        (shaped like the result, not to be kept) and ``state.residual_norm`` (what the
        method watches). Returning True ends the solve. While a set-up takes long it is
        called every half second with the state as it stands.
    rng : None, int or numpy.random.Generator
        Source of random numbers for methods that use them.
    progress : bool
        Show a progress bar (needs tqdm).
    noise_level : float, optional
        Standard deviation of the noise in an entry of b, for ``damp="discrepancy"``.
    max_memory : float or str, optional
        Bytes that the solve may take at a time beside op, b and x, or a text like "2GB"
        or "512MiB"; device memory for CuPy arrays. A batch that would take more is
        solved in slices, and one image of a convolution that would, in tiles; see
        Notes. ``extra["slices"]`` says in how many, and ``extra["tiles"]`` in how many
        along each axis.
    rtol_normal : float, optional
        Tolerance of the normal residual, by default `rtol`; see Notes.
    conlim : float, optional
        Give up with the status ILL_CONDITIONED once an exact or Krylov method finds
        that the condition number of A (of ``[A; damp I]`` with `damp`) is larger, as
        SciPy's `lsqr` does. Methods that estimate none refuse it; `spectral`, which
        "auto" takes for periodic layers, does not look at it.
    columns : bool, optional
        Whether a two-dimensional b holds its right-hand sides in columns.
    bounds : pair of float or array_like, optional
        ``(lo, hi)`` with ``lo <= x <= hi``: numbers, or arrays like x or one item of
        it; None and infinity leave x free. ``(0, None)`` is for what is not negative.
        With the method "auto", an exact one, or "cgls"; see Notes.
    out : array, optional
        Where x is written, and what ``x`` of the result is then: any array of its shape
        that is written by slices, such as a memory map or an array of Zarr or HDF5.
    on_failure : {"warn", "raise", "ignore"}
        What to do where the returned x does not satisfy the tolerance: warn with
        `ConvergenceWarning`, raise `ConvergenceError` (whose ``result`` holds x), or
        leave it to ``success`` of the result. Nothing is done where a callback has
        stopped the solve.
    **method_options
        Options of the method; `convinv.methods` lists their names.

    Returns
    -------
    SolveResult
        With ``x`` in ``result_type(op, b, x0)``, shaped to match `b`, on b's device; a
        tensor if b is one.

    Raises
    ------
    ValueError, TypeError
        For input that makes no sense, before any work.
    ConvergenceError
        If the returned x does not satisfy the tolerance, with ``on_failure="raise"``.
    MemoryError
        If `max_memory` is too little for one right-hand side, before any work; or where
        memory runs out, in a subclass of the error that did it, with an estimate of
        what is needed and a `max_memory` that would do.

    Warns
    -----
    ConvergenceWarning
        If the returned x does not satisfy the tolerance.

    Notes
    -----
    ``success`` means that the returned x was checked with the operator, the residual
    ``r = b - A x`` computed in double precision. One of two tests has to hold:

    - ``||r|| <= max(rtol ||b||, atol)`` (with `damp`, ``||r||^2 + damp^2 ||x||^2 <=
      rtol^2 ||b||^2``);
    - ``||s|| <= rtol_normal ||A^H b||`` of ``s = A^H r - damp^2 x``, with a floor of
      four rounding errors of ``||A|| ||b||``, provided that r is shown to be what no x
      takes away: ``||s||`` is no more than ``20 rtol_normal ||A|| ||r||``, or 1e-2
      of the smallest singular value times ``||r||`` where that is known. Square and
      wide operators, which as a rule reach every b, need ``||s|| <= 1e-10 ||A||
      ||r||``.

    Where single precision does not get there, the solve goes on in double precision,
    and x is rounded at the end. Data and kernel are scaled by powers of two first, so
    their scale changes nothing but that of x. ``error_bound`` of the result estimates
    how far x may be off.

    Tensors of PyTorch are taken for every array, without a copy where possible (those
    on a CUDA device need CuPy), and where b is one x is one, in b's dtype if that is of
    half precision. No gradient passes through: tensors that require one are refused,
    unless under `torch.no_grad`, and `convinv.interop.torch.conv_solve` takes them. A
    layer in the place of op is what it does to one input whose output is b, and its
    bias is subtracted from b; with a stride, and for reports,
    `convinv.interop.torch.operator` makes the operator of a layer.

    With `bounds`, ``success`` asks for the same of the projected gradient: s without
    the entries at a bound that it would leave, no larger than ``rtol_normal ||A^H b||``
    (or, where 0 is out of bounds, than that share of the gradient at the point next to
    it, if that is larger); ``normal_residual_norm`` and the history tell its norm, and
    ``extra["active"]`` the share of such entries. The unbounded problem is solved first
    where that is done by an exact inverse. Conjugate gradients on the free entries
    follow, whose iterations are counted, and if they go on for long, steps of a
    splitting with the inverse. A rule
    for `damp` looks at the unbounded problem. `x0` replaces that start.

    b is read where it is if its dtype, memory order and scale allow that, else copied.
    Beside that and what the method stores, `solve` holds a vector of length n and, to
    check x, one of length m and two of length n in double precision (on the host, of
    those of a few items at a time), and makes three products: ``A^H b``, ``A x`` and
    ``A^H r``. An item that is started again adds a residual of length m.

    One image that takes more than `max_memory` is cut into overlapping tiles
    (restricted additive Schwarz) where op is a convolution, or a stack of them: in a
    sweep each tile corrects its part of x by a local inverse of the residual of the
    whole problem, until that residual, computed in double precision, satisfies the
    tolerances. The halos are as wide as the inverse takes to decay, so that one or two
    sweeps suffice as a rule; where it decays too slowly, tiles precondition conjugate
    gradients. b and `out` may then be memory maps or arrays of Zarr or HDF5, which are
    read and written by pieces. Without `out`, x is in memory all the same. A rule for
    `damp` looks at a few windows of b. Tiles take no prior, weights, mask, bounds,
    conlim or preconditioner, and no other method than "auto".

    `max_memory` bounds an estimate of that, of the method's vectors, and of copies of b
    and x0. What is set up for an operator and kept with it, or with a preconditioner,
    comes on top: "auto" takes nothing whose set-up needs more than `max_memory` by its
    estimates (by default, more than 1 GiB), and where it is above the limits that
    `direct` and `rbk` have by default it replaces them. So do the history, the blocks
    of `rbk` (which has an option for them) and what a rule for `damp` holds, which
    looks at all items at once. Slices are solved in order, with one generator `rng`;
    `rbk` makes its inverses anew for each. To a callback ``state.nit`` counts on from
    slice to slice; in ``state.x`` the items to come are where they start, with a
    ``state.residual_norm`` of NaN, and where the callback ends the solve they stay
    there.

    Examples
    --------
    >>> import numpy as np
    >>> import convinv
    >>> rng = np.random.default_rng(0)
    >>> kernel = rng.standard_normal((8, 3, 3, 3))
    >>> op = convinv.ConvLinearOperator(kernel, (3, 32, 32))
    >>> x = rng.random((3, 32, 32))
    >>> res = convinv.solve(op, op.forward(x), rtol=1e-10)
    >>> res.success, res.x.shape
    (True, (3, 32, 32))
    >>> bool(np.allclose(res.x, x))
    True
    """
    start = time.perf_counter()
    check_on_failure(on_failure)
    op = as_operator(op)
    if columns not in (None, True, False):
        raise TypeError(f"columns must be True, False or None, got {columns!r}")
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {callback!r}")
    request = Request.checked(
        method,
        method_options,
        preconditioner,
        rtol,
        atol,
        rtol_normal,
        conlim,
        maxiter,
        rng,
        max_memory,
        bounds,
    )
    tiles.refuse_out(out, op, b)
    whole = not is_general(b, None, prior, weights, mask) and not columns
    whole = whole and preconditioner is None and bounds is None
    if whole and tiles.are_needed(request, op, b, x0, damp, regularizer):
        layout, outcome = tiles.solved(
            request, op, b, x0, regularizer, damp, noise_level, callback, out, solve,
            progress,
        )  # fmt: skip
        out = None
    else:
        layout, outcome = outcome_of(
            request,
            op,
            b,
            x0=x0,
            damp=damp,
            regularizer=regularizer,
            prior=prior,
            weights=weights,
            mask=mask,
            noise_level=noise_level,
            columns=columns,
            callback=callback,
            progress=progress,
        )
    result = outcome.result(layout, time.perf_counter() - start)
    if out is not None:
        out[...] = result.x
        result = replace(result, x=out)
    return deliver(result, on_failure, stacklevel=3)


def outcome_of(
    request: Request,
    op: Any,
    b: ArrayInput,
    *,
    x0: ArrayInput | None = None,
    damp: Damp = 0.0,
    regularizer: Any = None,
    prior: Any = None,
    weights: ArrayInput | None = None,
    mask: ArrayInput | None = None,
    noise_level: float | None = None,
    columns: bool | None = None,
    callback: Callback = None,
    progress: bool = False,
) -> tuple[Layout, Outcome]:
    """The layout of the data of a call, and what the call comes to."""
    if is_general(b, regularizer, prior, weights, mask):
        data = weighted_data(op, b, weights, mask)
        call = GeneralCall(request, op, regularizer, prior, damp, noise_level)
        return call.outcome(data, x0, columns, callback, progress)
    rule = damp_rule.rule(damp, noise_level, op)
    damping = number(0.0 if rule else damp, "damp")
    request.entry(op, bool(damping or rule))  # before a look at the data
    layout = Layout(op, b, x0, columns)
    task = request.task(op, layout, damping, rule, copied(layout, b, x0))
    return layout, task.outcome(callback, progress)
