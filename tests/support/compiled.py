"""Libraries compiled from C++ in a test, kept for the next session."""

import contextlib
import fcntl
import getpass
import hashlib
import os
import pathlib
import subprocess
import tempfile


def compiled(text, command, reads=(), suffix=".so"):
    """The path of what the compiler `command` makes of `text`.

    `reads` are files that `text` includes. Processes that want the same wait for the
    first of them.
    """
    key = hashlib.sha256("\0".join([text, *command]).encode())
    for path in reads:
        key.update(path.read_bytes())
    target = folder() / f"{key.hexdigest()[:24]}{suffix}"
    with absent(target) as wanted:
        if wanted:
            part = target.with_suffix(f".{os.getpid()}")
            output([*command, "-o", str(part)], text)
            part.replace(target)
    return target


@contextlib.contextmanager
def absent(target):
    """``with absent(path) as wanted:`` -- whether it is this process that makes it."""
    if target.exists():
        yield False
        return
    name = target.with_suffix(".lock")
    with open(name, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not target.exists()
        # Whoever makes a new one finds the target. Not after an error: who waits for
        # this file and who comes next would make the target at the same time.
        name.unlink(missing_ok=True)


def folder():
    path = pathlib.Path(tempfile.gettempdir()) / f"cuda_host-{getpass.getuser()}"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def output(command, text):
    """What a compiler prints that reads C++ from its standard input."""
    command = [*command, "-x", "c++", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout
