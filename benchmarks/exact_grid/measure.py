"""What the exact inverse of one problem takes, and what its rivals take for it."""

import math
import os
import time

import numpy as np
import scipy.sparse
from scipy.sparse import linalg

from convinv._planning.ways import Plan
from convinv.operators._polyphase import Polyphase, symbol
from convinv.strips import strip_plan

from ..support.measure import clock, fresh_rounds, quietly
from ..support.problems import Inversion

BAR = 120.0  # dB
RTOLS = (1e-6, 1e-7, 1e-8, 1e-9, 1e-10)  # one with which "auto" reaches the bar
LARGE = 2**18  # unknowns from which one item is compared with the reference, not three
WELL = 10  # condition below which the reference needs no preconditioner
SLOW = 10.0  # seconds of "auto"
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
    begin = time.perf_counter()
    warm(case)
    op, b = case.data()
    items = sorted({0, case.batch // 2, case.batch - 1})
    items = items if op.shape[1] <= LARGE else items[:1]
    x, row = reference(case, b[items])
    rtol = tolerance(case, op, b, x, items)
    row |= case._asdict() | {
        "label": str(case),
        "tall": op.shape[0] >= op.shape[1],
        "condition": condition(op, case.damp),
        "rtol": rtol,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
    single = _single(case, op)
    strip, row["strip"] = best_strip(case, op, b, x, items, limit)
    calls = {
        name: _solves(case, b, name, {"rtol": rtol, **options})
        for name, options in single.items()
    }
    try:
        calls.get("direct", bool)()
    except ValueError:  # it does not fit its memory
        del calls["direct"]
    if strip:
        calls["strip"] = strip
    taken, result = calls["auto"]()
    if taken[0] > SLOW:  # once is enough, and what it chose need not be measured
        calls["auto"] = lambda: (taken, result)
        if result.method in calls:
            calls[result.method] = calls["auto"]
    times, last = fresh_rounds(calls, seconds, most)
    result = last["auto"]
    row |= {
        "times": {k: v for k, v in times.items() if k != "strip"},
        "missed": [k for k in single if k in last and not last[k].success],
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
    return row | {"wall": time.perf_counter() - begin}


def warm(case):
    """Compile what the case needs, on a small one of its kind."""
    size = 24 if case.operator().input_shape[0] > 8 else 64  # fits every method
    small = case._replace(size=min(case.size, size), batch=min(case.batch, 20))
    op, b = small.data()
    for method in ("direct", "schwarz", "cgls", "strip"):
        options = {"window": (8, 8)} if method == "strip" else {}
        quietly(op, b, method, damp=case.damp, rtol=0, maxiter=2, **options)


def tolerance(case, op, b, exact, items):
    """An rtol with which "auto" reaches the bar, or the last that it meets.

    Where 1e-6 does not suffice, the next is smaller by as much as the error is too
    large.
    """
    best, step = RTOLS[0], 0
    while step < len(RTOLS):
        result = quietly(op, b, "auto", damp=case.damp, rtol=RTOLS[step])
        if not result.success:
            break
        best, missing = RTOLS[step], BAR - decibels(result.x[items], exact)
        if missing <= 0:
            break
        last = step == len(RTOLS) - 1
        step = min(step + math.ceil(missing / 20), len(RTOLS) - 1 + last)
    return best


def condition(op, damp):
    """Ratio of the extreme singular values on a torus, damping included."""
    matrices = symbol(Polyphase(op.geometry), op._weights, (1, 64, 64))
    values = np.linalg.svd(np.moveaxis(matrices, (1, 2), (-2, -1)), compute_uv=False)
    squares = values**2 + damp**2
    return float(math.sqrt(squares.max() / squares.min()))


def reference(case, b):
    """The solution to all digits, and what vouches for it."""
    op, b = case.operator("float64"), b.astype(float)
    plain = condition(op, case.damp) < WELL and case.size <= 256
    options = {} if plain else {"preconditioner": "schwarz"}
    result = quietly(op, b, "lsmr", damp=case.damp, rtol=1e-13, **options)
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
    direct = Plan(op, case.damp, case.batch, RTOLS[0]).exact("direct")
    if direct is not None and direct.seconds <= DIRECT_LIMIT:
        methods["direct"] = {"axis": direct.options["axis"]}
    return methods


def _solves(case, b, method, options):
    """A function: ``(seconds with set-up, seconds without, result)`` of a new layer."""

    def call():
        op = case.operator()
        first, _ = clock(lambda: quietly(op, b, method, damp=case.damp, **options))
        second, result = clock(
            lambda: quietly(op, b, method, damp=case.damp, **options)
        )
        return (first, second), result

    return call


def best_strip(case, op, b, exact, items, limit):
    """``(call, notes)`` of the fastest sweep of those that are worth a trial."""
    trials, begin = [], time.perf_counter()
    for window in strip_windows(case, op):

        def call(window=window):
            seconds, result = clock(
                lambda: quietly(
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
        if time.perf_counter() - begin > limit:
            break
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
        setup = plan.classes * (60 if case.damp else 6) * rows * columns
        setup *= min(rows, columns)
        seconds = work / 3e10 + setup / 1e10
        seconds += plan.strips * case.batch * columns * 5e-9
        if not tall:  # one strip after the other, each with the rest of its unknowns
            seconds += plan.strips * (3e-4 + case.batch * columns**2 / 3e10)
        if seconds <= STRIP_LIMIT:
            found.append((not tall, seconds, window))
    found.sort()
    return [window for rest, _, window in found if rest == found[0][0]][:STRIP_TRIALS]


def cgls(case, op, b, exact, target, limit):
    """Seconds of CGLS to so many dB of the first item.

    The iterations are counted in double precision, where they are fewest: CGLS in
    single precision needs more, with restarts from residuals in double precision, or
    ends before. Their time is that of the case's dtype.
    """
    notes = iterations(case, b[:1].astype(float), exact, target, limit)
    count, each = notes["iterations"], notes.pop("each")
    if case.batch == 1 and case.dtype == "float64":
        return notes | {"seconds": count * each}

    def run(maxiter):
        seconds, result = clock(
            lambda: quietly(op, b, "cgls", damp=case.damp, rtol=0, maxiter=maxiter)
        )
        return seconds, result.nit

    if count * case.batch * each <= limit:
        seconds, made = min(run(count) for _ in range(2))
        return notes | {"seconds": seconds * count / made}
    few = max(min(int(limit / (case.batch * each)) - 4, 20), 3)
    (start, first), (end, last) = run(2), run(2 + few)
    each = (end - start) / (last - first)
    seconds = start + each * (count - first)
    return notes | {"seconds": seconds, "extrapolated": True}


def iterations(case, b, exact, target, limit):
    """How many CGLS takes on one item, and the seconds of each.

    The time that it takes to look at x is not counted. What takes longer than `limit`
    is extrapolated from the dB of the second half of the iterations.
    """
    op, seen, looked = case.operator("float64"), [], 0.0
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

    quietly(op, b, "cgls", damp=case.damp, rtol=0, callback=look)
    each = (time.perf_counter() - begin - looked) / seen[-1][0]
    count, reached = seen[-1]
    guessed = reached < target and each * count > limit
    if guessed:
        half, before = seen[len(seen) // 2]
        count += math.ceil((target - reached) * (count - half) / (reached - before))
        reached = target
    elif reached < target:
        count, reached = max(seen, key=lambda pair: pair[1])
    return {
        "iterations": count,
        "each": each,
        "decibels": reached,
        "short": reached < target,
        "extrapolated": guessed,
    }


def scipy_lsqr(case, op, b, count):
    """SciPy's LSQR, extrapolated from a few iterations on one item."""
    flat = b[0].ravel()
    few, runs = (8, 10) if flat.size < 10**6 else (3, 2)

    def run(n):
        options = {"damp": case.damp, "atol": 0, "btol": 0, "conlim": 0}
        return clock(lambda: linalg.lsqr(op, flat, iter_lim=n, **options))[0]

    run(1)
    each = min(run(few) for _ in range(runs)) / few
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
        calls[case] = _solves(case, b, "schwarz", {"rtol": RTOLS[0]})
    times, _ = fresh_rounds(calls, 0.5 if quick else 10.0, 2 if quick else 5)
    return {
        "pixels": "3->8, float32, method schwarz",
        "sizes": [
            {"size": c.size, "batch": c.batch, "first": times[c][0],
             "second": times[c][1]}
            for c in cases
        ],
    }  # fmt: skip
