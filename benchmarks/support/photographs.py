"""Batches of photographs, and noise for what is made of them."""

import functools

import numpy as np

from .versions import optional

gallery = optional("convinv.gallery")

NOISE = 0.01  # of the root mean square of the data


def photographs(channels, size, batch):
    """``(batch, channels, size, size)`` numbers between 0 and 1, of photographs.

    The color planes of all photographs in a row, cut into items; when they have all
    been used they come again, turned or mirrored.
    """
    items = np.empty((batch * channels, size, size), np.float32)
    names = gallery.images()
    if not names:
        raise ImportError('no photographs: python -m pip install "convinv[bench]"')
    done = 0
    for turn in range(8):
        for name in names:
            planes = np.rot90(_planes(name, size), turn % 4, axes=(1, 2))
            planes = planes if turn < 4 else planes[:, :, ::-1]
            taken = min(len(planes), len(items) - done)
            items[done : done + taken] = planes[:taken]
            done += taken
            if done == len(items):
                return items.reshape(batch, channels, size, size)
    rest = np.resize(items[:done], (len(items) - done, size, size))
    items[done:] = rest  # the very same again, in an item with other neighbors
    return items.reshape(batch, channels, size, size)


@functools.lru_cache(maxsize=64)
def _planes(name, size):
    return gallery.image(name, size, dtype=np.float32)


def add_noise(b):
    """Add normal noise to an array, drawn in single precision as it is large."""
    noise = np.random.default_rng(3).standard_normal(b.shape, np.float32)
    noise *= NOISE * np.sqrt(np.mean(b**2, dtype=float))
    b += noise.astype(b.dtype, copy=False)
