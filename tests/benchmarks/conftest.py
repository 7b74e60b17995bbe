"""The stand-in for CuPy as benchmarks need it, and the command that measures on it."""

import pytest

from support.benchmark_device import device, small


@pytest.fixture
def cupy():
    with device() as module:
        yield module


@pytest.fixture
def command(cupy, monkeypatch):
    return small(cupy, monkeypatch)
