"""Large arrays made on the device from little that is sent there."""

import math

import numpy as np

SENT = 2**22  # numbers


def noise(xp, shape, dtype):
    """Random numbers; the same ones again after `SENT` of them."""
    count = math.prod(shape)
    block = np.random.default_rng(1).standard_normal(min(count, SENT)).astype(dtype)
    again = -(-count // block.size)
    return xp.tile(xp.asarray(block), again)[:count].reshape(shape)


def images(xp, batch, channels, size, dtype):
    """Random squares of 4 x 4 pixels, of values between 0 and 1."""
    rng = np.random.default_rng(2)
    cells = rng.random((batch, channels, -(-size // 4), -(-size // 4)))
    cells = xp.asarray(cells.astype(dtype))
    pictures = xp.repeat(xp.repeat(cells, 4, axis=2), 4, axis=3)
    return xp.ascontiguousarray(pictures[:, :, :size, :size])
