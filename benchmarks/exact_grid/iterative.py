"""What CGLS and SciPy's LSQR take for the same accuracy."""

import math
import time

from scipy.sparse import linalg

from ..support.measure import clock
from ..support.quality import worst_psnr
from ..support.quiet import quietly


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
            seen.append((state.nit, worst_psnr(state.x, exact)))
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
