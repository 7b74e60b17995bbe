"""Iterations launched one by one and as CUDA graphs, by the size of the problem."""

import contextlib
import math
from unittest import mock

from convinv.solvers import _iterate

from ..support.measure import interleaved
from ..support.outcome import ABSENT, Outcome, Table
from ..support.problems import problem_operator
from ..support.quiet import quietly
from . import arrays
from .timing import Events

DTYPE = "float32"
METHODS = ("cgls", "lsmr")
FEW, MANY = 24, 72  # iterations: the first eight are launched one by one
COLUMNS = (
    "method,images,numbers,one by one ms,graph ms,one by one / graph,capture ms,"
    "pays from iteration"
)
TEXT = (
    f"{DTYPE}, a layer 3->8 of 3x3, one image; numbers: of the longer vector. "
    f"Milliseconds an iteration: the difference between {MANY} and {FEW} iterations. "
    "Capture: what a solve with a graph takes beyond its iterations; it pays from "
    "where both have taken the same time"
)


def run(session, part):
    rows = []
    for method in METHODS:
        for size in session.settings.graphs:
            title = f"{method}, {size}x{size}"
            if part.late(title):
                continue
            with part.case(title):
                rows.append(compared(session, method, size))
    return Outcome([Table("Graphs", TEXT, COLUMNS, rows)], [], [], {})


@contextlib.contextmanager
def captured(always):
    """Solves of any size capture their iterations, or none does."""
    with mock.patch.object(_iterate, "SMALL", math.inf if always else -1):
        yield


def compared(session, method, size):
    """A row: an iteration in both ways, and what the graph costs."""
    xp = session.xp
    op = problem_operator("layer", size, DTYPE, xp)
    b = op.forward(arrays.images(xp, 1, *op.input_shape[:2], DTYPE))

    def solve(always, steps):
        with captured(always):
            quietly(op, b, method, rtol=0, maxiter=steps)

    calls = {
        (always, steps): lambda always=always, steps=steps: solve(always, steps)
        for always in (False, True)
        for steps in (FEW, MANY)
    }
    times = interleaved(calls, 0.0, session.settings.rounds, taken=Events(xp))
    found = {key: value.median for key, value in times.items()}
    single, graph = (
        (found[always, MANY] - found[always, FEW]) / (MANY - FEW)
        for always in (False, True)
    )
    replayed = FEW - _iterate.DEVICE_CHECK
    capture = found[True, FEW] - found[False, FEW] + replayed * (single - graph)
    pays = ABSENT
    if single > graph:
        pays = _iterate.DEVICE_CHECK + max(math.ceil(capture / (single - graph)), 0)
    return (
        method,
        f"{size}x{size}",
        max(op.shape),
        1e3 * single,
        1e3 * graph,
        single / graph,
        1e3 * capture,
        pays,
    )
