"""The singular values of a layer: its rank, its condition and how it amplifies noise.

A layer that is invariant under shifts around a torus (periodic boundary, say) is one
small dense matrix per frequency, and all is known exactly at the cost of their singular
value decompositions. So it is for layers small enough to be written out. For others
there are bounds of both ends, as a rule sharp, and the torus as what their interior
does.

The matrices are those of a strided layer on cells of one stride, whose samples are
taken as channels (the polyphase form); compare Sedghi, Gupta and Long, "The singular
values of convolutional layers", ICLR 2019, for stride 1 without groups.
"""

from ._bounds import Estimate
from ._spectrum import Spectrum, singular_values, spectrum

__all__ = ["Estimate", "Spectrum", "singular_values", "spectrum"]
