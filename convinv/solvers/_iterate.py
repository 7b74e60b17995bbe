"""The loop of all methods, on a device with small problems' iterations as CUDA graphs.

A method keeps what one iteration leaves to the next in a state, a small dataclass, and
makes an iteration in a function ``step(problem, monitor, state)``.
"""

import dataclasses
import warnings

from .._core.arrays import cupy_module
from .._problem.monitor import DEVICE_CHECK

# Up to so many numbers in the longer vectors of a batch, a device waits for launches
# more than for memory: on an H100 graphs take a quarter of the time there, and less for
# fewer numbers.
SMALL = 2**24
COPIES = 3  # of the state that a graph holds: its own, and as much again twice


def iterate(problem, monitor, step, state, *, on_host=False, period=DEVICE_CHECK):
    """Call ``step(problem, monitor, state)`` until ``monitor.update`` stops it.

    A step changes the fields of `state` in place and calls ``monitor.update`` once.

    On a device, `period` iterations, by default those between two looks at the stopping
    test, may be captured and from then on launched as one graph. What a period leaves
    to the next therefore has to be in fields of `state`, or of dataclasses among these
    fields: arrays that keep their shape and dtype, and integers that grow by the same
    number in each period and that no array depends on. Methods whose host takes part in
    an iteration, as it draws a number or looks at a norm, say ``on_host=True`` and are
    never captured. Where it does so in some iterations only, ``on_host(count)`` says
    whether it will in one of the next `count`.
    """
    replay = None
    if on_host is not True and _is_small(problem, monitor):
        replay = _Replay(problem, monitor, step, state, on_host, period)
    stop = not monitor.any_active()
    try:
        while not stop:
            if replay is not None and replay.is_due():
                replay()
            else:
                step(problem, monitor, state)
            stop = monitor.stopped
    finally:
        if replay is not None:
            replay.close()


def _is_small(problem, monitor):
    """Whether launches are what a plain solve on a device waits for."""
    return (
        problem.xp is cupy_module()
        and problem.is_plain
        and monitor.report is None
        and problem.batch * max(problem.shape) <= SMALL
    )


def _places(state):
    """Where an iteration leaves something: pairs for getattr and setattr."""
    for field in dataclasses.fields(state):
        value = getattr(state, field.name)
        if dataclasses.is_dataclass(value):
            yield from _places(value)
        else:
            yield state, field.name


class _Replay:
    """The iterations of a period as a graph, captured when first due."""

    def __init__(self, problem, monitor, step, state, on_host, period):
        self.problem, self.monitor = problem, monitor
        self.step, self.state, self.on_host = step, state, on_host
        self.period, self.graph, self.failed = period, None, False
        self.places = [(monitor, name) for name in vars(monitor) if name != "items"]
        self.places += [*_places(monitor.items), *_places(state)]

    def is_due(self):
        """Whether the iterations of the next period can be replayed."""
        monitor, count = self.monitor, self.period
        done = monitor.nit - monitor.start
        if self.failed or done < count or done % count:
            return False  # the first iterations load the kernels
        if done + count > monitor.maxiter or self.on_host and self.on_host(count):
            return False
        return self.graph is not None or self._capture()

    def _capture(self):
        """Make the graph; False if that fails, with everything as before."""
        from ..kernels.cuda_graph import Graph

        xp, monitor, places = self.problem.xp, self.monitor, self.places
        before = [getattr(*place) for place in places]
        is_array = [isinstance(value, xp.ndarray) for value in before]
        self.arrays = [place for place, array in zip(places, is_array) if array]
        last = monitor.items.last
        self.norms = xp.empty((self.period, *last.shape), last.dtype)
        try:
            self.graph = Graph(self._work, self._values())
            self.counts = list(self._counted(before, is_array))
        except Exception as error:
            self.close()
            self.graph, self.failed = None, True
            warnings.warn(
                "iterations could not be captured in a CUDA graph and are launched one "
                f"by one: {type(error).__name__}: {error}",
                RuntimeWarning,
                stacklevel=4,
            )
        finally:  # nothing has been computed yet
            for place, value in zip(places, before):
                setattr(*place, value)
        return self.graph is not None

    def _work(self, values):
        """The iterations, from `values` of the arrays; returns those they lead to."""
        monitor = self.monitor
        self._put(values)
        history, monitor.history, monitor.recording = monitor.history, [], True
        for _ in range(self.period):
            self.step(self.problem, monitor, self.state)
        for row, norm in zip(self.norms, monitor.history):
            self.problem.xp.copyto(row, norm)
        monitor.history, monitor.recording = history, False
        return self._values()

    def _counted(self, before, is_array):
        """The places of integers that have changed, and by how much."""
        for place, was, array in zip(self.places, before, is_array):
            now = getattr(*place)
            if array or now is was:
                continue
            if type(now) is not int or type(was) is not int:
                raise TypeError(f"an iteration turned {was!r} into {now!r}")
            yield place, now - was

    def _values(self):
        return [getattr(*place) for place in self.arrays]

    def _put(self, values):
        for place, array in zip(self.arrays, values):
            setattr(*place, array)

    def __call__(self):
        self._put(self.graph(self._values()))
        for place, more in self.counts:
            setattr(*place, getattr(*place) + more)
        self.monitor.replayed(self.norms.copy())

    def close(self):
        """Wait until the graph can go, and leave its memory to the next one."""
        if self.graph is not None:
            self.graph.close()
