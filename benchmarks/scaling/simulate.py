"""A simulation of sweeps over tiles on many workers, event by event.

Every worker takes the next tile of the sweep, reads its data from a storage that all
share, gets the halo from other workers where these hold the image, computes for a time
drawn from measured ones, and writes what it keeps. A sweep begins when the one before
has ended, since the sum of the norms decides whether there is a next one; a check is
the last. Some workers are slow, and some fail and come back; what they were at is done
again.

Nothing here is a measurement. `benchmarks.scaling` compares simulated with measured
times for the workers of one machine; beyond that the figures are as good as the
bandwidths that they assume.
"""

import heapq
import math
from typing import NamedTuple

import numpy as np

from .model import CHECK, FIRST, traffic


class Cluster(NamedTuple):
    """Workers and what they share; bytes and seconds."""

    workers: int
    storage: float = math.inf  # bytes a second of all workers together
    network: float = math.inf  # likewise, between workers
    link: float = math.inf  # bytes a second of one worker, to either
    dispatch: float = 0.0  # seconds of the scheduler for a task, one after the other
    spread: tuple = (1.0,)  # a task's seconds over their mean, to draw from
    slow_share: float = 0.0  # of workers
    slow_factor: float = 1.0
    failures: float = 0.0  # of one worker in an hour
    restart: float = 60.0  # seconds until it is back
    holds: bool = False  # the image is in the workers' memories, not in the storage


class Simulated(NamedTuple):
    """What came out of a simulation."""

    seconds: float
    phases: list  # seconds of each sweep, and of the check
    computing: float  # share of all workers' time that is not spent waiting
    tasks: int  # with those done again
    failures: int
    stored: float  # bytes read and written
    sent: float  # bytes between workers


def simulate(job, cluster, rates, seed=0):
    """Simulate all phases of a `model.Job`; returns `Simulated`."""
    run = _Run(job, cluster, rates, np.random.default_rng(seed))
    phases = [run.through(number, phase) for number, phase in enumerate(job.phases)]
    busy = run.computed / (cluster.workers * run.now) if run.now else 0.0
    return Simulated(
        run.now, phases, busy, run.tasks, run.failed, run.storage.moved, run.net.moved
    )


def bounds(job, cluster, rates):
    """Seconds that each part would take alone, with the work spread evenly."""
    stored, sent = map(sum, zip(*(_moved(job, cluster, p) for p in job.phases)))
    tasks = job.tiles * len(job.phases)
    work = sum(rates.seconds(job, phase) for phase in job.phases)
    return {
        "workers": job.tiles * work / cluster.workers,
        "storage": job.tiles * stored / cluster.storage,
        "network": job.tiles * sent / cluster.network,
        "scheduler": tasks * cluster.dispatch,
    }


def _moved(job, cluster, phase):
    """Bytes of a task from and to the storage, and from other workers."""
    moved = traffic(job, phase)
    if not cluster.holds:
        return moved.read + moved.written, 0.0
    # the data are read once and stay where their tile is, the result is written once
    last = job.tile**job.axes * job.c_in * job.itemsize if phase == CHECK else 0.0
    return (moved.read - moved.halo if phase == FIRST else last), moved.halo


class Shared:
    """A link on which all transfers of the moment get the same rate.

    All get the same bytes, so that one count of bytes a transfer since the start tells
    when each ends: at the count of its start and its own bytes more.
    """

    def __init__(self, total, each):
        self.total, self.each = total, each
        self.count, self.when, self.active, self.queue = 0.0, 0.0, {}, []
        self.moved = 0.0

    def rate(self):
        return min(self.each, self.total / max(len(self.active), 1))

    def advance(self, now):
        if self.active and now > self.when:
            self.count += self.rate() * (now - self.when)
        self.when = now

    def start(self, now, worker, size):
        self.advance(now)
        self.active[worker] = end = self.count + size
        heapq.heappush(self.queue, (end, worker))
        self.moved += size

    def cancel(self, now, worker):
        self.advance(now)
        self.active.pop(worker, None)

    def next(self):
        """``(time, worker)`` of the next transfer to end, or None."""
        while self.queue and self.active.get(self.queue[0][1]) != self.queue[0][0]:
            heapq.heappop(self.queue)
        if not self.queue:
            return None
        end, worker = self.queue[0]
        return self.when + max(end - self.count, 0.0) / self.rate(), worker

    def end(self, now, worker):
        self.advance(now)
        heapq.heappop(self.queue)
        del self.active[worker]


