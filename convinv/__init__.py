"""Inverting multi-channel convolutions on NumPy and CuPy arrays."""

from ._operator import ConvLinearOperator
from ._result import ConvergenceWarning, SolveResult, Status
from ._solve import methods, solve

__version__ = "0.1.0"

__all__ = [
    "ConvLinearOperator",
    "ConvergenceWarning",
    "SolveResult",
    "Status",
    "methods",
    "solve",
]
