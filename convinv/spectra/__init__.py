"""The singular values of a layer: its rank, its condition and how it amplifies noise.

A layer that is invariant under shifts around a torus (for example with periodic
boundary) is one small dense matrix per frequency. The singular value decompositions of
these matrices give exact results. Small layers are written out as a matrix, and results
are exact too. For others there are bounds of both ends, usually sharp, and the torus
approximation, which describes their interior.

The matrices are those of a strided layer on cells of one stride, whose samples count as
channels (the polyphase form); compare Sedghi, Gupta and Long, "The singular values of
convolutional layers", ICLR 2019, for stride 1 without groups.
"""

from ._bounds import Estimate
from ._clipped import Clipped, clip_singular_values, orthogonalize
from ._determinant import logabsdet
from ._leading import norm_bounds
from ._spectrum import Spectrum, singular_values, spectrum

__all__ = [
    "Clipped",
    "Estimate",
    "Spectrum",
    "clip_singular_values",
    "logabsdet",
    "norm_bounds",
    "orthogonalize",
    "singular_values",
    "spectrum",
]
