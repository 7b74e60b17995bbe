"""Real photographs, kernels and named problems to try the package on.

The wheels of scikit-image and scikit-learn contain the photographs; nothing is ever
downloaded. They need ``python -m pip install scikit-image``; the kernels need nothing.
"""

from ._photographs import image, images
from ._problems import (
    PROBLEMS,
    add_noise,
    conv_layer,
    disc_kernel,
    gaussian_kernel,
    line_kernel,
    motion_kernel,
    problem,
)

__all__ = [
    "PROBLEMS",
    "add_noise",
    "conv_layer",
    "disc_kernel",
    "gaussian_kernel",
    "image",
    "images",
    "line_kernel",
    "motion_kernel",
    "problem",
]
