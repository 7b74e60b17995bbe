"""Arrays of compiled code that start at a line of the cache.

Loads and stores across lines take twice as long.
"""

import numpy as np

from .jit import jit

LINE = 64  # bytes of a line of the cache


@jit(inner=True)
def aligned_zeros(like, size):
    """Zeros of the dtype of `like`, one axis."""
    memory = np.zeros(size + LINE, like.dtype)
    skip = -memory.ctypes.data % LINE // like.itemsize
    return memory[skip : skip + size]
