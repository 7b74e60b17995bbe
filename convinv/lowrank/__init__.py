"""Low-rank matrices: singular value thresholding, and gradients through it.

Everything takes NumPy or CuPy arrays and works in their library.
"""

from ._spectral_gradient import spectral_vjp, svt_vjp
from ._svd_gradient import eigh_vjp, svd_vjp
from ._svt import nuclear_norm, svt
from ._tensor_svt import tensor_nuclear_norm, tensor_svt

__all__ = [
    "eigh_vjp",
    "nuclear_norm",
    "spectral_vjp",
    "svd_vjp",
    "svt",
    "svt_vjp",
    "tensor_nuclear_norm",
    "tensor_svt",
]
