"""Where compiled kernels are kept: in the user's folder for caches, not in the package.

What numba writes beside a module by default outlives the package, as no installer knows
of it: a folder of the package's name stays behind, which hides an install elsewhere.

The folder's name is a hash of the place and the source of all kernels: two installs, or
two versions, share nothing, and code that was compiled with an older form of a function
of another file is not found, which numba itself does not look at.
"""

import contextlib
import functools
import hashlib
import pathlib
import tempfile
import threading

import numba
import platformdirs

_lock = threading.RLock()


@functools.cache
def folder():
    """The folder, or None where nothing can be written.

    The one that the environment variable NUMBA_CACHE_DIR names goes before that of the
    user.
    """
    if numba.config.CACHE_DIR:
        return _writable(pathlib.Path(numba.config.CACHE_DIR))
    caches = platformdirs.user_cache_path("convinv", appauthor=False)
    return _writable(caches / _name())


def _name():
    """A name for these sources at this place."""
    here = pathlib.Path(__file__).resolve().parent
    found = hashlib.sha256(str(here).encode())
    for path in sorted(here.rglob("*.py")):
        found.update(path.read_bytes())
    return f"kernels-{found.hexdigest()[:16]}"


def _writable(path):
    """The path, if it is a folder that can be written into, or can be made one."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError:
        return None


@contextlib.contextmanager
def kept():
    """While it lasts, what numba is told to cache goes to `folder`.

    It yields whether there is one; if not, nothing must be cached: numba would look for
    another place. Numba asks for the place when a function is decorated, and only then.
    """
    place = folder()
    with _lock:
        before = numba.config.CACHE_DIR
        if place is not None:
            numba.config.CACHE_DIR = str(place)
        try:
            yield place is not None
        finally:
            numba.config.CACHE_DIR = before
