"""CUDA graphs: work on CuPy arrays captured once, launched often at little cost."""

import contextlib

import cupy

from .cuda_scratch import Scratch, using

SPARE = 2**20  # first guess of the bytes for the small arrays of captured work
KEPT = 2**26  # bytes that a pool which waits for the next graph may hold

# By device the pools that no graph uses, with their streams and scratch. A pool that is
# dropped never frees its memory, and a new one would have to allocate it: closed graphs
# pass theirs on.
_IDLE: dict[int, list] = {}


class Graph:
    """``state = work(state)`` for lists of arrays, always in the same memory.

    `work` is called once for the capture, which computes nothing. It must neither wait
    for the device nor read host memory. The kernels that it launches should have run
    before, and the arrays that it reads besides `state` must not move. Every launch
    overwrites the arrays that it creates: use only the state.

    Attributes
    ----------
    state : list of array
        The memory that a launch reads and overwrites with its results.
    """

    def __init__(self, work, state):
        self.state = [array.copy() for array in state]
        # the memory of the captured arrays must not be given to others, in use or not
        self._idle = _IDLE.setdefault(cupy.cuda.Device().id, [])
        try:
            self._pool, stream, self._scratch = self._idle.pop()
        except IndexError:
            # a pool serves a stream from the memory that it has given it
            self._pool = cupy.cuda.MemoryPool()
            stream = cupy.cuda.Stream(non_blocking=True)  # the default can't capture
            self._scratch = Scratch()
        self._stream = stream
        try:
            with stream, cupy.cuda.using_allocator(self._pool.malloc):
                # freed at once: a reserve that saves the device many allocations
                self._pool.malloc(SPARE + 2 * sum(array.nbytes for array in state))
                with using(self._scratch):
                    self._graph = _capture(
                        stream, lambda: self._settle(work(self.state))
                    )
        except BaseException:
            self._leave()
            raise

    def __call__(self, state):
        """Launch once from `state`, on the current stream; returns the new state."""
        self._settle(state)
        self._graph.launch()
        return self.state

    def _settle(self, state):
        """Copy arrays from elsewhere to the memory that the graph reads."""
        homes = {array.data.ptr for array in self.state}
        moves = []
        for name, (home, array) in enumerate(zip(self.state, state)):
            if (array.shape, array.dtype) != (home.shape, home.dtype):
                raise TypeError(
                    f"array {name} of the state has become {array.dtype} of shape "
                    f"{array.shape}, expected {home.dtype} of shape {home.shape}"
                )
            if array.data.ptr != home.data.ptr:
                # an array in another's memory would be overwritten
                moves.append((home, array.copy() if array.data.ptr in homes else array))
        for home, array in moves:
            cupy.copyto(home, array)

    def close(self):
        """Wait for the launches, and leave the memory to the next graph.

        A running graph must not be destroyed. Arrays of the state that are still in use
        keep theirs.
        """
        cupy.cuda.get_current_stream().synchronize()
        self._graph, self.state = None, []
        self._leave()

    def _leave(self):
        """Leave the memory, the stream and the scratch to the next graph."""
        pool, self._pool = self._pool, None
        if pool.total_bytes() > KEPT:
            pool.free_all_blocks()
        self._idle.append((pool, self._stream, self._scratch))


def _capture(stream, work):
    """The graph of the operations of `work` on the current stream, `stream`."""
    stream.begin_capture()
    try:
        work()
    except BaseException:
        with contextlib.suppress(Exception):  # an invalid capture ends in an error
            stream.end_capture()
        raise
    return stream.end_capture()
