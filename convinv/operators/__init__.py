"""Linear operators on shaped batches of NumPy or CuPy arrays."""

from ._convolution import ConvLinearOperator
from ._radon import Radon
from ._sampling import FourierSampling, MaskOperator

__all__ = ["ConvLinearOperator", "FourierSampling", "MaskOperator", "Radon"]
