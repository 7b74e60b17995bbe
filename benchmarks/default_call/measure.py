"""What the default call takes for one case, and what its candidates take for it."""

import functools
import gc
import math
import tracemalloc

from ..support.measure import clock, fresh_rounds
from ..support.quality import worst_psnr
from ..support.quiet import quietly
from ..support.time_limit import OutOfTime, TimeLimit

RTOL = 1e-6
AUTO = "auto"
CANDIDATES = {
    "cgls": ("cgls", {}),
    "direct": ("direct", {}),
    "schwarz": ("schwarz", {}),
    "spectral": ("spectral", {}),
    "cgls+circulant": ("cgls", {"preconditioner": "circulant"}),
    "cgls+schwarz": ("cgls", {"preconditioner": "schwarz"}),
    AUTO: ("auto", {}),  # the last one, when the best of the others is known
}
# Seconds of a call: at most FACTOR times the best, but at least LEAST, at most MOST.
FACTOR, LEAST, MOST = 3.0, 0.3, 6.0
SHORT = 0.3  # seconds below which a call is made three times or more
LONG = 2.0  # seconds from which it is made once, and twice in between
REPEAT, ROUNDS = 1.0, 8  # seconds of repetitions, and how many at most
RIVAL = 3.0  # times the best, from which a candidate is not repeated
COMPILE = 120.0  # seconds that a candidate may take to compile
TRACED = 10.0  # times slower, when memory is traced
PLAIN_STEPS = 3  # iterations of cgls after which its memory is known


class Failed(Exception):
    """A candidate does not count; the text says why."""


def measure(case, skipped, announce):
    """A row of the table, a dict that JSON can hold.

    `skipped` maps candidates that are not to be run to the reasons. `announce` is
    called with a candidate's name and its limit in seconds before each of its runs.
    """
    warm(case.small(), frozenset(skipped), announce)
    x, b = case.data()
    failed, times, result = dict(skipped), {}, None
    for name in CANDIDATES:
        if name in skipped:
            continue
        limit = limit_of(times)
        announce(name, 2 * limit)
        try:
            times[name], last = fresh(case, b, name, limit)
        except Failed as reason:
            failed[name] = str(reason)
        else:
            result = last if name == AUTO else None
    repeat(case, b, times, announce)
    row = {"case": str(case), "times": times, "failed": failed}
    if result is not None:
        shape = case.operator().shape
        row |= {"method": result.method, "message": result.message}
        row["nbytes"] = result.extra.get("nbytes")
        if not case.is_regularized and shape[0] >= shape[1]:
            row["decibels"] = worst_psnr(result.x, x)
        announce(AUTO, TRACED * (times[AUTO][0] + SHORT))
        row["peaks"] = peaks(case, b, times[AUTO][0])
    return row


@functools.lru_cache(maxsize=None)
def warm(case, skipped, announce):
    """Compile what the candidates need, or read it from the disk."""
    _, b = case.data()
    for name in CANDIDATES:
        if name not in skipped:
            announce(name, 2 * COMPILE)
            try:
                fresh(case, b, name, COMPILE)
            except Failed:
                continue  # what it has compiled is there all the same
    gc.collect()
    gc.freeze()  # later collections need not look at compiled kernels


def limit_of(times):
    """Seconds of the next candidate's call."""
    best = min((first for first, _ in times.values()), default=MOST)
    return min(max(FACTOR * best, LEAST), MOST)


def fresh(case, b, name, limit):
    """``((first, second), result)``: seconds of two calls with a new operator."""
    method, options = CANDIDATES[name]
    op = case.operator()
    gc.collect()  # what the one before has left behind is not its own

    def call():
        return quietly(op, b, method, damp=case.damp, rtol=RTOL, **options)

    seconds = []
    for _ in range(2):
        try:
            with TimeLimit(limit):
                taken, result = clock(call)
        except OutOfTime as reason:
            raise Failed(str(reason)) from None
        except Exception as error:  # a refusal, or a fault: the others go on
            raise Failed(f"{type(error).__name__}: {error}") from None
        if not result.success:
            raise Failed(f"no success: {result.status.name}")
        seconds.append(taken)
    return tuple(seconds), result


def repeat(case, b, times, announce):
    """Lower the times of the fastest, and of auto, to the shortest of several runs."""
    if not times:
        return
    best = [min(column) for column in zip(*times.values())]
    if best[0] >= LONG:
        return
    limit = limit_of(times)

    def call(name):
        announce(name, 2 * limit)
        try:
            return fresh(case, b, name, limit)
        except Failed:  # this once, under load: the run before has counted
            return (math.inf, math.inf), None

    rivals = [
        name
        for name, taken in times.items()
        if name == AUTO or any(t <= RIVAL * least for t, least in zip(taken, best))
    ]
    count = int(REPEAT / sum(sum(times[name]) for name in rivals))
    count = min(max(count, 2 if best[0] < SHORT else 1), ROUNDS)
    calls = {name: functools.partial(call, name) for name in rivals}
    again, _ = fresh_rounds(calls, math.inf, count)
    for name, taken in again.items():
        times[name] = tuple(map(min, times[name], taken))


def peaks(case, b, seconds):
    """Bytes that auto and cgls hold at most beside b, as Python's allocators see it.

    None where it did not end in `TRACED` times its seconds.
    """
    try:
        with TimeLimit(TRACED * (seconds + SHORT)):
            return {
                AUTO: _peak(case, b, "auto"),
                "cgls": _peak(case, b, "cgls", maxiter=PLAIN_STEPS),
            }
    except OutOfTime:
        return None


def _peak(case, b, method, **options):
    op = case.operator()
    gc.collect()
    tracemalloc.start()
    try:
        quietly(op, b, method, damp=case.damp, rtol=RTOL, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
