"""A process that measures cases one after the other, and is replaced where it hangs.

One process measures as long as all goes well, so that what it has compiled and read
stays warm. What it can't stop by itself, a compiled function that does not return or a
process that runs out of memory, costs it its life, and the case is measured again
without the candidate that was at work.
"""

import multiprocessing
import os
import signal

GRACE = 10.0  # seconds beyond a limit until the process counts as hung
START = 60.0  # seconds for imports and for a case's data
SETUP = "set-up"
MEMORY = 0.6  # of the machine's, that a worker may ask for


class Worker:
    """Measures cases by ``measure(case, skipped, announce)`` in another process."""

    def __init__(self, measure):
        self.measure = measure
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()

    def row(self, case):
        """The row of a case, with an "error" where there is none."""
        skipped = {}
        while True:
            self.start()
            self.pipe.send((case, skipped))
            row, name, reason = self._listen()
            if row is not None:
                return row
            self.stop()
            if name == SETUP or name in skipped:
                return {"case": str(case), "error": f"{name}: {reason}"}
            skipped[name] = reason

    def _listen(self):
        """``(row, None, None)``, or who was at work when the process ended, and why."""
        name, limit = SETUP, START
        while self.pipe.poll(limit + GRACE):
            try:
                kind, *content = self.pipe.recv()
            except EOFError:
                self.process.join(GRACE)
                code = self.process.exitcode
                return None, name, f"the process ended with exit code {code}"
            if kind == "row":
                return content[0], None, None
            name, limit = content
        return None, name, f"it did not return within {limit + GRACE:.3g} s"

    def start(self):
        if self.process is not None:
            return
        # a fork would share the parent's threads, which OpenMP does not survive
        context = multiprocessing.get_context("spawn")
        self.pipe, end = context.Pipe()
        arguments = (end, self.measure)
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        end.close()

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.pipe.close()
            self.process = None


def _serve(pipe, measure):
    """Measure what comes through the pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C
    _bound_memory()
    announced = _Announcement(pipe)
    while True:
        try:
            case, skipped = pipe.recv()
        except EOFError:
            return
        try:
            row = measure(case, skipped, announced)
        except Exception as error:  # whatever it was, the other cases can be measured
            message = f"{type(error).__name__}: {error}"
            row = {"case": str(case), "error": message}
        pipe.send(("row", row))


class _Announcement:
    """Tells the parent who is at work, and for how many seconds at most."""

    def __init__(self, pipe):
        self.pipe = pipe

    def __call__(self, name, limit):
        self.pipe.send(("at work", name, limit))


def _bound_memory():
    """Let too large an allocation fail, before the system ends other processes."""
    import resource  # not on Windows, where there is no SIGALRM either

    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (int(MEMORY * total), hard))
