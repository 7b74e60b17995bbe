"""Reads the command line, runs the command, and ends without a traceback."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .. import ConvergenceError, __version__
from . import deblur, demo, images, invert, methods, psf, report
from ._errors import UsageError
from ._output import Output

COMMANDS = (deblur, psf, invert, report, demo, images, methods)
DONE, FAILED, USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
# What users can cause; any other exception is a fault of the package.
FAILURES = (
    ValueError,
    TypeError,
    ImportError,
    OSError,
    MemoryError,
    OverflowError,
    ConvergenceError,
)
EXAMPLES = """
examples:
  convinv deblur blurred.png sharp.png --psf gaussian:1.5
  convinv deblur scan.tif sharp.tif --psf psf.npy --noise 0.01
  convinv psf before.png after.png --size 15 --output psf.npy
  convinv report layer.npy --size 64,64 --stride 2
  convinv invert model.pt features.npy input.npy --key conv1
  convinv demo

"convinv COMMAND --help" describes the options of a command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        The arguments after the program's name; by default those of the process.

    Returns
    -------
    int
        0 when done, 1 after a failure, 2 if the command line is wrong. The message is
        one line on stderr.

    Raises
    ------
    SystemExit
        Of ``argparse``, with the code 0 after ``--help`` and ``--version``, or 2.

    Examples
    --------
    >>> from convinv.cli import main
    >>> main(["methods"])
    adbk             Averaging deterministic block Kaczmarz, with momentum mADBK
                       options:  momentum=0.0
    ...
    0
    """
    parser = _parser()
    args = parser.parse_args(argv)
    if args.run is None:
        parser.print_help()
        return DONE
    with _warnings_in_one_line(), _termination_cleans_up():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    """Run a command; its failures become a line on stderr and a code."""
    output = Output(args.json)
    try:
        failure = args.run(args, output)
        output.finish()
    except UsageError as error:
        return _say_error(error, USAGE)
    except BrokenPipeError:
        # Who read the output has ended. What is still in the buffer goes nowhere, or
        # Python would try again at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except FAILURES as error:
        return _say_error(error, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return DONE if failure is None else _say_error(failure, FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="convinv",
        description="Deblur pictures and invert multi-channel convolutions.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"convinv {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for command in COMMANDS:
        own = command.add(commands)
        own.add_argument(
            "--json", action="store_true", help="print one JSON object, nothing else"
        )
        own.set_defaults(run=command.run)
    return parser


def _say_error(error: Any, code: int) -> int:
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"convinv: error: {text}", file=sys.stderr)
    return code


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Warnings as lines on stderr, without the place in the code."""

    def show(message: Any, *place: Any, **more: Any) -> None:
        text = " ".join(str(message).split())
        print(f"convinv: warning: {text}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        # an interrupt may come between the opening of a file and what closes it
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.showwarning = show
        yield


@contextmanager
def _termination_cleans_up() -> Iterator[None]:
    """A request to end unwinds the program, so that half-written files are removed."""

    def end(*signal_and_frame: Any) -> None:
        raise SystemExit(TERMINATED)

    if threading.current_thread() is not threading.main_thread():
        yield  # other threads may not set handlers
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
