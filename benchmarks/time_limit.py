"""A block of code that is stopped when its time is up."""

import contextlib
import signal

AGAIN = 0.5  # seconds after which a stop is repeated that a finalizer has swallowed


class OutOfTime(BaseException):
    """The time is up; no `except Exception` on the way takes it for its own."""


@contextlib.contextmanager
def time_limit(seconds):
    """Raise `OutOfTime` in the block after so many seconds.

    The alarm is heard between two steps of Python: what compiled code is at work on
    ends first. Needs the main thread, and a system that has SIGALRM.
    """

    def stop(number, frame):
        raise OutOfTime(f"more than {seconds:.3g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
