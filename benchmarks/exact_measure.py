"""What the exact inverse of one problem takes, and what its rivals take for it."""

import math
import os
import time
import warnings

import numpy as np
import scipy.sparse
from scipy.sparse import linalg

from convinv import ConvergenceWarning, solve
from convinv._automatic import direct_seconds
from convinv._polyphase import Polyphase, symbol
from convinv.strips import strip_plan

from .measure import REST, clock, fresh_rounds
from .problems import Inversion

RTOL = {"float32": 1e-7, "float64": 1e-9}  # what "auto" and its parts are asked for
BAR = 120.0  # dB
ITEMS = 3  # of a batch that are compared with the reference
CHECKED = 3000  # unknowns up to which a sparse factorisation checks the reference
DIRECT_LIMIT = 20.0  # predicted seconds from which `direct` is left out
STRIP_LIMIT = 30.0  # the same of a STRIP sweep
STRIP_BYTES = 2**31
STRIP_TRIALS = 4


def measure(case, seconds=4.0, most=5, limit=15.0):
    """A row of the table, a dict that JSON can hold.

    Set-up and solve are timed for `seconds` and at most so many rounds. Iterations that
    would take more than `limit` seconds are extrapolated.
    """
    warm(case)
    op, b = case.data()
    items = sorted({0, case.batch // 2, case.batch - 1})[:ITEMS]
    x, row = reference(case, b[items])
    row |= case._asdict() | {
        "label": str(case),
        "tall": op.shape[0] >= op.shape[1],
        "condition": condition(op, case.damp),
        "rtol": RTOL[case.dtype],
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
    single = _single(case, op)
    strip, row["strip"] = best_strip(case, op, b, x, items)
    calls = {name: _solves(case, b, name, options) for name, options in single.items()}
    if strip:
        calls["strip"] = strip
    times, last = fresh_rounds(calls, seconds, most)
    result = last["auto"]
    row |= {
        "times": {k: v for k, v in times.items() if k != "strip"},
        "decibels": decibels(result.x[items], x),
        "success": bool(result.success),
        "method": result.method,
        "message": result.message,
        "nit": result.nit,
        "nbytes": result.extra.get("nbytes"),
    }
    if strip:
        row["strip"]["seconds"] = times["strip"][0]
    target = min(row["decibels"], BAR)
    row["cgls"] = cgls(case, op, b, x[:1], target, limit)
    row["lsqr"] = scipy_lsqr(case, op, b, row["cgls"]["iterations"])
    return row


def warm(case):
    """Compile what the case needs, on a small one of its kind."""
    op, b = case._replace(size=min(case.size, 64), batch=min(case.batch, 20)).data()
    for method in ("auto", "direct", "schwarz", "strip", "cgls"):
        for _ in range(2):
            _quietly(op, b, method, damp=case.damp, rtol=RTOL[case.dtype], maxiter=2)
    time.sleep(REST)


def condition(op, damp):
    """Ratio of the extreme singular values on a torus, damping included."""
    matrices = symbol(Polyphase(op.geometry), op._weights, (1, 64, 64))
    values = np.linalg.svd(np.moveaxis(matrices, (1, 2), (-2, -1)), compute_uv=False)
    squares = values**2 + damp**2
    return float(math.sqrt(squares.max() / squares.min()))


def reference(case, b):
    """The solution to all digits, and what vouches for it."""
    op, b = case.operator("float64"), b.astype(float)
    result = _quietly(
        op, b, "lsmr", damp=case.damp, rtol=1e-13, preconditioner="schwarz"
    )
    gradient = np.linalg.norm(op.adjoint(b).reshape(len(b), -1), axis=1)
    notes = {"reference_residual": float(max(result.normal_residual_norm / gradient))}
    if op.shape[1] <= CHECKED:
        notes["reference_decibels"] = decibels(result.x, factored(op, b, case.damp))
    return result.x, notes


def factored(op, b, damp):
    """The solution by SuperLU on the normal equations, refined once."""
    A, flat = op.tosparse().tocsc(), b.reshape(len(b), -1).T
    tall = A.shape[0] >= A.shape[1]
    N = A.T @ A if tall else A @ A.T
    solver = linalg.splu((N + damp**2 * scipy.sparse.eye(N.shape[0])).tocsc())

    def corrected(x):
        r = flat - A @ x
        if tall:
            return x + solver.solve(A.T @ r - damp**2 * x)
        return x + A.T @ solver.solve(r)

    x = corrected(corrected(np.zeros((A.shape[1], len(b)))))
    return x.T.reshape(len(b), *op.input_shape)


def decibels(x, exact):
    """The worst item's peak over the root mean square of its error."""
    axes = tuple(range(1, exact.ndim))
    error = np.sqrt(np.mean((x - exact) ** 2, axis=axes, dtype=float))
    peak = np.max(np.abs(exact), axis=axes)
    return float(np.min(20 * np.log10(peak / np.maximum(error, 1e-300))))


def _single(case, op):
    """The exact methods that fit, with their options."""
    methods = {"auto": {}, "schwarz": {}}
    seconds, axis = direct_seconds(op, case.damp, case.batch)
    if seconds <= DIRECT_LIMIT:
        methods["direct"] = {"axis": axis}
    return methods


def _solves(case, b, method, options):
    """A function: ``(seconds with set-up, seconds without, result)`` of a new layer."""

    def call():
        op = case.operator()
        options_ = {"damp": case.damp, "rtol": RTOL[case.dtype], **options}
        first, _ = clock(lambda: _quietly(op, b, method, **options_))
        second, result = clock(lambda: _quietly(op, b, method, **options_))
        return (first, second), result

    return call


def _quietly(op, b, method, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return solve(op, b, method, **options)


def best_strip(case, op, b, exact, items):
    """``(call, notes)`` of the fastest sweep of those that are worth a trial."""
    trials = []
    for window in strip_windows(case, op):

        def call(window=window):
            seconds, result = clock(
                lambda: _quietly(
                    case.operator(),
                    b,
                    "strip",
                    damp=case.damp,
                    window=window,
                    maxiter=1,
                    rtol=0,
                )
            )
            return (seconds, None), result

        (seconds, _), result = call()
        reached = decibels(result.x[items], exact)
        trials.append((not result.extra["direct"], seconds, window, reached, call))
    if not trials:
        return None, None
    _, _, window, reached, call = min(trials, key=lambda trial: trial[:2])
    return call, {"window": window, "decibels": reached, "trials": len(trials)}


def strip_windows(case, op):
    """Windows by the sweep's estimated time, those that determine x if there are any.

    Only the estimate's order matters, and that what takes too long is left out.
    """
    default, (height, width) = strip_plan(op), op.output_shape[1:]
    lines = [(p, width) for p in (1, 2, 4, 8)]
    squares = [(p, p) for p in (4, 6, 8, 12, 16, 24, 32) if p <= min(height, width)]
    found = []
    for window in {default.window, *lines, *squares}:
        plan = strip_plan(op, window=window)
        rows, columns = plan.shape
        if plan.memory["factors"] + case.batch * plan.memory["windows"] > STRIP_BYTES:
            continue
        tall = rows >= columns and not case.damp
        work = plan.strips * case.batch * rows * columns
        setup = plan.classes * 6 * rows * columns * min(rows, columns)
        seconds = work / 3e10 + setup / 1e10
        seconds += plan.strips * case.batch * columns * 5e-9
        if not tall:  # one strip after the other, each with the rest of its unknowns
            seconds += plan.strips * (3e-4 + case.batch * columns**2 / 3e10)
        if seconds <= STRIP_LIMIT:
            found.append((not tall, seconds, window))
    found.sort()
    return [window for rest, _, window in found if rest == found[0][0]][:STRIP_TRIALS]


def cgls(case, op, b, exact, target, limit):
    """Seconds of CGLS to so many dB, with the iterations counted on the first item."""
    count, reached, per_iteration, guessed = iterations(
        case, op, b[:1], exact, target, limit
    )
    notes = {"iterations": count, "decibels": reached, "short": reached < target}
    options = {"damp": case.damp, "rtol": 0}
    if case.batch == 1:
        return notes | {"seconds": count * per_iteration, "extrapolated": guessed}
    if count * case.batch * per_iteration <= limit:
        run = lambda: _quietly(op, b, "cgls", maxiter=count, **options)  # noqa: E731
        seconds = min(clock(run)[0] for _ in range(2))
        return notes | {"seconds": seconds, "extrapolated": guessed}
    few = max(min(int(limit / (case.batch * per_iteration)) - 4, 20), 3)
    start, end = (
        clock(lambda: _quietly(op, b, "cgls", maxiter=n, **options))[0]
        for n in (2, 2 + few)
    )
    seconds = start + (end - start) / few * (count - 2)
    return notes | {"seconds": seconds, "extrapolated": True}


def iterations(case, op, b, exact, target, limit):
    """``(count, dB, seconds of one, guessed)`` of CGLS on one item.

    The time that it takes to look at x is not counted. What takes longer than `limit`
    is guessed from the dB of the second half of the iterations.
    """
    seen, looked = [], 0.0
    begin = time.perf_counter()

    def look(state):
        nonlocal looked
        start = time.perf_counter()
        enough = start - begin - looked > limit
        if state.nit % max(state.nit // 20, 1) == 0 or enough:
            seen.append((state.nit, decibels(state.x, exact)))
            enough = enough or seen[-1][1] >= target
        looked += time.perf_counter() - start
        return enough

    _quietly(op, b, "cgls", damp=case.damp, rtol=0, callback=look)
    seconds = time.perf_counter() - begin - looked
    count, reached = seen[-1]
    each = seconds / count
    late = seconds > limit and reached < target
    if not late:
        best = max(seen, key=lambda pair: pair[1])
        return *(best if reached < target else seen[-1]), each, False
    half, before = seen[len(seen) // 2]
    slope = (reached - before) / max(count - half, 1)
    if slope <= 0:
        return count, reached, each, True
    return math.ceil(count + (target - reached) / slope), target, each, True


def scipy_lsqr(case, op, b, count):
    """SciPy's LSQR, extrapolated from a few iterations on one item."""
    flat, few = b[0].ravel(), 8 if b[0].size < 10**6 else 3

    def run(n):
        options = {"damp": case.damp, "atol": 0, "btol": 0, "conlim": 0}
        return clock(lambda: linalg.lsqr(op, flat, iter_lim=n, **options))[0]

    run(1)
    each = min(run(few) for _ in range(3)) / few
    return {"seconds": case.batch * count * each, "iteration": each}


def pixel_times(quick):
    """Times of `schwarz` by image size, one image and as many pixels in a batch."""
    small, large = (64, 128) if quick else (256, 2048)
    many = (large // small) ** 2
    cases = [
        Inversion("3to8", small, 1, "float32"),
        Inversion("3to8", small, many, "float32"),
        Inversion("3to8", large, 1, "float32"),
    ]
    calls = {}
    for case in cases:
        warm(case)
        _, b = case.data()
        calls[case] = _solves(case, b, "schwarz", {})
    times, _ = fresh_rounds(calls, 0.5 if quick else 10.0, 2 if quick else 5)
    return {
        "pixels": "3->8, float32, method schwarz",
        "sizes": [
            {"size": c.size, "batch": c.batch, "first": times[c][0],
             "second": times[c][1]}
            for c in cases
        ],
    }  # fmt: skip
