"""Writes PNG files with 8 and 16 bits for a sample, gray and color."""

from __future__ import annotations

import struct
import zlib
from typing import IO, Any

import numpy as np

from .._core.optional import optional
from ._picture import Picture, check_flat

# The kind of a pixel by its number of samples, PNG (3rd edition) section 11.2.1.
KINDS = {1: 0, 2: 4, 3: 2, 4: 6}


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
        file.write(_deep(picture, info.chunks))
        return
    samples = picture.interleaved()
    options = {"exif": metadata.get("exif"), "icc_profile": metadata.get("icc")}
    options["dpi"] = metadata.get("dpi")
    options = {name: value for name, value in options.items() if value}
    Image = optional("PIL.Image", "a PNG file")
    Image.fromarray(samples).save(file, "PNG", pnginfo=info, **options)


def _deep(picture: Picture, info: list[Any]) -> bytes:
    """The file of a picture of 16 bits, which Pillow writes in gray alone."""
    samples = picture.interleaved()
    samples = samples.reshape(*samples.shape[:2], -1)
    height, width, count = samples.shape
    head = struct.pack(">IIBBBBB", width, height, 16, KINDS[count], 0, 0, 0)
    chunks = [(b"IHDR", head), *_profile(picture.metadata)]
    chunks += [(chunk[0], chunk[1]) for chunk in info]
    rows = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    chunks += [(b"IDAT", zlib.compress(_filtered(rows, 2 * count))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + check


def _profile(metadata: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    found = []
    if "icc" in metadata:
        found.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata["icc"])))
    if "dpi" in metadata:
        per_meter = [round(dots / 0.0254) for dots in metadata["dpi"]]
        found.append((b"pHYs", struct.pack(">IIB", *per_meter, 1)))
    if "exif" in metadata:
        found.append((b"eXIf", metadata["exif"].removeprefix(b"Exif\0\0")))
    return found


def _filtered(rows: np.ndarray, step: int) -> bytes:
    """Rows of bytes under the filter that leaves the smallest differences, each.

    The five filters of PNG (3rd edition), section 9.2; `step` is the bytes of a pixel.
    """
    above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    left, corner = (np.pad(r, ((0, 0), (step, 0)))[:, :-step] for r in (rows, above))
    a, b, c = (r.astype(np.int16) for r in (left, above, corner))
    distances = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest = np.select(
        [
            (distances[0] <= distances[1]) & (distances[0] <= distances[2]),
            distances[1] <= distances[2],
        ],
        [left, above],
        corner,
    )
    guesses = (
        np.zeros_like(rows),
        left,
        above,
        ((a + b) // 2).astype(np.uint8),
        nearest,
    )
    best = np.full(len(rows), np.inf)
    chosen = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    for number, guess in enumerate(guesses):
        rest = rows - guess
        size = np.abs(rest.view(np.int8).astype(np.int16)).sum(axis=1)
        better = size < best
        best[better] = size[better]
        chosen[better, 0], chosen[better, 1:] = number, rest[better]
    return chosen.tobytes()
