"""Times by the device's own clock."""

import math

from ..support.measure import interleaved

SPAN = 2e-3  # seconds between two events at least: much more than their resolution
MOST = 100  # calls between two events


class Events:
    """Seconds of a call, from events around several repetitions of it."""

    def __init__(self, xp):
        self.xp, self.repeats = xp, {}

    def __call__(self, call):
        if call not in self.repeats:
            once = max(self.between(call, 1), SPAN / MOST)
            self.repeats[call] = math.ceil(SPAN / once)
        return self.between(call, self.repeats[call])

    def between(self, call, repeats):
        cuda = self.xp.cuda
        start, stop = cuda.Event(), cuda.Event()
        start.record()
        for _ in range(repeats):
            call()
        stop.record()
        stop.synchronize()
        return 1e-3 * cuda.get_elapsed_time(start, stop) / repeats


def timed(session, calls, seconds=None):
    """The shortest and the median time of every function of a dict, in turn."""
    settings = session.settings
    seconds = settings.seconds if seconds is None else seconds
    return interleaved(calls, seconds, settings.rounds, taken=Events(session.xp))


def once(session, call):
    """``(seconds, result)`` of one call."""
    found = []
    seconds = Events(session.xp).between(lambda: found.append(call()), 1)
    return seconds, found[0]


def milliseconds(times):
    """The shortest and the median, as two cells."""
    return 1e3 * times.least, 1e3 * times.median
