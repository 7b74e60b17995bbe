"""The modules of the package that cannot be imported without an optional one."""

import importlib.util

import pytest

NEEDS = {  # and their modules
    "convinv.distributed": "dask",
    "convinv.interop.deepinv": "deepinv",
    "convinv.interop.jax": "jax",
    "convinv.interop.odl": "odl",
    "convinv.interop.onnx": "onnx",
    "convinv.interop.pylops": "pylops",
    "convinv.interop.sigpy": "sigpy",
    "convinv.interop.torch": "torch",
}


def missing(module):
    """The package that a module needs and that is not installed, or None."""
    found = [n for name, n in NEEDS.items() if f"{module}.".startswith(f"{name}.")]
    needed = found[0] if found else None
    return needed if needed and importlib.util.find_spec(needed) is None else None


def skipped(needed, name):
    """A parameter, for a test of what needs a package that is not there."""
    mark = pytest.mark.skip(reason=f"could not import {needed!r}")
    return pytest.param(None, id=name, marks=mark)
