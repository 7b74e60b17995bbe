"""`convinv deblur` on a zarr store, killed three times and resumed."""

import hashlib
import json
import shutil
import subprocess
import sys
import time

from .problems import PROBLEMS, store

KILLS = (0.2, 0.5, 0.9)  # of the tiles' work, after which the process is killed
LIMIT = 900.0  # seconds until a run is given up
SCHEDULERS = {"one process": (), "two processes": ("--scheduler", "processes")}


def measure(sizes, folder):
    """Rows: for each scheduler, what an unbroken and a broken run leave."""
    problem = PROBLEMS["blur"]
    picture = store(problem, sizes.resumed + problem.taps - 1, sizes.chunk, folder)
    source = folder / "resumed.zarr"
    _flat(picture, source)
    for name, options in SCHEDULERS.items():
        command = [sys.executable, "-m", "convinv", "deblur", str(source)]
        options = ["--psf", "gaussian:1.5", "--strength", "0.1",
                   "--max-memory", sizes.memory, "--chunks", str(sizes.chunk),
                   *options]  # fmt: skip
        whole, broken = folder / "unbroken.zarr", folder / "broken.zarr"
        for path in (whole, broken):
            _remove(path)
        start = time.perf_counter()
        total = _Run([*command, str(whole), *options], whole).end()
        seconds = time.perf_counter() - start
        done = 0
        for share in KILLS:
            run = _Run([*command, str(broken), *options], broken)
            done += run.kill_after(share * total - done)
        again = done + _Run([*command, str(broken), *options], broken).end() - total
        yield {
            "case": f"{sizes.resumed}x{sizes.resumed}, {name}",
            "tiles": total,
            "kills": len(KILLS),
            "again": again,
            "identical": _digest(whole) == _digest(broken),
            "left over": sorted(p.name for p in folder.glob("broken.zarr?*")),
            "seconds": seconds,
        }


def _flat(picture, target):
    """The store of one picture without its axis of channels."""
    import zarr

    source = zarr.open_array(picture, mode="r")
    made = zarr.create_array(
        target,
        shape=source.shape[1:],
        chunks=source.chunks[1:],
        dtype=source.dtype,
        compressors=None,
        overwrite=True,
    )
    step = source.chunks[1]
    for first in range(0, source.shape[1], step):
        made[first : first + step] = source[0, first : first + step]


def _remove(path):
    for found in (path, path.with_name(f"{path.name}.partial")):
        shutil.rmtree(found, ignore_errors=True)


def _digest(path):
    """What all files of a store hold, by their names."""
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


class _Run:
    """A run of the command, and the tiles that it adds to its journal."""

    def __init__(self, command, output):
        self.journal = output.with_name(f"{output.name}.partial") / "journal"
        self.before = self._count(self.journal.read_bytes()) if self._exists() else 0
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self.file = None

    def _exists(self):
        return self.journal.exists()

    @staticmethod
    def _count(lines):
        whole = lines[: lines.rfind(b"\n") + 1].splitlines()
        return sum("tile" in json.loads(line) for line in whole)

    def tiles(self):
        """Those that this run has written."""
        if self.file is None:
            try:
                self.file = self.journal.open("rb")  # stays readable when it is removed
            except FileNotFoundError:
                return 0
        self.file.seek(0)
        return self._count(self.file.read()) - self.before

    def kill_after(self, tiles):
        """Kill the process when it has done so many; what it has done then."""
        self._wait(lambda: self.tiles() >= tiles)
        self.process.kill()
        self.process.communicate()
        return self.tiles()

    def end(self):
        """Let it come to its end; the tiles that it did."""
        self._wait(lambda: False)
        text = self.process.communicate()[1].decode()
        if self.process.returncode:
            raise RuntimeError(f"convinv deblur failed: {text.strip()}")
        return self.tiles()

    def _wait(self, ready):
        end = time.perf_counter() + LIMIT
        while self.process.poll() is None and not ready():
            self.tiles()
            if time.perf_counter() > end:
                self.process.kill()
                raise RuntimeError(f"convinv deblur took more than {LIMIT:.0f} s")
            time.sleep(0.01)


def findings(rows):
    """``(text, whether the bar is met)`` of every run."""
    for row in rows:
        yield (
            f"{row['case']}: killed {row['kills']} times and resumed, the files are "
            f"{'identical' if row['identical'] else 'different'}",
            row["identical"] and not row["left over"],
        )
        yield (
            f"{row['case']}: {row['again']} of {row['tiles']} finished tiles were done "
            "again (bar 0; of those at work when it is killed, one a worker)",
            row["again"] == 0,
        )
