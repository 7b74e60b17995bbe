"""A run: what its parts share, and the cases of a part."""

import contextlib
import functools
import time
import traceback
from typing import NamedTuple

from convinv._core.errors import MemoryLimit

from . import ceilings


class Session:
    """The array library, the settings, and the ceilings once they are measured."""

    def __init__(self, xp, settings):
        self.xp, self.settings = xp, settings

    @functools.cached_property
    def ceilings(self):
        return ceilings.measure(self)

    def release(self):
        """Give back memory that arrays no longer use."""
        self.xp.get_default_memory_pool().free_all_blocks()


class Failure(NamedTuple):
    """A case that raised."""

    case: str
    error: str
    trace: str


class Part:
    """The cases of a part: what fails or does not fit is written down, no more."""

    def __init__(self, session, seconds):
        self.session, self.end = session, time.perf_counter() + seconds
        self.notes, self.failures = [], []

    @contextlib.contextmanager
    def case(self, name):
        """Keep the exception of one case from the others."""
        try:
            self.session.release()
            yield
        except (MemoryError, MemoryLimit) as reason:
            self.notes.append(f"{name}: left out, {reason}")
        except Exception as error:
            words = f"{type(error).__name__}: {error}"
            self.failures.append(Failure(name, words, traceback.format_exc()))

    def late(self, name, expected=0.0):
        """Whether a case would take too long, which is noted."""
        limit, left = self.session.settings.limit, self.end - time.perf_counter()
        if expected <= limit and left > 0:
            return False
        why = f"expected {expected:.1f} s" if expected > limit else "no time left"
        self.notes.append(f"{name}: left out, {why}")
        return True
