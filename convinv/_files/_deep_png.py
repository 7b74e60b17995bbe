"""Writes PNG files with colors of 16 bits for a sample, which Pillow does not."""

from __future__ import annotations

import struct
import zlib
from typing import IO, Any

import numpy as np

from ._picture import Picture

# The kind of a pixel by its number of samples, PNG (3rd edition) section 11.2.1.
KINDS = {1: 0, 2: 4, 3: 2, 4: 6}
BAND = 2**22  # bytes of the rows that are filtered at once


def write_deep(file: IO, picture: Picture, info: list[Any]) -> None:
    """Write a picture of 16 bits, and chunks ``(name, data, ...)`` before it."""
    samples = picture.interleaved()
    samples = samples.reshape(*samples.shape[:2], -1)
    height, width, count = samples.shape
    head = struct.pack(">IIBBBBB", width, height, 16, KINDS[count], 0, 0, 0)
    file.write(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head))
    for name, data, *_ in [*_profile(picture.metadata), *info]:
        file.write(_chunk(name, data))
    rows = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    packer, before = zlib.compressobj(), np.zeros_like(rows[0])
    band = max(BAND // rows.shape[1], 1)
    for first in range(0, height, band):
        part = rows[first : first + band]
        data = packer.compress(_filtered(part, before, 2 * count))
        before = part[-1]
        if data:
            file.write(_chunk(b"IDAT", data))
    file.write(_chunk(b"IDAT", packer.flush()) + _chunk(b"IEND", b""))


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


def _filtered(rows: np.ndarray, before: np.ndarray, step: int) -> bytes:
    """Rows of bytes under the filter that leaves the smallest differences, each.

    The five filters of PNG (3rd edition), section 9.2. `before` is the row above the
    first, `step` the bytes of a pixel.
    """
    above = np.vstack([before[None], rows[:-1]])
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
