"""Photographs in the wheels of scikit-image and scikit-learn."""

from __future__ import annotations

import importlib.util
import operator
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._core.optional import PACKAGES, optional
from . import _image_file

_PHOTOGRAPHS = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "brick": ("skimage", "data/brick.png"),
    "camera": ("skimage", "data/camera.png"),
    "cell": ("skimage", "data/cell.png"),
    "chelsea": ("skimage", "data/chelsea.png"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "coffee": ("skimage", "data/coffee.png"),
    "coins": ("skimage", "data/coins.png"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "grass": ("skimage", "data/grass.png"),
    "gravel": ("skimage", "data/gravel.png"),
    "hubble_deep_field": ("skimage", "data/hubble_deep_field.jpg"),
    "immunohistochemistry": ("skimage", "data/ihc.png"),
    "moon": ("skimage", "data/moon.png"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "page": ("skimage", "data/page.png"),
    "retina": ("skimage", "data/retina.jpg"),
    "rocket": ("skimage", "data/rocket.jpg"),
}


def images() -> list[str]:
    """Names of the photographs that are installed here.

    Returns
    -------
    list of str
        All if scikit-image and scikit-learn are installed, none without them.

    Examples
    --------
    >>> from convinv import gallery
    >>> "astronaut" in gallery.images()
    True
    """
    return [name for name in _PHOTOGRAPHS if _bundled(name).is_file()]


def image(
    name: str | os.PathLike[str] = "astronaut",
    size: int | None = None,
    channels_first: bool = True,
    dtype: DTypeLike = np.float64,
) -> np.ndarray:
    """A photograph as an array of numbers between 0 and 1.

    Parameters
    ----------
    name : str or path-like
        One of `images`, or the path of an image file.
    size : int, optional
        Crop the largest square out of the middle and resize it to `size` by `size`
        pixels, with smoothing if it becomes smaller. By default the picture keeps its
        size and shape.
    channels_first : bool
        Whether the shape is ``(C, H, W)``, or ``(H, W, C)``.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    ndarray
        With three channels, or one for a gray picture. Transparent pixels are drawn on
        white. Samples of 16 bits are read in full.

    Raises
    ------
    ImportError
        If the package that holds the picture is not installed.
    ValueError
        If there is no such picture, the file holds none, several or one that can't be
        read in full, or `size` is not positive.

    Examples
    --------
    >>> from convinv import gallery
    >>> gallery.image("astronaut", size=64).shape
    (3, 64, 64)
    >>> gallery.image("camera").shape
    (1, 512, 512)
    """
    if size is not None and not operator.index(size) > 0:
        raise ValueError(f"size must be positive, got {size!r}")
    picture = _image_file.read(_find(name))
    if size is not None:
        picture = _square(picture, size)
    if channels_first:
        picture = picture.transpose(2, 0, 1)
    return np.ascontiguousarray(picture, dtype=dtype)


def _bundled(name: str) -> Path:
    """The path of a named picture, also if its package is not installed."""
    package, file = _PHOTOGRAPHS[name]
    spec = importlib.util.find_spec(package)
    root = Path(spec.origin).parent if spec and spec.origin else Path(package)
    return root / file


def _find(name: Any) -> Path:
    if name not in _PHOTOGRAPHS:
        path = Path(os.fspath(name))
        if path.is_file():
            return path
        raise ValueError(
            f"no image file {str(name)!r}, and the gallery's names are "
            f"{', '.join(_PHOTOGRAPHS)}"
        )
    path = _bundled(name)
    if not path.is_file():
        package = PACKAGES[_PHOTOGRAPHS[name][0]]
        raise ImportError(
            f"the image {name!r} comes with {package}: python -m pip install {package}"
        )
    return path


def _square(picture: np.ndarray, size: int) -> np.ndarray:
    """The largest square in the middle, `size` by `size` pixels."""
    transform = optional("skimage.transform", "a picture of another size")
    side = min(picture.shape[:2])
    top, left = ((n - side) // 2 for n in picture.shape[:2])
    picture = picture[top : top + side, left : left + side]
    if side != size:
        picture = transform.resize(picture, (size, size), anti_aliasing=size < side)
    return np.clip(picture, 0, 1)
