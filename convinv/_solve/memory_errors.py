"""The error of a solve that runs out of memory, with advice."""

import traceback

from .._core.arrays import cupy_module
from .._core.byte_counts import bytes_text


class _Advice:
    """A mixin that gives any subclass of MemoryError a text as message."""

    def __init__(self, text):
        MemoryError.__init__(self, text)

    def __str__(self):
        return self.args[0]

    def __reduce__(self):  # the classes that are made of it have no name to be found by
        return MemoryError, self.args


def explained(error, estimate):
    """An error of the class of `error` that tells what was needed and what would do.

    The frames that raised `error` are cleared: their arrays are free then, so that the
    next attempt finds room.
    """
    traceback.clear_frames(error.__traceback__)
    text = _advice(estimate, _free(estimate.layout))
    kind = type(error)
    return type(kind.__name__, (_Advice, kind), {"__module__": kind.__module__})(text)


def _advice(estimate, free):
    batch = estimate.layout.batch
    items = "one right-hand side" if batch == 1 else f"{batch} right-hand sides"
    text = (
        f"out of memory: a solve of {items} needs about "
        f"{bytes_text(estimate.bytes(batch))} beside op, b, x and the set-up"
    )
    if free is not None:
        text += f", and {bytes_text(free)} are free"
    least = estimate.sliced(1)
    if batch == 1 or (free is not None and least > free):
        one = "" if batch == 1 else f"one alone needs {bytes_text(least)}; "
        return f"{text}; {one}a method that stores less or single precision needs less"
    limit = estimate.bytes(batch) / 2 if free is None else free
    limit = max(0.9 * limit, least)
    largest = max(estimate.fitting(limit), 1)
    return (
        f"{text}; max_memory={bytes_text(1.01 * limit)!r} solves them in slices of at "
        f"most {largest}"
    )


def _free(layout):
    """Free bytes on the device of b, None if unknown."""
    cupy = cupy_module()
    if cupy is None or layout.xp is not cupy:
        return None
    free, _ = layout.b.device.mem_info
    return free + cupy.get_default_memory_pool().free_bytes()
