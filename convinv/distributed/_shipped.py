"""Objects that every process of a cluster unpickles once, whatever reads them there.

An operator keeps its set-ups (`ShapedOperator.cached`). Where each task unpickled an
operator of its own, each would make them anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import weakref
from collections import deque
from collections.abc import Hashable, Iterator
from typing import Any

import cloudpickle

KEPT = 4  # objects that a process keeps of those that it has received

_alive: weakref.WeakValueDictionary[str, Shipped] = weakref.WeakValueDictionary()
_received: deque[Shipped] = deque(maxlen=KEPT)
_lock = threading.Lock()


class Shipped:
    """An object on its way to other processes, one for each content in a process.

    Attributes
    ----------
    value : object
    token : str
        A hash of its pickle, the same in every process.
    """

    def __init__(self, value: Any) -> None:
        self.bytes = cloudpickle.dumps(value)
        self.token = hashlib.sha256(self.bytes).hexdigest()
        self._begin(value)
        with _lock:
            _alive.setdefault(self.token, self)

    def _begin(self, value: Any) -> None:
        self.value = value
        self._ready: set[Hashable] = set()
        self._first = threading.Lock()

    def __reduce__(self) -> Any:
        return _receive, (self.token, self.bytes)

    def __dask_tokenize__(self) -> str:
        return self.token

    @contextlib.contextmanager
    def first_alone(self, kind: Hashable) -> Iterator[None]:
        """Let the first of the tasks of a kind run alone: it makes what others find."""
        if kind in self._ready:
            yield
            return
        with self._first:
            if kind not in self._ready:
                yield
                self._ready.add(kind)
                return
        yield


def _receive(token: str, data: bytes) -> Shipped:
    """The object of a token in this process, unpickled where there is none yet."""
    with _lock:
        found = _alive.get(token)
        if found is None:
            found = Shipped.__new__(Shipped)
            found.token, found.bytes = token, data
            found._begin(cloudpickle.loads(data))
            _alive[token] = found
        if found not in _received:
            _received.append(found)
        return found
