"""A file that one process at a time may hold."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt

    def _take(file: IO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(file: IO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Lock:
    """Held from its making to `release`, or to the end of the process.

    Raises
    ------
    BlockingIOError
        If another process, or this one, holds it.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self._file = Path(path).open("a+b")
        try:
            _take(self._file)
        except OSError:
            self._file.close()
            folder = str(Path(path).parent)
            raise BlockingIOError(
                f"another process works in {folder!r}: wait for its end, or choose "
                "another name for the output"
            ) from None

    def release(self) -> None:
        """Let others take it."""
        self._file.close()
