"""Print the oldest or the newest Python of this machine that the package supports.

Asked are the versions of pyenv, and ``python3`` and ``python3.x`` on the path; what
does not start, or cannot make a virtual environment, does not count.
"""

import os
import pathlib
import subprocess
import sys

OLDEST = (3, 11)
QUESTION = (
    "import ensurepip, sys, venv; print(*sys.version_info[:3], sys.version_info[3])"
)


def candidates():
    root = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    yield from root.glob("versions/*/bin/python3")
    for folder in map(pathlib.Path, os.environ["PATH"].split(os.pathsep)):
        yield folder / "python3"
        yield from (folder / f"python3.{minor}" for minor in range(OLDEST[1], 40))


def version(path):
    """``(major, minor, micro)`` of a final release, or None."""
    try:
        done = subprocess.run(
            [path, "-c", QUESTION], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    if done.returncode or words[3:] != ["final"]:
        return None
    return tuple(map(int, words[:3]))


def main(which):
    found = {}
    for path in filter(pathlib.Path.is_file, candidates()):
        number = version(path)
        if number and number[:2] >= OLDEST:
            found.setdefault(number, path)
    if not found:
        sys.exit(f"no Python {'.'.join(map(str, OLDEST))} or later on this machine")
    print(found[{"oldest": min, "newest": max}[which](found)])


if __name__ == "__main__":
    main(sys.argv[1])
