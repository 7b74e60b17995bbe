"""The fastest sweep of STRIP, over the sizes of its windows."""

import time

from convinv.strips import strip_plan

from ..support.measure import clock
from ..support.quality import worst_psnr
from ..support.quiet import quietly

LIMIT = 30.0  # predicted seconds of a sweep from which a window is left out
LARGEST = 2**31  # bytes
TRIALS = 4


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
        reached = worst_psnr(result.x[items], exact)
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
        if plan.memory["factors"] + case.batch * plan.memory["windows"] > LARGEST:
            continue
        tall = rows >= columns and not case.damp
        work = plan.strips * case.batch * rows * columns
        setup = plan.classes * (60 if case.damp else 6) * rows * columns
        setup *= min(rows, columns)
        seconds = work / 3e10 + setup / 1e10
        seconds += plan.strips * case.batch * columns * 5e-9
        if not tall:  # one strip after the other, each with the rest of its unknowns
            seconds += plan.strips * (3e-4 + case.batch * columns**2 / 3e10)
        if seconds <= LIMIT:
            found.append((not tall, seconds, window))
    found.sort()
    return [window for rest, _, window in found if rest == found[0][0]][:TRIALS]
