"""Operators learned from pairs of inputs and outputs.

`SpectralOperator` learns the singular system of any linear operator, restricted to the
span of the inputs; `fit_kernel` learns the kernel of a convolution, for which one pair
can suffice. `GramSchmidtNetwork` and `QRNetwork` are the steps of `SpectralOperator` as
layers of a network. `convinv.operators.Radon` is a test case whose singular system is
known.
"""

from ._diagnostics import SpectralDiagnostics
from ._kernel_fit import KernelFit, fit_kernel
from ._networks import GramSchmidtLayer, GramSchmidtNetwork, QRLayer, QRNetwork
from ._spectral_operator import SpectralOperator

__all__ = [
    "GramSchmidtLayer",
    "GramSchmidtNetwork",
    "KernelFit",
    "QRLayer",
    "QRNetwork",
    "SpectralDiagnostics",
    "SpectralOperator",
    "fit_kernel",
]
