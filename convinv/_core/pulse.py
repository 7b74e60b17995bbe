"""A sign of life from set-ups that take long, so that a callback can end them."""

import contextlib
import threading

_here = threading.local()


class Ended(Exception):
    """A set-up was ended by the callback of the solve that it is for."""


@contextlib.contextmanager
def beating(beat):
    """Have `pulse` call ``beat()`` in this thread meanwhile; it may raise `Ended`."""
    before = getattr(_here, "beat", None)
    _here.beat = beat
    try:
        yield
    finally:
        _here.beat = before


def pulse():
    """To be called by set-ups every few milliseconds."""
    beat = getattr(_here, "beat", None)
    if beat is not None:
        beat()
