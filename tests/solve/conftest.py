"""Solves of a batch in slices."""

import pytest

from convinv._solve.memory import MemoryEstimate


@pytest.fixture
def sliced(monkeypatch):
    """Makes ``max_memory`` cut a batch into slices of so many items."""

    def cut(size):
        monkeypatch.setattr(MemoryEstimate, "fitting", lambda self, limit: size)

    return cut
