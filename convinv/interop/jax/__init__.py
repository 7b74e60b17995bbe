"""Solves and products for JAX: under jit and vmap, with gradients.

JAX arrays go into `convinv.solve`, ``op.forward`` and `convinv.imaging.deconvolve` as
they are, and come out as JAX arrays, as long as nothing traces them; the functions here
are for code that JAX traces.
"""

from ._conv_solve import conv_solve
from ._products import conv_adjoint, conv_forward

__all__ = ["conv_adjoint", "conv_forward", "conv_solve"]
