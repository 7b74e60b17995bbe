"""A block of code that is stopped when its time is up."""

import signal


class OutOfTime(BaseException):
    """The time is up; no `except Exception` on the way takes it for its own."""


class TimeLimit:
    """Raises `OutOfTime` in the block ``with TimeLimit(seconds):`` after so many.

    It is raised once, between two steps of Python: what compiled code is at work on
    ends first, and a finalizer may swallow it, so that only another process can stop
    all code. Needs the main thread, and a system that has SIGALRM.
    """

    def __init__(self, seconds):
        self.seconds = seconds

    def __enter__(self):
        self.before = signal.signal(signal.SIGALRM, self._stop)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        return self

    def __exit__(self, *error):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.before)

    def _stop(self, number, frame):
        # an alarm that comes when the block has ended must not leave its handler there
        if frame is None or frame.f_code is not TimeLimit.__exit__.__code__:
            raise OutOfTime(f"more than {self.seconds:.3g} s")
