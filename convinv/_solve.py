"""solve(): validate, scale, dispatch, verify, wrap."""

import contextlib
import time
import warnings

import numpy as np

from . import _arguments, _damping
from ._automatic import Choice, choose
from ._layout import Layout
from ._linear import as_operator
from ._result import ConvergenceWarning, Status
from ._run import Run
from ._scaled import ScaledProblem
from .solvers import METHODS, Method


def methods() -> list[Method]:
    """The methods that `solve` knows, with what they need.

    Examples
    --------
    >>> import convinv
    >>> [m.name for m in convinv.methods() if m.square]
    ['cg', 'gmres']
    """
    return [METHODS[name] for name in sorted(METHODS)]


def solve(
    op,
    b,
    method="auto",
    *,
    x0=None,
    damp=0.0,
    rtol=1e-6,
    atol=0.0,
    maxiter=None,
    preconditioner=None,
    callback=None,
    rng=None,
    progress=False,
    noise_level=None,
    **method_options,
):
    """Invert a convolution: minimise ``||A x - b||^2 + damp^2 ||x||^2``.

    Parameters
    ----------
    op : ConvLinearOperator, LinearOperator, sparse or dense matrix
        The operator ``A`` of shape ``(m, n)``.
    b : array_like
        One right-hand side, of shape ``(m,)`` or ``op.output_shape``, or a batch of
        them, ``(..., *op.output_shape)`` or as columns ``(m, k)``. Where a shape can be
        read in two ways, the shaped reading wins. `b` is not modified.
    method : str
        One of `convinv.methods`; "auto" takes the best for the operator.
    x0 : array_like, optional
        Starting point, shaped like the result or like one item of it. The minimiser
        found is the one nearest to it; without it, the one of least norm, unless the
        method says otherwise.
    damp : float or {"gcv", "discrepancy", "lcurve", "ncp"}
        Tikhonov damping, or the rule that chooses it from the data; one for a batch.
        ``extra["damp"]`` and ``extra["damp_path"]`` tell what was chosen and tried.
    rtol, atol : float
        Tolerances; see Notes. Both refer to the units of `b`.
    maxiter : int, optional
        Iterations at most (sweeps, for row-action methods), by default ten times the
        number of unknowns, but between 1000 and 10000.
    preconditioner : str, callable or LinearOperator, optional
        "jacobi", "circulant" or "schwarz", an object of `convinv.precondition` (which
        keeps its set-up), or an approximate inverse of ``A^H A + damp^2 I`` (of A, for
        `cg` and plain `gmres`): a function of arrays ``(B, *op.input_shape)``, or an
        operator of shape ``(n, n)``.
    callback : callable, optional
        Called as ``callback(state)`` after each iteration; ``state.nit``, ``state.x``
        (shaped like the result, not to be kept) and ``state.residual_norm`` (what the
        method watches). Returning True ends the solve.
    rng : None, int or numpy.random.Generator
        Source of random numbers for methods that use them.
    progress : bool
        Show a progress bar (needs tqdm).
    noise_level : float, optional
        Standard deviation of the noise in an entry of b, for ``damp="discrepancy"``.
    **method_options
        Options of the method; `convinv.methods` lists their names.

    Returns
    -------
    SolveResult
        With ``x`` in ``result_type(op, b, x0)``, shaped to match `b`, on b's device.

    Raises
    ------
    ValueError, TypeError
        For input that makes no sense, before any work.

    Warns
    -----
    ConvergenceWarning
        If the returned x does not satisfy the tolerance.

    Notes
    -----
    ``success`` means that the returned x was checked with the operator, the residual
    ``r = b - A x`` computed in double precision: either ``||r|| <= max(rtol ||b||,
    atol)`` (with ``damp = 0``), or ``||A^H r - damp^2 x|| <= rtol ||A^H b||``, the
    latter with a floor of four rounding errors of ``||A|| ||b||``. Data and kernel are
    scaled by powers of two first, so their scale changes nothing but that of x.

    b is read where it is if its dtype, memory order and scale allow that, else copied.
    Beside that and what the method stores, `solve` holds a vector of length n and, to
    check x, one of length m and two of length n in double precision (on the host, of
    those of a few items at a time), and makes three products: ``A^H b``, ``A x`` and
    ``A^H r``. An item that is started again adds a residual of length m.

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
    op = as_operator(op)
    entry = _arguments.method(method, op)
    _arguments.check_options(entry, method_options)
    rule = _damping.rule(damp, noise_level, entry, method_options, op)
    damp = _arguments.number(0.0 if rule else damp, "damp")
    rtol, atol = _arguments.number(rtol, "rtol"), _arguments.number(atol, "atol")
    _arguments.check_operator(entry, op, method_options)
    if damp and not entry.damp:
        raise ValueError(f"method {entry.name!r} takes no damp; use 'cgls' or 'lsmr'")
    maxiter = _arguments.maxiter(maxiter, op.shape[1])
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {callback!r}")
    layout = Layout(op, b, x0)
    rng = _arguments.generator(rng)
    with np.errstate(all="ignore"), _bar(progress, entry.name, maxiter) as tick:
        choice = rule.choose(op, layout) if rule else None
        damp = choice.damp if choice else damp
        scaled = ScaledProblem(op, layout, damp, rtol, atol)
        if entry.hermitian:
            scaled.refuse_unless_hermitian(entry.name)
        run = Run(scaled, layout, maxiter, rng, callback, tick)
        run.solve(_choices(entry, scaled, preconditioner, method_options))
    if choice:
        choice.annotate(run.notes)
    result = run.result(time.perf_counter() - start)
    if not result.success and result.status is not Status.STOPPED:
        warnings.warn(
            f"{result.method}: {result.message}", ConvergenceWarning, stacklevel=2
        )
    return result


def _choices(entry, scaled, preconditioner, options):
    """The methods to try, each with its preconditioner."""
    if entry.name != "auto":
        yield Choice(entry.name, "", options), preconditioner
        return
    op = scaled.working
    if preconditioner is not None:
        name = "cgls" if op.has_adjoint else "gmres"
        yield Choice(name, "a preconditioner was given"), preconditioner
        return
    for choice in choose(op, damp=scaled.damp, batch=scaled.layout.batch):
        yield choice, choice.preconditioner


@contextlib.contextmanager
def _bar(progress, name, total):
    """A function to call with the iteration number; shows a bar if asked to."""
    if not progress:
        yield lambda nit: None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError("progress=True needs the package tqdm") from None
    with tqdm(total=total, desc=name, unit="it") as bar:
        yield lambda nit: bar.update(nit - bar.n)
