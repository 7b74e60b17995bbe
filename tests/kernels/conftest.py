"""The launchers of the CUDA kernels, and grids too small for the work."""

import importlib

import pytest

from convinv.kernels import launcher


@pytest.fixture
def kernels(cupy):
    return lambda name: importlib.import_module(f"convinv.kernels.{name}.cuda")


@pytest.fixture
def small_grids(monkeypatch):
    """Every block gets several turns of every loop over the grid."""
    monkeypatch.setattr(launcher, "MAX_X", 2)
    monkeypatch.setattr(launcher, "MAX_YZ", 2)
    monkeypatch.setattr(launcher, "BLOCKS", 2)
    monkeypatch.setattr(launcher, "resident_blocks", lambda: 2)
