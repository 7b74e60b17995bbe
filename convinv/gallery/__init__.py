"""Real photographs, kernels and named problems to try the package on.

The wheels of scikit-image and scikit-learn contain the photographs; nothing is ever
downloaded. They need ``pip install "convinv[demo]"``; the kernels need nothing.
"""

from ._photographs import image, images
from ._problems import (
    PROBLEMS,
    add_noise,
    conv_layer,
    gaussian_kernel,
    motion_kernel,
    problem,
)

__all__ = [
    "PROBLEMS",
    "add_noise",
    "conv_layer",
    "gaussian_kernel",
    "image",
    "images",
    "motion_kernel",
    "problem",
]
