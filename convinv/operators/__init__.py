"""Linear operators on shaped batches of NumPy or CuPy arrays."""

from ._base import ShapedOperator
from ._convolution import ConvLinearOperator
from ._diagonal import DiagonalOperator
from ._differences import DifferenceOperator, LaplacianOperator
from ._radon import Radon
from ._sampling import FourierSampling, MaskOperator
from ._stacked import StackedOperator

__all__ = [
    "ConvLinearOperator",
    "DiagonalOperator",
    "DifferenceOperator",
    "FourierSampling",
    "LaplacianOperator",
    "MaskOperator",
    "Radon",
    "ShapedOperator",
    "StackedOperator",
]
