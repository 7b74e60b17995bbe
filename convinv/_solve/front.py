"""solve(): validate, scale, dispatch, verify, wrap."""

import contextlib
import itertools
import math
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._core.result import ConvergenceWarning, Status
from .._core.validation import number
from .._problem.batch import Layout
from .._problem.scaling import ScaledProblem
from .._regularize import damp_rule
from ..operators._dot_test import products
from ..operators._foreign import GeneralOperator, MatrixOperator, as_operator
from ..solvers import METHODS, Method
from . import arguments
from .auto import Choice, choose
from .groups import has_groups, parts_of, solve_parts
from .memory import Estimate, copied, declares, parse_bytes
from .memory_errors import explained
from .restarts import Run
from .slices import slices_of, solve_slices

WRONG = 1e-5  # of their norms, a difference of products that no rounding makes
NO_ADJOINT = "the adjoint of op is not its adjoint (see convinv.dot_test)"


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
    max_memory=None,
    rtol_normal=None,
    conlim=None,
    columns=None,
    **method_options,
):
    """Invert a convolution: minimise ``||A x - b||^2 + damp^2 ||x||^2``.

    Parameters
    ----------
    op : ConvLinearOperator, LinearOperator, sparse or dense matrix
        The operator ``A`` of shape ``(m, n)``, or any object with ``shape`` and
        ``matvec`` (``rmatvec`` for its adjoint). Integers are computed in float64.
    b : array_like
        One right-hand side, of shape ``(m,)`` or ``op.output_shape``, or a batch of
        them, ``(..., *op.output_shape)`` or as columns ``(m, k)``. Where a shape can be
        read in two ways, the shaped reading wins (a square b of a matrix holds rows;
        see `columns`). `b` is not modified.
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
        solved in slices, see Notes; ``extra["slices"]`` says in how many.
    rtol_normal : float, optional
        Tolerance of the normal residual, by default `rtol`; see Notes.
    conlim : float, optional
        Give up with the status ILL_CONDITIONED once an exact or Krylov method finds
        that the condition number of A (of ``[A; damp I]`` with `damp`) is larger, as
        SciPy's `lsqr` does. Methods that estimate none refuse it; `spectral`, which
        "auto" takes for periodic layers, does not look at it.
    columns : bool, optional
        Whether a two-dimensional b holds its right-hand sides in columns.
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

    b is read where it is if its dtype, memory order and scale allow that, else copied.
    Beside that and what the method stores, `solve` holds a vector of length n and, to
    check x, one of length m and two of length n in double precision (on the host, of
    those of a few items at a time), and makes three products: ``A^H b``, ``A x`` and
    ``A^H r``. An item that is started again adds a residual of length m.

    `max_memory` bounds an estimate of that, of the method's vectors, and of copies of b
    and x0. What is set up for an operator and kept with it, or with a preconditioner,
    comes on top: "auto" takes nothing whose set-up needs more than `max_memory` by its
    estimates. So do the history, the blocks of `rbk` (which has an option for them) and
    what a rule for `damp` holds, which looks at all items at once. Slices are solved in
    order, with one generator `rng`; `strip` and `rbk` make their inverses anew for
    each. To a callback ``state.nit`` counts on from slice to slice; in ``state.x`` the
    items to come are where they start, with a ``state.residual_norm`` of NaN, and where
    the callback ends the solve they stay there.

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
    entry = arguments.method(method, op)
    arguments.check_options(entry, method_options)
    needs_adjoint = entry.needs_adjoint or method_options.get("normal", False)
    if isinstance(op, GeneralOperator) and not needs_adjoint:
        op.has_adjoint = False  # it may be a stub: it is never called
    rule = damp_rule.rule(damp, noise_level, entry, method_options, op)
    damp = number(0.0 if rule else damp, "damp")
    rtol, atol = number(rtol, "rtol"), number(atol, "atol")
    rtol_normal = rtol if rtol_normal is None else rtol_normal
    rtol_normal = number(rtol_normal, "rtol_normal")
    conlim = arguments.conlim(conlim, entry)
    if columns not in (None, True, False):
        raise TypeError(f"columns must be True, False or None, got {columns!r}")
    arguments.check_operator(entry, op, method_options)
    if damp and not entry.damp:
        raise ValueError(f"method {entry.name!r} takes no damp; use 'cgls' or 'lsmr'")
    maxiter = arguments.maxiter(maxiter, op.shape[1])
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {callback!r}")
    limit = None if max_memory is None else parse_bytes(max_memory)
    layout = Layout(op, b, x0, columns)
    task = _Task(op, layout, entry, rtol, atol, maxiter, arguments.generator(rng))
    task.rtol_normal, task.conlim = rtol_normal, conlim
    task.bounded = limit is not None
    task.memory = math.inf if limit is None else limit
    task.preconditioner, task.options = preconditioner, method_options
    task.rule, task.damp, task.copied = rule, damp, copied(layout, b, x0)
    slices = None if limit is None else slices_of(task.estimate(), limit)
    outcome = task.outcome(slices, callback, progress)
    if not outcome.good.all() and needs_adjoint:
        task.suspect_adjoint(outcome)
    result = outcome.result(layout, time.perf_counter() - start)
    if not result.success and result.status is not Status.STOPPED:
        warnings.warn(
            f"{result.method}: {result.message}", ConvergenceWarning, stacklevel=2
        )
    return result


@dataclass
class _Task:
    """What `solve` was asked for, with its arguments checked."""

    op: Any
    layout: Layout
    entry: Method
    rtol: float
    atol: float
    maxiter: int
    rng: np.random.Generator
    preconditioner: Any = None
    options: dict = field(default_factory=dict)
    rtol_normal: float = 0.0
    conlim: float | None = None
    bounded: bool = False  # by max_memory, which counts single precision
    memory: float = math.inf  # bytes of set-ups that "auto" may make
    rule: Any = None
    damp: float = 0.0
    copied: int = 0
    is_part: bool = False

    def estimate(self):
        """What it takes."""
        damped = bool(self.damp or self.rule)
        return Estimate(
            self.op,
            self.layout,
            self.entry,
            self.options,
            self.preconditioner,
            damped,
            self.copied,
        )

    def suspect_adjoint(self, outcome):
        """Say it in the message where an adjoint of the user's is none."""
        if hasattr(self.op, "layer") or isinstance(self.op, MatrixOperator):
            return
        rng = np.random.default_rng(0)
        left, right, size = products(self.layout.b, self.op, rng)
        if not abs(left - right) <= WRONG * size:
            words = [outcome.notes.get("message"), NO_ADJOINT]
            outcome.notes["message"] = "; ".join(filter(None, words))

    def outcome(self, slices, callback, progress):
        """Solve, all items at once or the slices one after the other."""
        try:
            with np.errstate(all="ignore"):
                return self._outcome(slices, callback, progress)
        except MemoryError as error:
            if not declares(self.entry):
                raise
            raise explained(error, self.estimate()) from error

    def _outcome(self, slices, callback, progress):
        choice = self.rule.choose(self.op, self.layout) if self.rule else None
        self.damp = choice.damp if choice else self.damp
        parts = slices or [slice(None)]
        total = self.maxiter * len(parts)
        with _bar(progress, self.entry.name, total) as tick:
            outcome = solve_slices(self._run, self.layout, parts, callback, tick)
        if choice:
            choice.annotate(outcome.notes)
        if slices:
            outcome.notes["slices"] = len(slices)
        return outcome

    def _run(self, layout, callback, tick, stopped):
        """The outcome of some items, and whether the callback has asked to stop."""
        scaled = ScaledProblem(
            self.op, layout, self.damp, self.rtol, self.atol, self.rtol_normal
        )
        begun = []  # choices by which it was seen whether groups go apart
        parts = self._parts(scaled, begun)
        if parts is not None:
            return solve_parts(self, parts, layout, callback, tick, stopped)
        if self.entry.hermitian:
            scaled.refuse_unless_hermitian(self.entry.name)
        run = Run(scaled, layout, self.maxiter, self.rng, callback, tick, self.conlim)
        if stopped:
            run.stand()
        else:
            run.solve(lambda: self._choices(scaled, begun), may_widen=not self.bounded)
        return run.outcome(), run.stopped

    def _parts(self, scaled, begun):
        """Groups of the layer that are to be solved apart, None as a rule."""
        automatic = self.entry.name == "auto" and self.preconditioner is None
        if not automatic or self.is_part or not has_groups(scaled.working):
            return None
        choices = self._automatic(scaled)
        choice = next(choices)
        begun.append(itertools.chain([choice], choices))
        return parts_of(self.op, scaled.working, choice, scaled.damp)

    def _choices(self, scaled, begun):
        """The methods to try, each with its preconditioner."""
        given = self.preconditioner
        if self.entry.name != "auto":
            yield Choice(self.entry.name, "", self.options), given
            return
        if given is not None:
            op = scaled.working
            name = "cgls" if op.has_adjoint else "gmres"
            yield Choice(name, "a preconditioner was given"), given
            return
        for choice in begun.pop() if begun else self._automatic(scaled):
            yield choice, choice.preconditioner

    def _automatic(self, scaled):
        return choose(
            scaled.working,
            damp=scaled.damp,
            batch=self.layout.batch,
            rtol=self.rtol,
            memory=self.memory,
            maxiter=self.maxiter,
        )


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
