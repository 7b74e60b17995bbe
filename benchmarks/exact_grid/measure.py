"""What the exact inverse of one problem takes, and what its rivals take for it."""

import os
import time

from convinv._planning.ways import Plan

from ..support.measure import fresh_rounds
from ..support.quality import worst_psnr
from .calls import first_and_second, warm
from .iterative import cgls, scipy_lsqr
from .reference import ACCURACY, RTOLS, condition, reference, tolerance
from .strips import best_strip

LARGE = 2**18  # unknowns from which one item is compared with the reference, not three
SLOW = 10.0  # seconds of "auto"
DIRECT_LIMIT = 20.0  # predicted seconds from which `direct` is left out


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
    single = exact_methods(case, op)
    strip, row["strip"] = best_strip(case, op, b, x, items, limit)
    calls = {
        name: first_and_second(case, b, name, {"rtol": rtol, **options})
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
        "decibels": worst_psnr(result.x[items], x),
        "success": bool(result.success),
        "method": result.method,
        "message": result.message,
        "nit": result.nit,
        "nbytes": result.extra.get("nbytes"),
    }
    if strip:
        row["strip"]["seconds"] = times["strip"][0]
    target = min(row["decibels"], ACCURACY)
    row["cgls"] = cgls(case, op, b, x[:1], target, limit)
    row["lsqr"] = scipy_lsqr(case, op, b, row["cgls"]["iterations"])
    return row | {"wall": time.perf_counter() - begin}


def exact_methods(case, op):
    """The exact methods that fit, with their options."""
    methods = {"auto": {}, "schwarz": {}}
    direct = Plan(op, case.damp, case.batch, RTOLS[0]).exact("direct")
    if direct is not None and direct.seconds <= DIRECT_LIMIT:
        methods["direct"] = {"axis": direct.options["axis"]}
    return methods
