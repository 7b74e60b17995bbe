"""Regular calls from long set-ups, so that a callback can end them."""

import contextlib
import threading

_here = threading.local()


class Ended(Exception):
    """The callback of the solve ended its set-up."""


@contextlib.contextmanager
def beating(beat):
    """Within this context `pulse` calls ``beat()``, which may raise `Ended`."""
    before = getattr(_here, "beat", None)
    _here.beat = beat
    try:
        yield
    finally:
        _here.beat = before


def pulse():
    """Set-ups call this every few milliseconds."""
    beat = getattr(_here, "beat", None)
    if beat is not None:
        beat()
