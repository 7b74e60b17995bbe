"""The folder beside an output in which it is made, over several runs if need be."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType

from ._journal import Journal, Record
from ._lock import Lock
from ._stores import file_of, is_inside, moved
from ._whole import synced

JOURNAL, LOCK, WHOLE = "journal", "lock", "whole"


class Workplace:
    """``OUT.partial`` beside the output ``OUT``, with the journal of what is done.

    The output lies in it until it is whole. Then it takes its name, and the folder
    goes. One process at a time may work there.

    Parameters
    ----------
    output : str
        As `create_store` has it.
    problem : dict
        What must be the same for the work to go on: texts and numbers by name.
    force : bool
        Whether the output replaces what has its name already.
    restart : bool
        Whether to begin anew.

    Attributes
    ----------
    folder : Path
    working : str
        The name of the output while it is made.
    journal : Journal
    resumed : bool
        Whether an earlier run left work that goes on.

    Raises
    ------
    FileExistsError
        If the output exists and `force` is False, or the folder is not of convinv.
    ValueError
        If another problem's work lies there.
    BlockingIOError
        If another process works there.
    """

    def __init__(
        self,
        output: str,
        problem: Record,
        *,
        force: bool = False,
        restart: bool = False,
    ):
        self.target = Path(os.path.realpath(file_of(output)))
        self.folder = self.target.with_name(f"{self.target.name}.partial")
        self.working = moved(output, self.folder)
        self._force, self._inside = force, is_inside(output)
        if not self.target.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {str(self.target.parent)!r}")
        self._refuse_others()
        if restart or not self._left_at_the_end():
            self._refuse_existing()
        self.folder.mkdir(exist_ok=True)
        self._lock = Lock(self.folder / LOCK)
        try:
            if restart:
                self._empty()
            self.journal = Journal(self.folder / JOURNAL)
            try:
                self.resumed = self._begin(problem)
            except BaseException:
                self.journal.close()
                raise
        except BaseException:
            self._lock.release()
            raise

    def _refuse_others(self) -> None:
        """Only a folder with a journal, or one that was just made, is taken."""
        if not self.folder.exists():
            return
        names = set(os.listdir(self.folder)) if self.folder.is_dir() else {"a file"}
        if JOURNAL not in names and names - {LOCK}:
            raise FileExistsError(
                f"{str(self.folder)!r} exists and is no unfinished work of convinv: "
                "move it away, or choose another name for the output"
            )

    def _refuse_existing(self) -> None:
        if not self.target.exists():
            return
        if self._inside:
            raise FileExistsError(
                f"{str(self.target)!r} exists and may hold other arrays: choose "
                "another name for the output"
            )
        if not self._force:
            name = str(self.target)
            raise FileExistsError(f"{name!r} exists; --force overwrites it")

    def _left_at_the_end(self) -> bool:
        """Whether a run was killed between giving the output its name and the end."""
        whole = (self.folder / WHOLE).exists()
        return whole and self.target.exists() and not file_of(self.working).exists()

    def _empty(self) -> None:
        for entry in self.folder.iterdir():
            if entry.name == LOCK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def _begin(self, problem: Record) -> bool:
        """Write the problem to a new journal, or compare it with that of an old one."""
        if not self.journal.records:
            self.journal.add({"problem": problem})
            self.journal.sync()
            return False
        before = self.journal.records[0].get("problem", {})
        names = [*before, *(name for name in problem if name not in before)]
        other = [name for name in names if before.get(name) != problem.get(name)]
        if other:
            shown = "; ".join(
                f"{name} was {before.get(name)}, is {problem.get(name)}"
                for name in other
            )
            raise ValueError(
                f"{str(self.folder)!r} holds unfinished work on another problem "
                f"({shown}): begin anew with --restart, or choose another name for the "
                "output"
            )
        return len(self.journal.records) > 1

    @property
    def is_whole(self) -> bool:
        """Whether all work is done, and only names are to be changed."""
        return (self.folder / WHOLE).exists()

    def sync(self) -> None:
        """Wait until what is written of the output is on the disk."""
        if hasattr(os, "sync"):
            os.sync()  # all disks, which takes less than to visit each file every time
        else:
            synced(file_of(self.working))

    def discard_working(self) -> None:
        """Remove what is there of the output, in order to begin it anew."""
        made = file_of(self.working)
        if made.is_dir():
            shutil.rmtree(made)
        else:
            made.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the output its name, and remove the folder."""
        made = file_of(self.working)
        if not self.is_whole:
            synced(made)
            (self.folder / WHOLE).touch()
        if made.exists():
            self._refuse_existing()
            if self.target.is_dir() or made.is_dir() and self.target.exists():
                os.replace(self.target, self.folder / "replaced")
            os.replace(made, self.target)
        self.journal.close()
        self._lock.release()
        shutil.rmtree(self.folder)

    def close(self) -> None:
        """Leave the work for a later run; the folder goes if there is none."""
        self.journal.close()
        if len(self.journal.records) < 2 and not self.is_whole:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()

    def __enter__(self) -> Workplace:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