class _Run:
    """The state of a simulation: the clock, the workers, and what is on its way."""

    def __init__(self, job, cluster, rates, rng):
        self.job, self.cluster, self.rng = job, cluster, rng
        self.rates = rates
        self.storage = Shared(cluster.storage, cluster.link)
        self.net = Shared(cluster.network, cluster.link)
        self.spread = np.asarray(cluster.spread)
        slow = rng.random(cluster.workers) < cluster.slow_share
        self.factor = np.where(slow, cluster.slow_factor, 1.0)
        self.now = self.free = self.computed = 0.0
        self.tasks = self.failed = 0
        self.timers = []  # (time, serial, worker, what, task)
        self.serial = 0
        self.attempt = [0] * cluster.workers  # timers of an earlier one are void
        self.held = [0] * cluster.workers  # tiles that it finished in this phase
        self.rounds = [1] * cluster.workers  # phases that its task makes up for
        self.then = {}  # what a worker does when its transfer has ended
        self.down = set()
        for worker in range(cluster.workers):
            self._next_failure(worker)

    def through(self, number, phase):
        """Do all tiles once; returns the seconds."""
        began, self.number = self.now, number
        self.stored, self.sent = _moved(self.job, self.cluster, phase)
        self.mean = self.rates.seconds(self.job, phase)
        self.written = traffic(self.job, phase).written
        if self.cluster.holds:
            self.written = self.stored if phase == CHECK else 0.0
        self.waiting, self.again, self.left = self.job.tiles, 0, self.job.tiles
        self.held = [0] * self.cluster.workers
        self.idle = [w for w in range(self.cluster.workers) if w not in self.down]
        self._hand_out()
        while self.left:
            self._event()
        return self.now - began

    def _hand_out(self):
        while self.waiting + self.again and self.idle:
            worker = self.idle.pop()
            # a tile that was lost with its worker's memory goes through all phases
            lost = self.again > 0
            self.again, self.waiting = self.again - lost, self.waiting - (not lost)
            self.rounds[worker] = self.number + 1 if lost else 1
            self.tasks += self.rounds[worker]
            self.free = max(self.free, self.now) + self.cluster.dispatch
            self._timer(self.free, worker, "read")

    def _timer(self, when, worker, what):
        self.serial += 1
        entry = (when, self.serial, worker, what, self.attempt[worker])
        heapq.heappush(self.timers, entry)

    def _next_failure(self, worker):
        if self.cluster.failures:
            wait = float(self.rng.exponential(3600 / self.cluster.failures))
            self.serial += 1
            entry = (self.now + wait, self.serial, worker, "fail", None)
            heapq.heappush(self.timers, entry)

    def _event(self):
        """Go on to what comes first: a timer, or the end of a transfer."""
        links = [
            (found, link) for link in (self.storage, self.net) if (found := link.next())
        ]
        (when, worker), link = min(
            links, key=lambda e: e[0], default=((math.inf, 0), 0)
        )
        if self.timers and self.timers[0][0] <= when:
            self.now, _, worker, what, attempt = heapq.heappop(self.timers)
            if attempt is None or attempt == self.attempt[worker]:
                getattr(self, f"_{what}")(worker)
            return
        self.now = when
        link.end(when, worker)
        self.then[worker](worker)

    # What a worker does, one after the other.

    def _read(self, worker):
        self._transfer(self.storage, worker, self.stored - self.written, self._halo)

    def _halo(self, worker):
        size = self.sent * self.rounds[worker]
        self._transfer(self.net, worker, size, self._compute)

    def _compute(self, worker):
        drawn = self.spread[self.rng.integers(len(self.spread))]
        rounds = self.rounds[worker]
        seconds = float(rounds * self.mean * drawn * self.factor[worker])
        self.computed += seconds
        self._timer(self.now + seconds, worker, "write")

    def _write(self, worker):
        self._transfer(self.storage, worker, self.written, self._done)

    def _done(self, worker):
        self.left -= 1
        self.held[worker] += 1
        self.idle.append(worker)
        self._hand_out()

    def _transfer(self, link, worker, size, then):
        if size <= 0 or math.isinf(link.rate()):
            link.moved += size
            then(worker)
            return
        self.then[worker] = then
        link.start(self.now, worker, size)

    # Failures.

    def _fail(self, worker):
        self._next_failure(worker)
        if worker in self.down:
            return
        self.failed += 1
        self.down.add(worker)
        self.attempt[worker] += 1
        for link in (self.storage, self.net):
            link.cancel(self.now, worker)
        if worker in self.idle:
            self.idle.remove(worker)
        elif self.rounds[worker] > 1:
            self.again += 1
        else:
            self.waiting += 1
        if self.cluster.holds:
            self.again += self.held[worker]
            self.left += self.held[worker]
            self.held[worker] = 0
        self._timer(self.now + self.cluster.restart, worker, "back")
        self._hand_out()

    def _back(self, worker):
        self.down.discard(worker)
        self.idle.append(worker)
        self._hand_out()
