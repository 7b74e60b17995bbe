"""How much of a solve's time the device works, and on what."""

import collections

from ..papers.strip.problems import Case
from ..support.devices import placed
from ..support.measure import interleaved
from ..support.outcome import Outcome, Table
from ..support.problems import problem
from ..support.quiet import quietly
from . import papers, profiler
from .timing import Events, milliseconds

DTYPE = "float32"
LISTED = 6  # kernels of each solve
NAME = 60  # letters of a kernel's name
COLUMNS = "solve,least ms,median ms,device works ms,kernels,copies"
TEXT = (
    f"{DTYPE}, an operator that has been used. The time of a solve, and of it the time "
    "in which kernels or copies run, from a run under torch's profiler; the rest is "
    "the host's"
)
LONGEST_TEXT = f"The {LISTED} names that take most of the device's time in each solve"
LONGEST_COLUMNS = "solve,kernel,launches,ms"


def run(session, part):
    rows, longest = [], []
    profiled, note = profiler.load()
    if note:
        part.notes.append(note)
    for name, make in cases(session) if profiled else ():
        if part.late(name):
            continue
        with part.case(name):
            measured(session, profiled, name, make(), rows, longest)
    tables = [
        Table("Solves", TEXT, COLUMNS, rows),
        Table("Kernels", LONGEST_TEXT, LONGEST_COLUMNS, longest),
    ]
    return Outcome(tables, [], [], {})


def cases(session):
    """Pairs of a name and a function that makes a solve."""
    size, batch = max(session.settings.strip.items())
    for method in ("auto", "strip"):
        for items in (batch, 1):
            yield layer(session, method, size, items)
    pixels, steps = session.settings.cycle
    yield f"gmres, {pixels}x{pixels}, {steps} steps", lambda: cycle(session)
    pixels, steps = session.settings.peers
    for method in ("cgls", "lsmr"):
        title = f"{method}, {pixels}x{pixels}, {steps} iterations"
        yield title, lambda method=method: iterations(session, method)


def layer(session, method, size, items):
    """The pair for the paper's layer: an exact inverse, or one sweep."""
    options = {"rtol": 1e-6} if method == "auto" else {"maxiter": 1}

    def make():
        case = Case(size, items)
        op = placed(case.operator(), session.xp)
        b = papers.noisy(session.xp, op, case)
        return lambda: quietly(op, b, method, **options)

    return f"{method}, {size}x{size}, batch {items}", make


def cycle(session):
    """One cycle of GMRES on the document's blur."""
    return papers.blurred(session, next(papers.tried(session.settings)), DTYPE)


def iterations(session, method):
    """Iterations on a layer, as many as CuPy's solvers are compared with."""
    size, steps = session.settings.peers
    op, _, b = problem("layer", size, DTYPE, session.xp)
    return lambda: quietly(op, b, method, rtol=0, maxiter=steps)


def measured(session, profiled, name, solve, rows, longest):
    """Time a solve, then record it once more."""
    taken, rounds = Events(session.xp), session.settings.rounds
    times = interleaved({name: solve}, 0.0, rounds, taken=taken)[name]
    found = profiler.recorded(profiled, session.xp, solve)
    kinds = collections.Counter(one.kind for one in found)
    rows.append(
        (name, *milliseconds(times), 1e3 * profiler.busy(found),
         kinds["kernel"], kinds["copy"])
    )  # fmt: skip
    longest += [(name, *kernel) for kernel in longest_of(found)]


def longest_of(found):
    """``(name, launches, ms)`` of the names that took most of the time."""
    launches, seconds = collections.Counter(), collections.Counter()
    for one in found:
        launches[one.name] += 1
        seconds[one.name] += one.seconds
    for name, total in seconds.most_common(LISTED):
        yield name[:NAME].replace("|", "/"), launches[name], 1e3 * total
