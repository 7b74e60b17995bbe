"""Small pictures that ship inside packages, for training and for tests."""

import functools
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from convinv import gallery

TESTED = ("astronaut", "coffee", "flower")  # photographs that no training sees


class Images(NamedTuple):
    """Float32 pictures between 0 and 1, ``(N, channels, n, n)``."""

    name: str
    train: torch.Tensor
    test: torch.Tensor

    @property
    def shape(self):
        return tuple(self.train.shape[1:])


def digits():
    """Handwritten digits of scikit-learn, 8x8, enlarged to 28x28."""
    from sklearn.datasets import load_digits

    found = torch.from_numpy(load_digits().images / 16).float()[:, None]
    found = functional.interpolate(found, 28, mode="bicubic").clamp(0, 1)
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))
    found = found[order]
    return Images("digits", found[:1500], found[1500:])


def faces():
    """Faces of scikit-image, 25x25, cut to 24x24."""
    from skimage.data import lfw_subset

    found = torch.from_numpy(lfw_subset()[:100, None, :24, :24]).float()
    return Images("faces", found[:80], found[80:])


def patches(size=32, count=600):
    """Patches of photographs in color; those of the tests are other photographs."""
    rng = np.random.default_rng(0)
    colored = _colored()
    tested = [n for n in colored if n in TESTED]
    training = [n for n in colored if n not in TESTED]
    train = _cut(training, size, count, rng)
    return Images("photographs", train, _cut(tested, size, count // 6, rng))


def labeled_patches(size=32, count=800):
    """``(patches, numbers of their photographs)`` for training, and others."""
    names = _colored()
    rng, found = np.random.default_rng(0), []
    for n in (count, count // 4):
        labels = torch.arange(n) % len(names)
        found.append((_cut(names, size, n, rng), labels))
    return found


@functools.cache
def _photograph(name):
    return gallery.image(name, 256, dtype=np.float32)


def _colored():
    return [n for n in gallery.images() if _photograph(n).shape[0] == 3]


def _cut(names, size, count, rng):
    """Patches from random places of photographs in turn."""
    pictures = [_photograph(name) for name in names]
    found = []
    for i in range(count):
        picture = pictures[i % len(pictures)]
        row, column = (int(rng.integers(n - size + 1)) for n in picture.shape[1:])
        found.append(picture[:, row : row + size, column : column + size])
    return torch.from_numpy(np.stack(found))


SETS = {"digits": digits, "faces": faces, "photographs": patches}
