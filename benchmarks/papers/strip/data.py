"""Batches of real images between -1 and 1, as the paper's are, in float32.

By default they are what ships with packages: scikit-learn's digits for MNIST's, squares
cut out of scikit-image's photographs for those with colors. The paper's own data take
the folders that hold them.
"""

import functools
import gzip
import pathlib

import numpy as np

from convinv import gallery

GRAY = 28  # pixels of the paper's MNIST; its CelebA and CelebA-HQ have colors
DRAWN = 20  # pixels of a digit there, without the border
SUFFIXES = (".jpg", ".jpeg", ".png")
DIGITS = ("train-images-idx3-ubyte", "train-images.idx3-ubyte")
IDX3 = 2051  # the first number of an MNIST file of images


class Photographs:
    """Random squares of photographs, each of them in several sizes."""

    name = "squares cut out of scikit-image's photographs"

    def __init__(self, size, names=None):
        self.size = size
        planes = [_pyramid(name, size) for name in names or gallery.images()]
        self.levels = [levels for levels in planes if levels]
        self.classes = len(self.levels)

    def batch(self, count, rng):
        """``(count, channels, size, size)``, gray at the smallest size."""
        return self.labeled(count, rng)[0]

    def labeled(self, count, rng):
        """A batch, and of which photograph each item is a part."""
        labels = rng.integers(len(self.levels), size=count)
        items = [self._square(self.levels[label], rng) for label in labels]
        return np.stack(items), labels

    def _square(self, levels, rng):
        picture = levels[rng.integers(len(levels))]
        top, left = (rng.integers(n - self.size + 1) for n in picture.shape[1:])
        square = picture[:, top : top + self.size, left : left + self.size]
        return square[:, :, :: -1 if rng.integers(2) else 1]


@functools.lru_cache(maxsize=None)
def _pyramid(name, size):
    """A photograph in full, and by halves down to the last that holds a square."""
    from skimage import transform

    picture = gallery.image(name, dtype=np.float32)
    picture = _channels(picture, 1 if size == GRAY else 3)
    levels = []
    while min(picture.shape[1:]) >= size:
        levels.append(2 * picture - 1)
        shape = (len(picture), *(n // 2 for n in picture.shape[1:]))
        picture = transform.resize(picture, shape, anti_aliasing=True)
    return levels


def _channels(picture, channels):
    if len(picture) == channels:
        return picture
    if channels == 1:
        return picture.mean(axis=0, keepdims=True)
    return np.repeat(picture, channels, axis=0)


class SmallDigits:
    """The digits of scikit-learn, 8 x 8, enlarged to 20 x 20 within 28 x 28."""

    name = "scikit-learn's digits, enlarged"
    classes = 10

    def __init__(self):
        from skimage import transform
        from sklearn.datasets import load_digits

        digits, self.labels = load_digits(return_X_y=True)
        small = digits.reshape(-1, 8, 8).transpose(1, 2, 0) / 16
        large = transform.resize(small, (DRAWN, DRAWN, len(digits)), order=1)
        border = (GRAY - DRAWN) // 2
        large = np.pad(large.transpose(2, 0, 1), [(0, 0), *2 * [(border, border)]])
        self.images = large.astype(np.float32)[:, None]

    def batch(self, count, rng):
        return self.labeled(count, rng)[0]

    def labeled(self, count, rng):
        """A batch, and the digit of each item."""
        chosen = rng.choice(len(self.images), count, replace=count > len(self.images))
        return 2 * self.images[chosen] - 1, self.labels[chosen]


class Digits:
    """MNIST, from a folder with its file of training images, packed or not."""

    name = "MNIST"

    def __init__(self, folder):
        self.images = _idx(_file(folder))

    def batch(self, count, rng):
        chosen = rng.choice(len(self.images), count, replace=count > len(self.images))
        return 2 * (self.images[chosen, None] / np.float32(255)) - 1


def _file(folder):
    for name in DIGITS:
        for path in (pathlib.Path(folder) / name, pathlib.Path(folder) / f"{name}.gz"):
            if path.is_file():
                return path
    raise FileNotFoundError(f"no {DIGITS[0]} or {DIGITS[0]}.gz in {str(folder)!r}")


def _idx(path):
    """The images in a file: four big-endian numbers, then a byte for every pixel."""
    read = gzip.open if path.suffix == ".gz" else open
    with read(path, "rb") as file:
        data = file.read()
    magic, count, *size = np.frombuffer(data[:16], ">i4") if len(data) > 16 else (0, 0)
    if magic != IDX3 or size != [GRAY, GRAY]:
        raise ValueError(f"{str(path)!r} is no file of MNIST images")
    if len(data) != 16 + count * GRAY**2:
        raise ValueError(f"{str(path)!r} is cut off: {count} images are announced")
    return np.frombuffer(data, np.uint8, offset=16).reshape(count, GRAY, GRAY)


class Faces:
    """CelebA or any folder of pictures: the square in the middle of each, resized."""

    name = "CelebA"

    def __init__(self, folder, size):
        self.size = size
        files = sorted(pathlib.Path(folder).rglob("*"))
        self.files = [path for path in files if path.suffix.lower() in SUFFIXES]
        if not self.files:
            raise FileNotFoundError(f"no pictures ({', '.join(SUFFIXES)}) in {folder}")

    def batch(self, count, rng):
        replace = count > len(self.files)
        chosen = rng.choice(len(self.files), count, replace=replace)
        items = [gallery.image(self.files[i], self.size, dtype="f4") for i in chosen]
        return 2 * np.stack([_channels(item, 3) for item in items]) - 1


def source(size, folders):
    """Where the images of a size come from; `folders` has "mnist" and "celeba"."""
    if size == GRAY and folders.get("mnist"):
        return Digits(folders["mnist"])
    if size != GRAY and folders.get("celeba"):
        return Faces(folders["celeba"], size)
    return labeled(size)


def labeled(size):
    """The images that come with packages; their batches can have labels."""
    return SmallDigits() if size == GRAY else Photographs(size)
