"""Inverting multi-channel convolutions on NumPy and CuPy arrays."""

from ._dot_test import dot_test
from ._operator import ConvLinearOperator
from ._result import ConvergenceWarning, SolveResult, Status
from ._solve import methods, solve
from .interop import from_dlpack
from .normal import normal_solve
from .nullspace import project_nullspace
from .report import layer_report

__version__ = "0.1.0"

__all__ = [
    "ConvLinearOperator",
    "ConvergenceWarning",
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
