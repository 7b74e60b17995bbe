"""Pictures and point spread functions: blur, deblur, and find the blur.

Plain arrays with two or three spatial axes (or one), as scikit-image has them: colors
by ``channel_axis``, integers scaled to fractions of their range, results of the shape
of the picture. `convinv.gallery` makes point spread functions.
"""

from ._blur import blur
from ._deconvolve import deconvolve
from ._kernels import estimate_psf, match_psf
from ._noise import estimate_noise

__all__ = ["blur", "deconvolve", "estimate_noise", "estimate_psf", "match_psf"]
