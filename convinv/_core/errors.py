"""Errors of set-ups: the matrix is singular, or its factor would be too large."""

import numpy as np


class Singular(np.linalg.LinAlgError):
    """The matrix is not positive definite to working precision.

    `groups` is an array of the numbers of the layer's singular groups.
    """

    def __init__(self, text, groups):
        super().__init__(text)
        self.groups = np.asarray(groups)


class MemoryLimit(ValueError):
    """The factor would not fit the memory allowed."""
