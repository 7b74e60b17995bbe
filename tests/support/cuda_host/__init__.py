"""CUDA kernels without a GPU: the same source compiled for the CPU (tests only).

`installed` puts a NumPy-backed stand-in in the place of ``cupy``.
"""

import contextlib
import re
import sys

import pytest

# For tests of the stand-in, or of what only it can count.
on_host = pytest.mark.parametrize("cupy", ["host"], indirect=True)


@contextlib.contextmanager
def installed():
    """``with installed() as cupy:`` -- the package finds the stand-in as ``cupy``."""
    from convinv.kernels import launcher

    from . import fake_cupy

    before = {name: sys.modules.pop(name, None) for name in _device_modules()}
    fakes = {
        "cupy": fake_cupy,
        "cupyx": fake_cupy.cupyx,
        "cupyx.scipy": fake_cupy.cupyx.scipy,
        "cupyx.scipy.fft": fake_cupy.cupyx.scipy.fft,
    }
    before |= {name: sys.modules.get(name) for name in fakes}
    sys.modules.update(fakes)
    launcher.forget()
    try:
        yield fake_cupy
    finally:
        launcher.forget()
        for name in (*_device_modules(), *fakes):
            del sys.modules[name]
        sys.modules.update({k: v for k, v in before.items() if v is not None})


def _device_modules():
    """Modules that hold on to the ``cupy`` they were imported with."""
    device = re.compile(r"convinv\.kernels\.([a-z]+\.)?cuda(_\w+)?")
    return [name for name in sys.modules if device.fullmatch(name)]
