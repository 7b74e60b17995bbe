"""Functions named like those of `skimage.restoration`, with the same arguments.

``from convinv.interop import skimage as restoration`` takes their place. They need no
scikit-image. By default nothing is assumed of what is beyond the frame of the picture,
so that it does not ring at its edges; ``boundary`` has scikit-image's assumption too,
with which the results are the same where the method is the same.
"""

from ._counts import richardson_lucy
from ._total_variation import denoise_tv_chambolle
from ._wiener import unsupervised_wiener, wiener

__all__ = [
    "denoise_tv_chambolle",
    "richardson_lucy",
    "unsupervised_wiener",
    "wiener",
]
