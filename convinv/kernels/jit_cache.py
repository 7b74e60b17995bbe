"""The folder of compiled kernels: in the user's cache folder, not in the package.

By default numba writes beside a module. These files outlive the package, as no
installer removes them: a folder with the package's name remains, which hides another
install.

The folder's name is a hash of the path and the source of all kernels. Two installs, or
two versions, share nothing, and code that was compiled with an older version of a
function in another file is not found; numba itself does not check that.
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

    The folder that the environment variable NUMBA_CACHE_DIR names takes precedence over
    the user's.
    """
    if numba.config.CACHE_DIR:
        return _writable(pathlib.Path(numba.config.CACHE_DIR))
    caches = platformdirs.user_cache_path("convinv", appauthor=False)
    return _writable(caches / _name())


def _name():
    """A name for these sources at this path."""
    here = pathlib.Path(__file__).resolve().parent
    found = hashlib.sha256(str(here).encode())
    for path in sorted(here.rglob("*.py")):
        found.update(path.read_bytes())
    return f"kernels-{found.hexdigest()[:16]}"


def _writable(path):
    """The path, if it is a writable folder or can be created."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError:
        return None


@contextlib.contextmanager
def kept():
    """A context in which numba caches in `folder`.

    It yields whether there is one; if not, nothing must be cached: numba would choose
    another place. Numba asks for the place only when a function is decorated.
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
