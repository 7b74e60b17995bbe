"""Layers of PyTorch: their operators, their inverses, and gradients through both.

Tensors are read without a copy: on the CPU as NumPy arrays, on a CUDA device as CuPy
arrays (which needs CuPy).
"""

try:
    import torch
except ImportError as error:
    raise ImportError(
        "convinv.interop.torch needs torch: python -m pip install torch"
    ) from error

from ._chain import Inverse
from ._chain_result import ChainResult, StageReport
from ._clip import (
    clip_singular_values,
    clip_singular_values_,
    orthogonalize,
    orthogonalize_,
)
from ._conv_inverse import ConvInverse
from ._conv_solve import conv_solve
from ._layers import operator
from ._learned_inverse import LearnedInverse, inverse_network
from ._lipschitz import lipschitz
from ._logabsdet import logabsdet
from ._lowrank import svd, svt
from ._reports import layer_report, spectrum
from ._residual_block import ResidualBlock
from ._spectral_norm import spectral_norm
from ._spectral_parametrization import SpectralNormalized

__all__ = [
    "ChainResult",
    "ConvInverse",
    "Inverse",
    "LearnedInverse",
    "ResidualBlock",
    "SpectralNormalized",
    "StageReport",
    "clip_singular_values",
    "clip_singular_values_",
    "conv_solve",
    "inverse_network",
    "layer_report",
    "lipschitz",
    "logabsdet",
    "operator",
    "orthogonalize",
    "orthogonalize_",
    "spectral_norm",
    "spectrum",
    "svd",
    "svt",
]
