"""Every method: with its set-up, again, and an iteration of it."""

import convinv

from ..support.devices import placed
from ..support.measure import Seconds
from ..support.outcome import ABSENT, Outcome, Table
from ..support.quiet import quietly
from . import arrays, cases
from .timing import milliseconds, once, timed

DTYPE = "float32"
LONG = 0.2  # seconds of a call from which it is made but once
SECONDS = 0.15  # for each call that is repeated
RTOL = 1e-6  # of those that apply an inverse and check it
COLUMNS = (
    "method,images,operator,iterations,with set-up ms,again least ms,again median ms,"
    "ms an iteration"
)
TEXT = (
    f"{DTYPE}; 3->8: a layer of 3x3, valid; blur: 11x11, of the same size; batches as "
    "said. With set-up: a new operator, the shorter of two times unless they are "
    "long; again: the same operator. An iteration: the difference between so many "
    f"iterations and twice as many. Methods that apply an inverse go to rtol {RTOL:g}. "
    "Orders of rows: multicolor where a method has that"
)


def entries():
    """Whether an iteration goes over rows, by method; None where it is an inverse.

    Methods for counts take other data.
    """
    listed = [m for m in convinv.methods() if m.objective == "least-squares"]
    found = {m.name: None if m.applies_inverse else m.needs_rows for m in listed}
    return {"auto": None, **found}


def run(session, part):
    rows, taken = [], {}
    batches = session.settings.batches
    for size in batches:
        for name, rowwise in entries().items():
            title = f"{name}, {size}x{size}, batch {batches[size]}"
            if name not in taken and size != min(batches):
                part.notes.append(f"{title}: left out, a smaller one was not measured")
                continue
            if part.late(title, expected(taken.get(name, []), size)):
                taken.pop(name, None)
                continue
            with part.case(title):
                rows.append(measured(session, name, rowwise, size, taken))
    return Outcome([Table("Methods", TEXT, COLUMNS, rows)], [], [], {})


def expected(taken, size):
    """Seconds of a first solve, from those of smaller sizes: a line through the last.

    A single one is taken to grow with the pixels.
    """
    if not taken:
        return 0.0
    (n, seconds), (few, before) = taken[-1], taken[-2] if taken[1:] else (0, 0.0)
    slope = max(seconds - before, 0.0) / (n**2 - few**2)
    return seconds + slope * (size**2 - n**2)


def options_of(settings, name, rowwise, times=1):
    """Options of a solve with so many times the iterations, and their number."""
    if rowwise is None:
        return {"rtol": RTOL}, None
    steps = times * (settings.sweeps if rowwise else settings.iterations)
    steps = times if name == "strip" else steps
    own = cases.OPTIONS.get(name, {})
    return {"rtol": 0, "maxiter": steps, "rng": 0, **own}, steps


def measured(session, name, rowwise, size, taken):
    """A row; the seconds of a first solve go to `taken`."""
    settings, xp = session.settings, session.xp
    batch, host = settings.batches[size], cases.operator(name, size, DTYPE)
    images = arrays.images(xp, batch, *host.input_shape[:2], DTYPE)
    op = placed(host, xp)
    b = op.forward(images)
    few, steps = options_of(settings, name, rowwise)
    many, _ = options_of(settings, name, rowwise, 2)
    calls = {"few": lambda: quietly(op, b, name, **few)}
    if steps:
        calls["many"] = lambda: quietly(op, b, name, **many)
    if size == min(settings.batches):
        calls["few"]()  # compiles, and is no measure of larger images

    def fresh():
        return quietly(placed(host, xp), b, name, **few)

    first, result = once(session, fresh)
    if first < settings.limit / 2:  # a kernel may have been compiled
        first = min(first, once(session, fresh)[0])
    taken.setdefault(name, []).append((size, first))
    if first > LONG:
        calls["few"]()  # the set-up is kept with the operator
        alone = {key: once(session, call)[0] for key, call in calls.items()}
        times = {key: Seconds(value, value) for key, value in alone.items()}
    else:
        times = timed(session, calls, min(SECONDS, settings.seconds))
    each = (times["many"].median - times["few"].median) / steps if steps else None
    return (
        result.method if name != "auto" else f"auto: {result.method}",
        f"{size}x{size}, batch {batch}",
        "blur" if name in cases.BLUR else "3->8",
        result.nit,
        1e3 * first,
        *milliseconds(times["few"]),
        ABSENT if each is None else 1e3 * each,
    )
