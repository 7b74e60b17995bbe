"""Reads the picture in a file with its full number of bits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

BITS_PER_SAMPLE = 258  # the tag of TIFF
# In a raw mode with two bytes per sample Pillow keeps the high byte; the raw mode with
# the bytes exchanged gives the low byte.
EXCHANGED = {";16B": ";16L", ";16L": ";16B", ";16N": None}


def read(path: Path, needs: str) -> np.ndarray:
    """The picture in a file as an array (H, W, C) of float64 between 0 and 1.

    Transparent pixels are drawn on white. `needs` names the package to install if
    Pillow is missing.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(f"images need {needs}") from None
    try:
        with Image.open(path) as file:
            frames, deep = getattr(file, "n_frames", 1), _deep_mode(file)
            mode, picture = _samples(file)
        if deep and frames == 1:
            low = _low_bytes(Image, path, deep)
            picture = None if low is None else (256 * picture + low) / 257
    except Exception as error:  # whatever the reader of the format raises
        raise ValueError(f"no image can be read from {str(path)!r}") from error
    if frames > 1:
        raise ValueError(f"{str(path)!r} holds {frames} images, not one")
    if picture is None:
        raise ValueError(
            f"{str(path)!r} has more than 8 bits for a sample in a form that can't be "
            "read in full: save it as RGB or gray of 16 bits, or as float TIFF in gray"
        )
    return _between_0_and_1(path, mode, picture)


def _samples(file: Any) -> tuple[str, np.ndarray]:
    """The mode of an open file, and its samples upright, colors as RGBA."""
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(file)
    gray = picture.mode in ("1", "L", "LA", "F") or picture.mode[0] == "I"
    return picture.mode, np.asarray(picture if gray else picture.convert("RGBA"), float)


def _deep_mode(file: Any) -> str | None:
    """The raw mode of a file of which Pillow keeps only the high bytes, or None."""
    if file.mode[0] in "IF":
        return None
    deep = [mode for mode in map(_raw_mode, file.tile) if "16" in mode]
    if deep:
        return deep[0]
    largest = file.tile[0][3][-1] if file.tile and file.tile[0][0] == "ppm" else 0
    bits = getattr(file, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))
    bits = bits if isinstance(bits, tuple) else (bits,)
    return "some other" if (largest or 0) > 255 or max(bits) > 8 else None


def _raw_mode(tile: Any) -> str:
    arguments = tile[3]
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _low_bytes(Image: Any, path: Path, deep: str) -> np.ndarray | None:
    """The low bytes of all samples, None if Pillow can't read them."""
    channels, order = deep[: deep.find(";")], deep[deep.find(";") :]
    other = EXCHANGED.get(order)
    if order == ";16N":
        other = ";16B" if sys.byteorder == "little" else ";16L"
    if other is None or channels not in ("RGB", "RGBA"):
        return None
    with Image.open(path) as file:
        file.tile = [_with_raw_mode(tile, channels + other) for tile in file.tile]
        return _samples(file)[1]


def _with_raw_mode(tile: Any, mode: str) -> Any:
    arguments = tile[3]
    if isinstance(arguments, tuple):
        arguments = (mode, *arguments[1:])
    else:
        arguments = mode
    if hasattr(tile, "_replace"):
        return tile._replace(args=arguments)
    return (*tile[:3], arguments)


def _between_0_and_1(path: Path, mode: str, picture: np.ndarray) -> np.ndarray:
    picture = picture / {"1": 1, "F": 1, "I": 65535}.get(mode[0], 255)
    if not 0 <= picture.min() <= picture.max() <= 1:
        raise ValueError(f"{str(path)!r} holds numbers outside the range of an image")
    picture = picture.reshape(*picture.shape[:2], -1)
    if picture.shape[2] in (2, 4):
        alpha = picture[:, :, -1:]
        picture = picture[:, :, :-1] * alpha + 1 - alpha
    return picture
