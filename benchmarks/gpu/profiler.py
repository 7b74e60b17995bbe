"""What ran on the device, and when: kernels and copies, by the profiler of torch."""

import json
import pathlib
import tempfile
from typing import NamedTuple

KINDS = {"kernel": "kernel", "gpu_memcpy": "copy", "gpu_memset": "copy"}


class Activity(NamedTuple):
    """A kernel or a copy; times in seconds."""

    name: str
    kind: str
    start: float
    seconds: float


def load():
    """``(torch's profiler, None)``, or None and why there is none."""
    try:
        from torch import profiler
    except ImportError as error:
        return None, f"nothing was profiled: {error}"
    return profiler, None


def recorded(profiler, xp, call):
    """The activities of a call, of every library, in their order."""
    chosen = [profiler.ProfilerActivity.CUDA]
    with profiler.profile(activities=chosen) as found:
        call()
        xp.cuda.Device().synchronize()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "trace.json"
        found.export_chrome_trace(str(path))
        return activities(json.loads(path.read_text(encoding="utf-8")))


def activities(trace):
    """Those that a trace holds, which is in microseconds."""
    found = [
        Activity(
            event["name"], KINDS[event["cat"]], event["ts"] / 1e6, event["dur"] / 1e6
        )
        for event in trace["traceEvents"]
        if event.get("cat") in KINDS
    ]
    return sorted(found, key=lambda one: one.start)


def busy(found):
    """Seconds in which at least one of the activities ran."""
    total, end = 0.0, float("-inf")
    for one in sorted(found, key=lambda one: one.start):
        stop = one.start + one.seconds
        total += max(stop - max(one.start, end), 0.0)
        end = max(end, stop)
    return total
