"""A function in a process of its own, with the most memory that all processes held."""

import multiprocessing
import traceback

from .peak_memory import PeakMemory
from .threads import inherited


class Failed(RuntimeError):
    """The other process ended without a result; the text is what it had to say."""


def apart(function, *args, threads=None, seconds=None):
    """``(result, peak bytes)`` of a function in a new process.

    `threads` is the number of threads for every library in it. After `seconds` it is
    ended, and `Failed` raised, as when it raises or dies.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(sender, function, args))
    with inherited(threads):
        process.start()
    sender.close()
    try:
        with PeakMemory() as peak:
            found = _received(receiver, process, seconds)
    finally:
        process.kill()
        process.join()
    return found, peak.bytes


def _received(receiver, process, seconds):
    if not receiver.poll(seconds):
        raise Failed(f"it took more than {seconds:.0f} s")
    try:
        done, found = receiver.recv()
    except EOFError:
        process.join()
        raise Failed(f"it ended with exit code {process.exitcode}") from None
    if not done:
        raise Failed(found)
    process.join()
    return found


def _call(sender, function, args):
    try:
        sender.send((True, function(*args)))
    except Exception:  # whatever it was, the other parts can be measured
        sender.send((False, traceback.format_exc()))
