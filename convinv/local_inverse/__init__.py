"""Approximate inverses near a reference: cheap, and with a bound of their error."""

from ._certify import Certificate, InverseResult, certify
from ._nearby import Contraction, NearbyPreconditioner, contraction, kernel_distance
from ._neumann import LocalInverse, NeumannOperator
from ._newton import newton_schulz
from ._region import FeasibleRegion
from ._relu import ReLUInverse, relu_realization

__all__ = [
    "Certificate",
    "Contraction",
    "FeasibleRegion",
    "InverseResult",
    "LocalInverse",
    "NearbyPreconditioner",
    "NeumannOperator",
    "ReLUInverse",
    "certify",
    "contraction",
    "kernel_distance",
    "newton_schulz",
    "relu_realization",
]
