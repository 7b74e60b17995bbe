"""The real CuPy over a fake device: memory and kernels of the host (tests only).

`install` comes before the first ``import cupy``. `counts` tells what was done.
"""

import contextlib
import ctypes
import dataclasses
import os
import sys

_LIBRARY = None


def install():
    """Put the fake device in the place of CUDA's driver, runtime and libraries."""
    global _LIBRARY
    if _LIBRARY is not None:
        return
    if "cupy_backends" in sys.modules:
        raise RuntimeError("CuPy was imported before the fake device was installed")
    os.environ["CUPY_ACCELERATORS"] = ""  # not CUB, whose kernels are compiled already
    from . import entry_points, libraries  # modules that need CuPy

    _LIBRARY = libraries.load()
    entry_points.replace(_LIBRARY)
    from cupy.cuda import compiler, function

    from . import kernels

    kernels.replace(compiler, function)


def installed():
    return _LIBRARY is not None


@dataclasses.dataclass
class Counts:
    """What was done from the start of `counts` to its end, or to now."""

    launches: int = 0  # kernels launched one by one
    captured: int = 0  # kernels recorded in graphs
    graph_launches: int = 0
    graph_nodes: int = 0  # kernels, copies and fills that launched graphs ran
    blas: int = 0  # calls of cuBLAS
    fft: int = 0  # of cuFFT
    solver: int = 0  # of cuSOLVER
    sparse: int = 0  # of cuSPARSE
    waits: int = 0  # of the host for a device
    to_host: int = 0  # copies from a device
    to_device: int = 0
    copies: int = 0  # within a device, and fills
    allocations: int = 0  # cudaMalloc
    frees: int = 0
    bytes: int = 0  # that allocated memory has grown by
    names: dict = dataclasses.field(default_factory=dict)  # calls by kernel or function

    @property
    def calls(self):
        """All that the host has started: launches, graphs and calls of libraries."""
        libraries = self.blas + self.fft + self.solver + self.sparse
        return self.launches + self.graph_launches + libraries


NUMBERS = [field.name for field in dataclasses.fields(Counts)][:-1]


@contextlib.contextmanager
def counts():
    """``with counts() as done:`` -- then ``done.launches`` and the others."""
    before, result = now(), Counts()
    try:
        yield result
    finally:
        after = now()
        for name in NUMBERS:
            setattr(result, name, getattr(after, name) - getattr(before, name))
        for name, count in after.names.items():
            if count > before.names.get(name, 0):
                result.names[name] = count - before.names.get(name, 0)


def now():
    """All that was done since `install`."""
    read = _LIBRARY.dry_counts
    read.restype = ctypes.POINTER(ctypes.c_long)
    names = {}
    tell = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_long)
    _LIBRARY.dry_names(tell(lambda name, count: names.update({name.decode(): count})))
    return Counts(*read()[: len(NUMBERS)], names=names)
