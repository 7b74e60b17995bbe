"""Errors of set-ups: the matrix is singular, or its factor would be too large."""

import numpy as np

from .byte_counts import bytes_text

MARGIN = 1.05  # of a limit of memory over the bytes that are needed


class Singular(np.linalg.LinAlgError):
    """The matrix is not positive definite to working precision.

    `groups` is an array of the numbers of the layer's singular groups.
    """

    def __init__(self, text, groups):
        super().__init__(text)
        self.groups = np.asarray(groups)


class MemoryLimit(ValueError):
    """The factor would not fit the memory allowed."""

    @classmethod
    def of(cls, width, needed, allowed, least=True):
        """That of blocks of this width, which need so many bytes, or about as many."""
        how = "at least" if least else "about"
        return cls(
            f"the factor's blocks of {width} x {width} need {how} {bytes_text(needed)},"
            f" more than the {bytes_text(allowed)} allowed: "
            f"solve takes max_memory={bytes_text(MARGIN * needed)!r} for it"
        )
