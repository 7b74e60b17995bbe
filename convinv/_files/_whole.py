"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def written_whole(path: str | os.PathLike[str], force: bool = False) -> Iterator[IO]:
    """An open file for bytes that becomes `path` when the block ends without an error.

    Until then it lies beside `path` under a hidden name, so that a process that is
    killed in the middle leaves what was there before.

    Raises
    ------
    FileExistsError
        If there is such a file already, now or at the end, and `force` is False.
    """
    target = Path(os.path.realpath(path))  # a link stays one
    check_free(target, force)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        check_free(target, force)
        if target.exists():
            shutil.copymode(target, part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def check_free(path: str | os.PathLike[str], force: bool) -> None:
    """Raise where a file can't be written, because it exists or has no folder."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder, not a file")
    if path.exists() and not force:
        raise FileExistsError(f"{str(path)!r} exists; --force overwrites it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r}")


def synced(path: Path) -> None:
    """Wait until a file, or all files of a folder, are on the disk."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    for each in files:
        with each.open("r+b") as file:
            os.fsync(file.fileno())
