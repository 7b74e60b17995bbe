"""Layers of PyTorch: their operators, their inverses, and gradients through both.

Tensors are read without a copy: on the CPU as NumPy arrays, on a CUDA device as CuPy
arrays (which needs CuPy).
"""

from ._conv_inverse import ConvInverse
from ._conv_solve import conv_solve
from ._layers import operator
from ._learned_inverse import LearnedInverse, inverse_network
from ._lowrank import svd, svt
from ._reports import layer_report, spectrum

__all__ = [
    "ConvInverse",
    "LearnedInverse",
    "conv_solve",
    "inverse_network",
    "layer_report",
    "operator",
    "spectrum",
    "svd",
    "svt",
]
