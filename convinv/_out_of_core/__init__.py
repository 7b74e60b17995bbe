"""Problems that are larger than memory: from files to files, over several runs."""

from ._driver import FileDriver
from ._frames import Frames
from ._job import Job, Outcome, solve_in_files
from ._tasks import Done, Runner, TileTask, in_turn

__all__ = [
    "Done",
    "FileDriver",
    "Frames",
    "Job",
    "Outcome",
    "Runner",
    "TileTask",
    "in_turn",
    "solve_in_files",
]
