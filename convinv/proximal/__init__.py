"""Priors with a proximal operator, and methods that solve with them.

Everything takes NumPy or CuPy arrays and works in their library.
"""

from ._admm import admm
from ._divergence import KullbackLeibler
from ._elementwise import L1, Box, NonNegative
from ._minimize import minimize
from ._priors import (
    Analysis,
    NuclearNorm,
    Proximal,
    TensorNuclearNorm,
    TotalVariation,
    prox_nuclear,
)
from ._problem import ProximalResult
from ._proximal_gradient import fista, proximal_gradient
from ._total_variation import prox_total_variation, total_variation

__all__ = [
    "Analysis",
    "Box",
    "KullbackLeibler",
    "L1",
    "NonNegative",
    "NuclearNorm",
    "Proximal",
    "ProximalResult",
    "TensorNuclearNorm",
    "TotalVariation",
    "admm",
    "fista",
    "minimize",
    "prox_nuclear",
    "prox_total_variation",
    "proximal_gradient",
    "total_variation",
]
