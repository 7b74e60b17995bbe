"""asv's run over a list of commits; what has been measured is not measured again."""

import pathlib
import subprocess
import sys
import tempfile

from .defaults import CONFIG
from .machine import register

FAILURES = 2  # asv's exit status where some benchmarks failed


class AsvFailed(RuntimeError):
    """asv ended before it had measured everything."""


def asv(*arguments, config=CONFIG):
    """The exit status of an asv command."""
    command = [sys.executable, "-m", "asv", *arguments, "--config", str(config)]
    return subprocess.run(command, check=False).returncode


def measure(hashes, bench, machine, again=False):
    """Run the benchmarks that match on all commits; their results are kept."""
    register(machine)
    selected = [f"--bench={pattern}" for pattern in bench]
    skipped = [] if again else ["--skip-existing"]
    with tempfile.TemporaryDirectory() as folder:
        # asv finds the benchmarks with the first commit: the newest has all of them
        file = pathlib.Path(folder, "commits")
        file.write_text("\n".join(hashes))
        status = asv(
            "run", f"--machine={machine}", *selected, *skipped, f"HASHFILE:{file}"
        )
    if status not in (0, FAILURES):
        raise AsvFailed(f"asv run ended with status {status}; its own words are above")
    if status == FAILURES:
        print("Some benchmarks failed (asv's lines above say which); the rest is kept.")
