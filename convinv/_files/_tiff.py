"""Reads and writes TIFF files: any dtype, pages, volumes, channels."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np

from .._core.optional import optional
from . import _pillow
from ._picture import Picture, split_alpha

ORIENTATION = 274
RESOLUTION = 282
ICC_PROFILE = 34675
# Tags with a text about the picture: name of the document, make, model, name of the
# page, artist, host, copyright.
TEXTS = (269, 271, 272, 285, 315, 316, 33432)
# What ImageJ's description says about the shape of the array, which is written anew.
SHAPE_WORDS = ("ImageJ", "images", "channels", "slices", "frames", "hyperstack", "axes")


def read(path: Path) -> Picture:
    """The picture, stack or volume in a file."""
    tifffile = optional("tifffile", "a TIFF file")
    with tifffile.TiffFile(path) as file:
        if not file.series:
            raise ValueError(f"{str(path)!r} holds no image")
        if len(file.series) > 1:
            raise ValueError(
                f"{str(path)!r} holds {len(file.series)} images of different kinds or "
                "sizes; save the one that is meant in a file of its own"
            )
        series = file.series[0]
        page, axes = series.keyframe, series.axes
        photometric = tifffile.PHOTOMETRIC(page.photometric).name
        if photometric not in ("MINISBLACK", "MINISWHITE", "RGB", "PALETTE"):
            return _pillow.read(path)  # it converts the colors
        try:
            samples = series.asarray()
        except (
            ValueError,
            KeyError,
            ImportError,
        ):  # a compression that needs a package
            return _pillow.read(path)
        metadata = _metadata(file, page)
        extra = len(page.extrasamples)
        orientation = page.tags.get(ORIENTATION)
        turned = 1 if orientation is None else int(orientation.value)
        if photometric == "PALETTE":
            samples, axes = _colored(samples, page.colormap), axes + "S"
    if samples.dtype == bool:
        samples = samples.astype(np.uint8) * 255
    if photometric == "MINISWHITE" and samples.dtype.kind == "u":
        samples = np.iinfo(samples.dtype).max - samples
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    samples, axes, channel = _channel_last(samples, axes)
    samples = _upright(samples, turned, axes.index("Y"))
    metadata["tiff"].update(axes=axes, channel=channel)
    if channel == "S" and extra == 1 and samples.shape[-1] in (2, 4):
        return split_alpha(samples, metadata)
    return Picture(samples, None if channel is None else -1, None, metadata)


def _colored(indices: np.ndarray, colormap: np.ndarray) -> np.ndarray:
    """Colors from a palette of 16 bits; of 8 if they are no finer."""
    colors = np.moveaxis(colormap[:, indices], 0, -1)
    if not np.any(colormap % 257) or not np.any(colormap % 256):
        return (colors >> 8).astype(np.uint8)
    return colors


def _channel_last(samples: np.ndarray, axes: str) -> tuple[np.ndarray, str, str | None]:
    """The samples and names of their axes with the channels last, and whose axis."""
    for name in "SC":  # interleaved or planes of a pixel; channels of a microscope
        if name not in axes:
            continue
        place = axes.index(name)
        axes = axes.replace(name, "")
        if samples.shape[place] == 1:
            samples = samples.squeeze(place)
            continue
        return np.moveaxis(samples, place, -1), axes, name
    return samples, axes, None


def _upright(samples: np.ndarray, orientation: int, top: int) -> np.ndarray:
    """Turn pictures whose rows and columns are on axes `top` and ``top + 1``."""
    if orientation >= 5:
        samples = np.swapaxes(samples, top, top + 1)
    across = orientation in (2, 3, 6, 7)
    down = orientation in (3, 4, 7, 8)
    flips = tuple(a for a, flip in ((top, down), (top + 1, across)) if flip)
    return np.flip(samples, flips)


def _metadata(file: Any, page: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"tiff": {"options": {}}}
    options = found["tiff"]["options"]
    tags = page.tags
    if RESOLUTION in tags:
        options["resolution"] = page.resolution
        options["resolutionunit"] = page.resolutionunit
        if page.resolutionunit == 2:  # inches
            found["dpi"] = page.resolution
    if ICC_PROFILE in tags:
        found["icc"] = bytes(tags[ICC_PROFILE].value)
    options["extratags"] = [
        (code, 2, 0, tags[code].value, True)
        for code in TEXTS
        if code in tags and isinstance(tags[code].value, str)
    ]
    if page.software:
        options["software"] = page.software
    if page.datetime:
        options["datetime"] = page.datetime
    if file.is_imagej:
        said = dict(file.imagej_metadata or {})
        words = {k: v for k, v in said.items() if k not in SHAPE_WORDS}
        options.update(imagej=True, metadata=words)
    elif file.is_shaped:
        said = dict((file.shaped_metadata or [{}])[0])
        options["metadata"] = {k: v for k, v in said.items() if k != "shape"}
    else:  # a text, or the XML of OME, which stays true
        options.update(metadata=None, description=page.description or None)
    return found


def check(picture: Picture) -> None:
    """Raise for what a TIFF file can't hold."""
    if picture.samples.dtype.kind not in "uifc":
        raise ValueError(f"a TIFF file can't hold dtype {picture.samples.dtype}")


def write(file: IO, picture: Picture) -> None:
    """Write a picture to a file that is open for bytes and can be read."""
    tifffile = optional("tifffile", "a TIFF file")
    samples, metadata = picture.interleaved(), picture.metadata
    known = metadata.get("tiff", {})
    options = dict(known.get("options", {}))
    axes, channel = known.get("axes", ""), known.get("channel")
    interleaved = (
        samples.ndim > picture.samples.ndim or picture.channel_axis is not None
    )
    if interleaved and channel == "C" and picture.alpha is None:
        place = len(axes) - 2
        samples, axes = (
            np.moveaxis(samples, -1, place),
            axes[:place] + "C" + axes[place:],
        )
        interleaved = False
    elif interleaved:
        axes += "S"
    if options.get("metadata") is not None and len(axes) == samples.ndim:
        options["metadata"] = {**options["metadata"], "axes": axes}
    options["photometric"] = "minisblack"
    if interleaved:
        options["planarconfig"] = "contig"
        if picture.channels == 3:
            options["photometric"] = "rgb"
    if picture.alpha is not None:
        options["extrasamples"] = ["unassalpha"]
    if "dpi" in metadata:
        options.update(resolution=metadata["dpi"], resolutionunit="inch")
    if "icc" in metadata:
        options["iccprofile"] = metadata["icc"]
    with tifffile.TiffWriter(
        file,
        bigtiff=samples.nbytes > 2**32 - 2**25,
        imagej=options.pop("imagej", False),
    ) as out:
        out.write(samples, **options)
