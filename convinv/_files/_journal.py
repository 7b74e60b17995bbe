"""A journal of finished work, which a killed process leaves in order."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Journal:
    """Records in a file, one JSON object in a line.

    A record counts when its line is whole: what a killed process left of the last line
    is dropped.

    Attributes
    ----------
    records : list of dict
        What is in the file.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self._path = Path(path)
        self._file = self._path.open("a+b", buffering=0)
        try:
            self.records, self._end = self._read()
            self._file.truncate(self._end)
        except BaseException:
            self._file.close()
            raise

    def _read(self) -> tuple[list[Record], int]:
        """The records, and the number of bytes that their lines take."""
        self._file.seek(0)
        records, end = [], 0
        for line in self._file.readall().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            try:
                records.append(json.loads(line))
            except ValueError:
                raise ValueError(
                    f"{str(self._path)!r} is damaged in line {len(records) + 1}; "
                    "begin anew with --restart"
                ) from None
            end += len(line)
        return records, end

    def add(self, record: Record) -> None:
        """Write a record; after an error it is as if it had not been tried."""
        line = json.dumps(record).encode() + b"\n"
        try:
            written = self._file.write(line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        except OSError:
            self._file.truncate(self._end)
            raise
        self._end += len(line)
        self.records.append(record)

    def sync(self) -> None:
        """Wait until what is written is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
