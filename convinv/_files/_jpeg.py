"""Writes JPEG files."""

from __future__ import annotations

from typing import IO

import numpy as np

from .._core.optional import optional
from ._picture import Picture, check_flat

QUALITY = {"quality": 95, "subsampling": 0}  # of pictures that were no JPEG before


def check(picture: Picture) -> None:
    """Raise for what a JPEG file can't hold."""
    check_flat(picture, "JPEG", (np.uint8,))
    if picture.alpha is not None:
        raise ValueError("a JPEG file has no opacity; .png and .tif files do")


def write(file: IO, picture: Picture) -> None:
    """Write a picture to a file that is open for bytes.

    With the quantization of the JPEG file that it came from, if it came from one.
    """
    Image = optional("PIL.Image", "a JPEG file")
    metadata = picture.metadata
    options = dict(metadata.get("jpeg", QUALITY))
    for name, key in (("exif", "exif"), ("icc", "icc_profile"), ("xmp", "xmp")):
        if name in metadata:
            options[key] = metadata[name]
    if "dpi" in metadata:
        options["dpi"] = tuple(round(dots) for dots in metadata["dpi"])
    Image.fromarray(picture.samples).save(file, "JPEG", **options)
