"""Streams, events and graphs of the CuPy stand-in.

What is done while the current stream captures is recorded. Arrays made then hold NaN:
nothing is computed, and nothing that is there already is written to, until the graph is
launched, which redoes all that on the same memory. After a launch the arrays made in
the capture hold NaN again, as they lie in memory that the next launch overwrites. A
wait for the device, or memory of the host, makes a capture invalid. So do arrays from
the pool that everybody allocates from.
"""

import contextlib
import time
import weakref

import numpy as np

wait = None  # counts a wait for the device; the stand-in sets it


class Stream:
    """``with Stream():`` makes it current; work is done at once all the same."""

    null = None
    stack = []

    def __init__(self, null=False, non_blocking=False):
        self.recording, self.default = None, null
        self.ptr = 0 if null else id(self)

    def __enter__(self):
        Stream.stack.append(self)
        return self

    def __exit__(self, *_):
        assert Stream.stack.pop() is self

    def synchronize(self):
        if self.recording is not None:
            self.recording.valid = False
            raise RuntimeError("cudaErrorStreamCaptureUnsupported")
        wait()

    def record(self, event=None):
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event):
        pass  # all is done in order

    def begin_capture(self, mode=None):
        if self.default:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if self.recording is not None:
            raise RuntimeError("cudaErrorIllegalState")
        self.recording = _Recording()

    def end_capture(self):
        if self.recording is None:
            raise RuntimeError("cudaErrorIllegalState")
        recording, self.recording = self.recording, None
        if not recording.valid:
            raise RuntimeError("cudaErrorStreamCaptureInvalidated")
        return Graph(recording)

    def is_capturing(self):
        return self.recording is not None


Stream.null = Stream(null=True)
Stream.stack.append(Stream.null)


def current():
    return Stream.stack[-1]


class Event:
    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.time = None

    def record(self, stream=None):
        self.time = time.perf_counter()

    def synchronize(self):
        wait()

    @property
    def done(self):
        return True


def get_elapsed_time(start_event, end_event):
    """Milliseconds between two events."""
    return 1e3 * (end_event.time - start_event.time)


class MemoryPool:
    def malloc(self, size):
        return bytes(0)

    def total_bytes(self):
        return 0

    def free_all_blocks(self):
        pass


_allocators = [None]


@contextlib.contextmanager
def using_allocator(allocator=None):
    _allocators.append(allocator)
    try:
        yield
    finally:
        _allocators.pop()


class _Recording:
    """What a stream has captured."""

    def __init__(self):
        self.steps, self.made, self.valid = [], [], True
        pool = getattr(_allocators[-1], "__self__", None)
        if pool is None:
            raise RuntimeError("a capture allocates from the common pool")
        self.pool = weakref.ref(pool)

    def keep(self, do, result):
        """Have `do` redone into its `result`."""
        results = result if isinstance(result, tuple) else (result,)
        results = tuple(self.own(np.asarray(r)) for r in results)

        def redo():
            again = do()
            again = again if isinstance(again, tuple) else (again,)
            for array, values in zip(results, again, strict=True):
                array[...] = values

        self.steps.append(redo)
        return results if isinstance(result, tuple) else results[0]

    def own(self, array):
        _poison(array)
        self.made.append(array)
        return array


class Graph:
    """What was captured; `launches` counts those of all graphs."""

    launches = 0

    def __init__(self, recording):
        self.recording = recording

    def launch(self, stream=None):
        if self.recording.pool() is None:
            raise RuntimeError("the memory of the capture has been given to others")
        Graph.launches += 1
        with np.errstate(all="ignore"):
            for step in self.recording.steps:
                step()
        for array in self.recording.made:
            _poison(array)


def act(do):
    """Write to what is there already: now, or when the graph is launched."""
    recording = current().recording
    return do() if recording is None else recording.steps.append(do)


def compute(do, inputs):
    """The arrays that `do` makes; views of the `inputs` stay such."""
    recording = current().recording
    if recording is None:
        return do()
    with np.errstate(all="ignore"):
        result = do()
    arrays = [a for a in inputs if isinstance(a, np.ndarray)]
    if isinstance(result, np.ndarray):
        if any(np.may_share_memory(result, a) for a in arrays):
            return result
    elif not isinstance(result, (np.generic, tuple)):
        return result  # dtypes and shapes
    return recording.keep(do, result)


def made(array):
    """Take note of new memory whose contents do not matter."""
    recording = current().recording
    return array if recording is None else recording.own(array)


def refuse(what):
    """What can't be captured makes the capture invalid."""
    recording = current().recording
    if recording is not None:
        recording.valid = False
        raise RuntimeError(f"{what} while the current stream is capturing")


def _poison(array):
    if array.dtype.kind in "fc":
        array.fill(np.nan)
    elif array.dtype.kind in "biu":
        array.fill(np.array(-1).astype(array.dtype))  # True, or what no index may be
