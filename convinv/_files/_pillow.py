"""Reads what Pillow reads, with the full number of bits."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from .._core.optional import optional
from ._picture import Picture, split_alpha

BITS_PER_SAMPLE = 258  # the tag of TIFF
# In a raw mode with two bytes per sample Pillow keeps the high byte; the raw mode with
# the bytes exchanged gives the low byte.
EXCHANGED = {";16B": ";16L", ";16L": ";16B", ";16N": None}
PNG_COLOR_CHUNKS = (b"cHRM", b"cICP", b"gAMA", b"sRGB")


def read(path: Path) -> Picture:
    """The picture in a file of any format that Pillow knows."""
    Image = optional("PIL.Image", "an image file")
    with Image.open(path) as file:
        if getattr(file, "n_frames", 1) > 1:
            raise ValueError(
                f"{str(path)!r} holds {file.n_frames} images, not one; a stack must be "
                "a TIFF or .npy file"
            )
        deep, form = _deep_mode(file), file.format
        metadata = _metadata(file)
        if deep and deep.startswith("LA"):
            return _gray_and_opacity(Image, path, metadata)
        upright = _upright(file)
    samples = np.asarray(upright)
    if deep:
        low = _low_bytes(Image, path, deep)
        samples = samples.astype(np.uint16) << 8 | np.asarray(low)
    metadata.update(_exif(upright))
    if form == "PNG":
        metadata["png"] = _chunks(path, PNG_COLOR_CHUNKS)
    samples = np.array(samples, samples.dtype.newbyteorder("="))
    if form == "PPM" and samples.dtype.kind == "i":
        samples = samples.astype(np.uint16)  # scaled so by Pillow
    if samples.ndim == 2:
        return Picture(samples, None, None, metadata)
    if samples.shape[2] in (2, 4):
        return split_alpha(samples, metadata)
    return Picture(samples, -1, None, metadata)


def _upright(file: Any) -> Any:
    """An open picture as the camera was held, in gray or in colors."""
    transpose = optional("PIL.ImageOps", "an image file").exif_transpose
    picture = transpose(file)
    if picture.mode in ("L", "LA", "RGB", "RGBA", "F") or picture.mode[0] == "I":
        clear = "transparency" in picture.info and picture.mode in ("L", "RGB")
        if not clear:
            return picture
        return picture.convert("LA" if picture.mode == "L" else "RGBA")
    if picture.mode == "1":
        return picture.convert("L")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _deep_mode(file: Any) -> str | None:
    """The raw mode of a file of which Pillow keeps only the high bytes, or None."""
    if file.mode[0] in "IF":
        return None
    deep = [mode for mode in map(_raw_mode, file.tile) if "16" in mode]
    largest = file.tile[0][3][-1] if file.tile and file.tile[0][0] == "ppm" else 0
    bits = getattr(file, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))
    bits = bits if isinstance(bits, tuple) else (bits,)
    if not deep and (largest or 0) <= 255 and max(bits) <= 8:
        return None
    mode = deep[0] if deep else ""
    channels, _, order = mode.partition(";")
    key = "transparency" in file.info  # a color in 16 bits, which Pillow would cut
    if mode == "LA;16B" or (channels in ("RGB", "RGBA") and order and not key):
        return mode
    raise ValueError(
        f"{file.filename!r} has more than 8 bits for a sample in a form that can't be "
        "read in full: save it as RGB or gray of 16 bits, or as TIFF"
    )


def _raw_mode(tile: Any) -> str:
    arguments = tile[3]
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _low_bytes(Image: Any, path: Path, deep: str) -> Any:
    """The low bytes of all samples."""
    channels, order = deep[: deep.find(";")], deep[deep.find(";") :]
    other = EXCHANGED[order]
    if other is None:
        other = ";16B" if sys.byteorder == "little" else ";16L"
    with Image.open(path) as file:
        file.tile = [_with_raw_mode(tile, channels + other) for tile in file.tile]
        return _upright(file)


def _with_raw_mode(tile: Any, mode: str) -> Any:
    arguments = tile[3]
    if isinstance(arguments, tuple):
        arguments = (mode, *arguments[1:])
    else:
        arguments = mode
    if hasattr(tile, "_replace"):
        return tile._replace(args=arguments)
    return (*tile[:3], arguments)


def _gray_and_opacity(Image: Any, path: Path, metadata: dict[str, Any]) -> Picture:
    """A PNG file with gray and opacity of 16 bits each.

    It has the same bytes as one with four samples of 8 bits, which its header is made
    to say.
    """
    content = path.read_bytes()
    head = content[16:24] + bytes([8, 6]) + content[26:29]
    check = struct.pack(">I", zlib.crc32(b"IHDR" + head))
    with Image.open(io.BytesIO(content[:16] + head + check + content[33:])) as file:
        upright = _upright(file)
    halves = np.asarray(upright).astype(np.uint16)
    metadata.update(_exif(upright), png=_chunks(path, PNG_COLOR_CHUNKS))
    return split_alpha(halves[..., ::2] << 8 | halves[..., 1::2], metadata)


def _metadata(file: Any) -> dict[str, Any]:
    """What an open file says about its picture, but for the way it was held."""
    info = file.info
    found: dict[str, Any] = {}
    if info.get("icc_profile") and file.mode not in ("CMYK", "LAB"):
        found["icc"] = info["icc_profile"]  # of colors that are kept
    if "dpi" in info:
        found["dpi"] = tuple(float(d) for d in info["dpi"])
    if getattr(file, "text", None):
        found["text"] = dict(file.text)
    if file.format == "JPEG":
        sampling = optional("PIL.JpegImagePlugin", "a JPEG file").get_sampling(file)
        found["jpeg"] = {"qtables": file.quantization}
        if sampling >= 0 and file.mode != "CMYK":
            found["jpeg"]["subsampling"] = sampling
        for name in ("comment", "progressive"):
            if info.get(name):
                found["jpeg"][name] = info[name]
    return found


def _exif(upright: Any) -> dict[str, Any]:
    """What is written anew when a picture is turned."""
    return {key: upright.info[key] for key in ("exif", "xmp") if upright.info.get(key)}


def _chunks(path: Path, names: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    """Some of the chunks of a PNG file that come before the picture."""
    found = []
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name in (b"IDAT", b"IEND"):
                break
            data = file.read(length)
            file.seek(4, 1)
            if name in names:
                found.append((name, data))
    return found
