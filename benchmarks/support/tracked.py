"""Benchmarks that a history is kept of, and those that stand beside a peer."""

import time

from .measure import interleaved


class Tracked:
    """Settings of asv for a second or two a benchmark; `setup` has made the first call.

    asv repeats the setup before every call that it times, and takes the median. On one
    thread, the time of the processor is that of a clock without other programs.
    A fixed version keeps the results of older commits when a suite is edited: raise it
    where a benchmark measures something else than before.
    """

    version = "1"
    rounds, repeat, warmup_time = 1, (5, 100, 1.0), 0.0
    timer = time.process_time


class Beside(Tracked):
    """One task by convinv and by a peer: both times, and convinv's over the peer's.

    A subclass makes the two calls in ``pair(*params)`` and names the peer in `unit`.
    """

    def setup(self, *params):
        self.ours, self.theirs = self.pair(*params)
        self.ours()
        self.theirs()

    def time_convinv(self, *params):
        self.ours()

    def time_peer(self, *params):
        self.theirs()

    def track_ratio(self, *params):
        times = interleaved({"ours": self.ours, "theirs": self.theirs}, seconds=0.5)
        return times["ours"].over(times["theirs"])[0]
