"""Low-rank priors: singular value thresholding, its gradients, and what solves with it.

Everything takes NumPy or CuPy arrays and works in their library.
"""

from ._admm import admm
from ._descent import fista, proximal_gradient
from ._gradient import spectral_vjp, svt_vjp
from ._iteration import ProximalResult
from ._proximal import (
    NuclearNorm,
    Proximal,
    TensorNuclearNorm,
    TotalVariation,
    nuclear_norm,
    prox_nuclear,
)
from ._sampling import FourierSampling, MaskOperator
from ._svd_gradient import eigh_vjp, svd_vjp
from ._tensor import tensor_nuclear_norm, tensor_svt
from ._threshold import svt
from ._variation import prox_total_variation, total_variation

__all__ = [
    "FourierSampling",
    "MaskOperator",
    "NuclearNorm",
    "Proximal",
    "ProximalResult",
    "TensorNuclearNorm",
    "TotalVariation",
    "admm",
    "eigh_vjp",
    "fista",
    "nuclear_norm",
    "prox_nuclear",
    "prox_total_variation",
    "proximal_gradient",
    "spectral_vjp",
    "svd_vjp",
    "svt",
    "svt_vjp",
    "tensor_nuclear_norm",
    "tensor_svt",
    "total_variation",
]
