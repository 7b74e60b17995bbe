"""Memory in which the blocks of a kernel meet: tickets, and parts of sums.

The kernels that run one after another share it, so every stream has its own. A captured
graph may run beside the stream that it was captured on: it brings its own, too.
"""

import contextlib
import threading

import cupy

TICKETS = 2**16
PARTS = 2**14  # float64
STREAMS = 32  # of which memory is kept

_THREADS_OWN = 2  # the handle of a different default stream in each thread
_KEPT: dict[tuple, "Scratch"] = {}
_given = threading.local()


class Scratch:
    """Tickets, which are 0 between launches, and room for parts of sums.

    A launch that needs more of them gets arrays of its own.
    """

    def __init__(self):
        self._tickets = cupy.zeros(TICKETS, dtype="uint32")
        room = cupy.empty(PARTS, dtype="float64")
        self._room = {"float64": room, "complex128": room.view("complex128")}

    def tickets(self, count):
        """At least `count` tickets."""
        enough = count <= self._tickets.size
        return self._tickets if enough else cupy.zeros(count, dtype="uint32")

    def parts(self, count, dtype):
        """Room for `count` parts of float64 or complex128 sums."""
        room = self._room[dtype]
        return room if count <= room.size else cupy.empty(count, dtype=dtype)


def scratch() -> Scratch:
    """That of the graph that is being captured, or of the current stream."""
    given = getattr(_given, "scratch", None)
    if given is not None:
        return given
    stream = cupy.cuda.get_current_stream()
    if stream.ptr > _THREADS_OWN and stream.is_capturing():
        return Scratch()  # somebody else's graph, which may run at any time
    thread = threading.get_ident() if stream.ptr == _THREADS_OWN else 0
    key = cupy.cuda.Device().id, stream.ptr, thread
    found = _KEPT.get(key)
    if found is None:
        # the work of a stream may still use what goes: its pool has it back for later
        for oldest in list(_KEPT)[: len(_KEPT) + 1 - STREAMS]:
            _KEPT.pop(oldest, None)
        found = _KEPT[key] = Scratch()
    return found


def meeting(sums, parts, tickets):
    """What kernels with ``SUMS`` take: room for `parts` of each sum, sums, tickets.

    Those that need not sum take it for no sums.
    """
    if sums.size == 0:
        return sums, sums, cupy.empty(0, dtype="uint32")
    room, dtype = scratch(), sums.dtype.name
    return room.parts(sums.size * parts, dtype), sums, room.tickets(tickets)


@contextlib.contextmanager
def using(own: Scratch):
    """Launches of this thread use `own`."""
    _given.scratch = own
    try:
        yield
    finally:
        _given.scratch = None
