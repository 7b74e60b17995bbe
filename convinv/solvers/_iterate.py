"""Iterations of a method, on a device those of small problems as CUDA graphs."""

import warnings

from .._core.arrays import cupy_module
from .._problem.problem import DEVICE_CHECK

# Up to so many numbers in the longer vectors of a batch, a device waits for launches
# more than for memory.
SMALL = 2**18


def iterate(problem, monitor, iteration, *objects, eager=None):
    """Call ``iteration()``, which calls ``monitor.update`` once, until that stops it.

    On a device, the iterations between two looks at the stopping test may be captured
    and from then on launched as one. What an iteration leaves to the next therefore has
    to be in variables that it declares as nonlocal, or in attributes of `objects`:
    arrays that keep their shape and dtype, and integers that grow by the same number
    in each iteration and that no array depends on. Where that does not hold for one of
    the next `count` iterations, ``eager(count)`` has to be true.
    """
    replay = None
    if _is_small(problem, monitor):
        replay = _Replay(problem, monitor, iteration, objects, eager)
    stop = not monitor.any_active()
    while not stop:
        if replay is not None and replay.is_due():
            replay()
        else:
            iteration()
        stop = monitor.stopped
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


class _Replay:
    """The iterations between two looks as a graph, captured when first due."""

    def __init__(self, problem, monitor, iteration, objects, eager):
        self.xp, self.monitor, self.iteration = problem.xp, monitor, iteration
        self.eager, self.graph, self.failed = eager, None, False
        # where an iteration leaves something: pairs for getattr and setattr
        self.places = [(cell, "cell_contents") for cell in iteration.__closure__]
        for thing in (monitor, *objects):
            self.places += [(thing, name) for name in vars(thing)]

    def is_due(self):
        """Whether the next iterations up to the next look can be replayed."""
        monitor, count = self.monitor, DEVICE_CHECK
        done = monitor.nit - monitor.start
        if self.failed or done < count or monitor.nit % count:
            return False  # the first iterations load the kernels
        if done + count > monitor.maxiter or self.eager and self.eager(count):
            return False
        return self.graph is not None or self._capture()

    def _capture(self):
        """Make the graph; False if that fails, with everything as before."""
        from ..kernels.cuda_graph import Graph

        xp, monitor, places = self.xp, self.monitor, self.places
        before = [getattr(*place) for place in places]
        arrays = [isinstance(value, xp.ndarray) for value in before]
        self.arrays = [p for p, is_array in zip(places, arrays) if is_array]
        self.norms = xp.empty((DEVICE_CHECK, *monitor.last.shape), monitor.last.dtype)
        try:
            self.graph = Graph(self._work, self._state())
            self.counts = list(self._counted(before, arrays))
        except Exception as error:
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

    def _work(self, state):
        """The iterations, from `state`; returns the state they lead to."""
        monitor = self.monitor
        self._put(state)
        history, monitor.history, monitor.recording = monitor.history, [], True
        for _ in range(DEVICE_CHECK):
            self.iteration()
        for row, norm in zip(self.norms, monitor.history):
            self.xp.copyto(row, norm)
        monitor.history, monitor.recording = history, False
        return self._state()

    def _counted(self, before, arrays):
        """The places of integers that have changed, and by how much."""
        for place, was, is_array in zip(self.places, before, arrays):
            now = getattr(*place)
            if is_array or now is was:
                continue
            if type(now) is not int or type(was) is not int:
                raise TypeError(f"an iteration turned {was!r} into {now!r}")
            yield place, now - was

    def _state(self):
        return [getattr(*place) for place in self.arrays]

    def _put(self, state):
        for place, array in zip(self.arrays, state):
            setattr(*place, array)

    def __call__(self):
        self._put(self.graph(self._state()))
        for place, more in self.counts:
            setattr(*place, getattr(*place) + more)
        self.monitor.replayed(self.norms.copy())

    def close(self):
        """Wait until the graph can go."""
        if self.graph is not None:
            self.graph.wait()
