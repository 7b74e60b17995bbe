"""Every function of every kernel against its oracle, in all its forms.

Kernels enrol by `convinv.kernels.KERNELS`, their cases by `support.kernel_cases`.
"""

import importlib
import inspect

import numpy as np
import pytest

from convinv.kernels import KERNELS, load
from support.arrays import DTYPES
from support.kernel_cases import CASES

SET_UP = ("prepare", "scratch_bytes")  # what the cases' calls go through, and estimates


def functions(kernel):
    """The public functions of a kernel, from the form for NumPy arrays."""
    module = importlib.import_module(f"convinv.kernels.{kernel}.cpu")
    return {
        name
        for name, function in inspect.getmembers(module, inspect.isroutine)
        if not name.startswith("_") and function.__module__ == module.__name__
    }


def check(case, module, put, download, dtype):
    """A case against the oracle, up to some hundred roundings."""
    bound = 300 * np.finfo(dtype).eps
    for got, want in zip(case.run(module, put), case.wanted, strict=True):
        got = download(got)
        assert got.shape == want.shape
        close = bound * np.max(np.abs(want), initial=1)
        np.testing.assert_allclose(got, want, rtol=0, atol=close)


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_function_has_a_case(kernel):
    covered = {case.function for case in CASES[kernel]("float64")}
    assert covered == functions(kernel) - set(SET_UP)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_on_numpy_arrays(kernel, dtype):
    module = load(kernel, np)

    def put(given):
        return given.copy() if isinstance(given, np.ndarray) else given

    for case in CASES[kernel](dtype):
        check(case, module, put, np.asarray, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_on_the_device(cupy, kernel, dtype):
    module = load(kernel, cupy)

    def put(given):
        return cupy.asarray(given) if isinstance(given, np.ndarray) else given

    for case in CASES[kernel](dtype):
        check(case, module, put, lambda array: array.get(), dtype)
