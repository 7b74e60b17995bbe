"""solve() for arrays of Dask: batches in blocks, and single images in tiles."""

from __future__ import annotations

import time
from typing import Any, Literal

import dask.array as da
import numpy as np

from .._core.adapted_calls import adapts
from .._core.result import OnFailure, SolveResult, check_on_failure, deliver
from .._core.typing import ArrayInput, Callback, Damp, OperatorInput, PerAxis, Seed
from .._solve.front import solve as convinv_solve
from .._solve.outcome import Outcome
from .._solve.penalties import is_identity, regularizers
from .._solve.request import Request
from .._solve.tiles import refuse_out
from ..operators._foreign import as_operator
from ._aligned import Aligned, in_memory
from ._batches import Batch
from ._images import Images
from ._layout import Layout, checked, is_whole


@adapts("b")
def solve(
    op: OperatorInput,
    b: Any,
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
    tile: PerAxis | None = None,
    halo: PerAxis | None = None,
    on_failure: OnFailure = "warn",
    **method_options: Any,
) -> SolveResult:
    """Solve as `convinv.solve` does, for data in an array of Dask.

    `convinv.solve` calls it where b is such an array. The solve is computed at once, by
    the scheduler that ``dask.compute`` would take, and x is an array of Dask that is
    held in the memory of the workers.

    Parameters
    ----------
    op : ConvLinearOperator, LinearOperator, sparse or dense matrix
        As `convinv.solve` takes it. It is sent to each process once, and what is set up
        for it is kept there.
    b : dask.array.Array, shape (..., *op.output_shape)
        One right-hand side or a batch, in chunks of NumPy or CuPy. Where images are
        whole in the chunks a batch is solved block by block. Images that are cut are
        solved in overlapping tiles.
    method : str
        As `convinv.solve` takes it; for images that are cut "auto" or "cgls".
    x0, prior, weights, mask, bounds
        As `convinv.solve` takes them, arrays of Dask among them. Those that begin with
        the leading axes of b are cut as b is.
    damp : float, sequence of float or {"gcv", "discrepancy", "lcurve", "ncp"}
        A rule looks at some of the items, evenly over the batch;
        ``extra["damp_items"]`` says at which. Of images that are cut it looks at some
        windows of the first.
    regularizer, rtol, atol, maxiter, preconditioner, noise_level, rtol_normal, conlim
        As `convinv.solve` takes them.
    callback : callable, optional
        For images that are cut, called after each sweep or iteration as that of
        `convinv.solve` is, with an array of Dask as ``state.x``. Blocks have no common
        iterations.
    rng : None, int or numpy.random.Generator
        Each block has numbers of its own, whoever solves it.
    progress : bool
        Show the tasks that are done, as a ``ProgressBar`` of Dask does, or
        ``distributed.progress`` where there is a client.
    max_memory : float or str, optional
        Of each block or tile.
    columns : bool, optional
        Not True: right-hand sides are along the leading axes.
    out : array, optional
        What x is written into, an array of Zarr or a memory map for example. The x of
        the result is then read from there.
    tile, halo : int or sequence of int, optional
        For images that are cut: the size of tiles and how much further those reach of
        which they are a part, along each spatial axis. By default the least work within
        `max_memory`.
    on_failure : {"warn", "raise", "ignore"}
        As in `convinv.solve`.
    **method_options
        Options of the method.

    Returns
    -------
    SolveResult
        As that of `convinv.solve`. Its x has the leading chunks of b.

    Raises
    ------
    ValueError, TypeError
        For input that makes no sense. A block with NaN or infinity is named.
    ConvergenceError
        If the returned x does not satisfy the tolerance, with ``on_failure="raise"``.

    Warns
    -----
    ConvergenceWarning
        If the returned x does not satisfy the tolerance.

    Notes
    -----
    A task takes one thread where all threads of a scheduler have tasks, and the first
    one of a process, which makes the set-ups for the others, takes all. A task whose
    worker is lost is done again by another. What a task raises is raised here.

    Images that are cut: each sweep solves overlapping tiles, all from the x of the
    sweep before, whose normal residual it takes from the whole problem. What a tile has
    wrong at its edges is cut off as far as the halo reaches, so that few sweeps suffice
    where the inverse decays. Elsewhere, and where sweeps get stuck, they precondition
    conjugate gradients, and "cgls" is these alone. b is read in each pass: hold it with
    ``b.persist()`` if it is costly to make and there is memory. The history holds norms
    of the normal residual. `x0`, `weights`, `mask`, `prior`, `bounds`, `preconditioner`
    and `conlim` are for images that are whole in the chunks.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> import convinv
    >>> rng = np.random.default_rng(0)
    >>> op = convinv.ConvLinearOperator(rng.standard_normal((8, 3, 3, 3)), (3, 16, 16))
    >>> x = rng.random((100, 3, 16, 16))
    >>> b = da.from_array(op.forward(x), chunks=(25, -1, -1, -1))
    >>> result = convinv.distributed.solve(op, b, rtol=1e-10)
    >>> result.success, result.x.numblocks
    (True, (4, 1, 1, 1))
    >>> bool(np.allclose(result.x, x))
    True
    """
    start = time.perf_counter()
    check_on_failure(on_failure)
    op = as_operator(op)
    if columns:
        raise ValueError(
            "columns must not be True for an array of Dask, whose right-hand sides are "
            "along its leading axes: pass b.T"
        )
    b = checked(b, "b", op.output_shape, op)
    damp, noise_level = in_memory(damp), in_memory(noise_level)
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
    request.entry(op, isinstance(damp, str) or bool(np.any(damp)))
    low, high = bounds or (None, None)
    given = {
        "x0": x0,
        "damp": damp,
        "regularizer": regularizer,
        "prior": prior,
        "weights": weights,
        "mask": mask,
        "noise_level": noise_level,
        "low": low,
        "high": high,
    }
    given = {name: value for name, value in given.items() if value is not None}
    refuse_out(out, op, b)
    layout = Layout(b.shape[: b.ndim - len(op.output_shape)])
    if is_whole(b, op.output_shape):
        outcome = _batch(op, b, request, given, callback, progress, tile or halo)
    else:
        images = Images(op, b, request, given, callback, progress, tile, halo)
        outcome = images.outcome(convinv_solve)
    if out is not None:
        outcome.x = _stored(outcome.x, out)
    return deliver(
        outcome.result(layout, time.perf_counter() - start), on_failure, stacklevel=3
    )


def _stored(x: da.Array, out: Any) -> da.Array:
    """x in `out`, as an array that is read from there."""
    da.store(x, out)
    return da.from_array(out, chunks=x.chunks)


def _batch(op, b, request, given, callback, progress, cut) -> Outcome:
    """The outcome for images that are whole in the chunks."""
    if callback is not None:
        raise TypeError(
            "callback can't be called for a batch in blocks, which have no common "
            "iterations: watch the tasks with progress=True or a ProgressBar of Dask"
        )
    if cut:
        raise ValueError(
            "tile and halo are for images that are cut into chunks, and those of b are "
            "whole: leave them out, or rechunk b"
        )
    if not is_identity(given.get("regularizer")):  # operators, which keep set-ups
        given = {**given, "regularizer": regularizers(given["regularizer"], op)}
    aligned = Aligned.of(given, b, len(op.output_shape))
    return Batch(op, b, request, aligned, progress).outcome()
