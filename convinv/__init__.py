"""Inverting multi-channel convolutions on NumPy and CuPy arrays."""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import lazy_loader

from ._core.adapters import Adapter, register_adapter
from ._core.result import ConvergenceError, ConvergenceWarning, SolveResult, Status
from ._report import LayerReport, layer_report
from ._solve.front import methods, solve
from ._solve.normal import normal_solve
from ._solve.nullspace import project_nullspace
from .interop import from_dlpack
from .operators._convolution import ConvLinearOperator
from .operators._dot_test import dot_test

__version__ = "0.2.0"


def _adapter(module: str, name: str) -> Callable[[], Adapter]:
    """What makes the adapter of a module, which imports the library it is for."""

    def load() -> Adapter:
        found = importlib.import_module(f"{__name__}.{module}")
        return getattr(found, name)()

    return load


register_adapter("torch", _adapter("interop.torch._adapter", "TorchAdapter"))
register_adapter("dask", _adapter("distributed._adapter", "DaskAdapter"))
register_adapter("deepinv", _adapter("interop.deepinv._adapter", "DeepinvAdapter"))
register_adapter("jax", _adapter("interop.jax._adapter", "JaxAdapter"))
register_adapter("jaxlib", _adapter("interop.jax._adapter", "JaxAdapter"))
register_adapter("odl", _adapter("interop.odl", "OdlAdapter"))
register_adapter("pylops", _adapter("interop.pylops", "PyLopsAdapter"))
register_adapter("sigpy", _adapter("interop.sigpy", "SigPyAdapter"))
register_adapter("xarray", _adapter("interop._xarray", "XarrayAdapter"))

__all__ = [
    "ConvLinearOperator",
    "ConvergenceError",
    "ConvergenceWarning",
    "LayerReport",
    "SolveResult",
    "Status",
    "dot_test",
    "from_dlpack",
    "layer_report",
    "methods",
    "normal_solve",
    "project_nullspace",
    "solve",
]

if TYPE_CHECKING:
    from . import (
        distributed,
        gallery,
        imaging,
        interop,
        learning,
        local_inverse,
        lowrank,
        operators,
        precondition,
        proximal,
        spectra,
        strips,
        testing,
    )

# loaded on first use, as ``convinv.gallery`` or by an import
_load, _submodules, _ = lazy_loader.attach(
    __name__,
    (
        "distributed",
        "gallery",
        "imaging",
        "interop",
        "learning",
        "local_inverse",
        "lowrank",
        "operators",
        "precondition",
        "proximal",
        "spectra",
        "strips",
        "testing",
    ),
)

if not TYPE_CHECKING:  # from which it would hide wrong names
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted({*__all__, *_submodules(), "__version__"})
