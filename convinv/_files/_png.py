"""Writes PNG files with 8 and 16 bits for a sample, gray and color."""

from __future__ import annotations

from typing import IO

import numpy as np

from .._core.optional import optional
from ._deep_png import write_deep
from ._picture import Picture, check_flat


def check(picture: Picture) -> None:
    """Raise for what a PNG file can't hold in full."""
    check_flat(picture, "PNG", (np.uint8, np.uint16))


def write(file: IO, picture: Picture) -> None:
    """Write a picture to a file that is open for bytes."""
    info = optional("PIL.PngImagePlugin", "a PNG file").PngInfo()
    metadata = picture.metadata
    for name, data in metadata.get("png", ()):
        info.add(name, data)
    for key, text in metadata.get("text", {}).items():
        info.add_itxt(key, text) if not text.isascii() else info.add_text(key, text)
    if picture.samples.dtype == np.uint16:
        write_deep(file, picture, info.chunks)
        return
    samples = picture.interleaved()
    options = {"exif": metadata.get("exif"), "icc_profile": metadata.get("icc")}
    options["dpi"] = metadata.get("dpi")
    options = {name: value for name, value in options.items() if value}
    Image = optional("PIL.Image", "a PNG file")
    Image.fromarray(samples).save(file, "PNG", pnginfo=info, **options)
