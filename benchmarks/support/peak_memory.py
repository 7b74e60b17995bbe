"""The most memory that this process and all that it has started have held together."""

import threading

import psutil


class PeakMemory:
    """Samples memory while ``with PeakMemory() as peak:`` runs; `peak.bytes` after it.

    A page that processes share counts once where the system tells who shares it (PSS,
    on Linux); elsewhere only pages of one process alone count (USS). What the system
    keeps of files that were read or written is not a process's.
    """

    def __init__(self, interval=0.05):
        self.interval = interval
        self.bytes = 0
        self.samples = 0

    def __enter__(self):
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        self._thread.join()
        self._take()

    def _sample(self):
        while not self._ended.wait(self.interval):
            self._take()

    def _take(self):
        self.bytes = max(self.bytes, held())
        self.samples += 1


def held():
    """Bytes of this process and its descendants now."""
    this = psutil.Process()
    return sum(map(_own, [this, *this.children(recursive=True)]))


def _own(process):
    try:
        found = process.memory_full_info()
    except psutil.Error:  # it has ended meanwhile
        return 0
    return getattr(found, "pss", found.uss)
