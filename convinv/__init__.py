"""Inverting multi-channel convolutions on NumPy and CuPy arrays."""

import importlib
from typing import TYPE_CHECKING

from ._core.adapters import Adapter, register_adapter
from ._core.result import ConvergenceError, ConvergenceWarning, SolveResult, Status
from ._report import LayerReport, layer_report
from ._solve.front import methods, solve
from ._solve.normal import normal_solve
from ._solve.nullspace import project_nullspace
from .interop import from_dlpack
from .operators._convolution import ConvLinearOperator
from .operators._dot_test import dot_test

__version__ = "0.1.0"


def _of_torch() -> Adapter:
    from .interop.torch._adapter import TorchAdapter

    return TorchAdapter()


register_adapter("torch", _of_torch)

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

# Loaded on first use, as ``convinv.gallery`` or by an import.
_SUBMODULES = frozenset(
    {
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
    }
)


if TYPE_CHECKING:
    from . import (
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
    )
else:  # which would hide a wrong name from type checkers

    def __getattr__(name: str) -> object:
        if name in _SUBMODULES:
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_SUBMODULES, "__version__"})
