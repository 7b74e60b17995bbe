"""``convinv psf``: the blur between two pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from .. import _files
from .._files import Picture
from .._files._whole import check_free
from ._errors import UsageError
from ._output import Output, times
from ._samples import as_floats
from ._words import number_or, per_axis


def add(commands: Any) -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = commands.add_parser(
        "psf",
        help="the point spread function between two pictures",
        description="Estimate the point spread function that made AFTER of BEFORE. The "
        "two must be aligned and of one size; a pair of colors counts as one in gray.",
        epilog='"convinv deblur IN OUT --psf FILE" takes the file.',
    )
    add = parser.add_argument
    add("before", metavar="BEFORE", help="the sharp picture")
    add("after", metavar="AFTER", help="the blurred picture")
    add(
        "--size",
        type=per_axis,
        required=True,
        metavar="K[,K..]",
        help="pixels of the point spread function along all axes, or each",
    )
    add(
        "--strength",
        type=number_or("auto"),
        default="auto",
        metavar="X",
        help="weight of its smoothness, or auto (default)",
    )
    add(
        "--output",
        metavar="FILE",
        help="where to write it: .npy or .tif (default: nowhere)",
    )
    add("--force", action="store_true", help="overwrite FILE")
    return parser


def run(args: argparse.Namespace, output: Output) -> None:
    """Estimate, print the measures of the PSF, and write it."""
    if args.output is not None:
        if Path(args.output).suffix.lower() not in (".npy", ".tif", ".tiff"):
            raise UsageError(f"--output must end in .npy or .tif, got {args.output!r}")
        check_free(args.output, args.force)
    before, after = (_gray(path) for path in (args.before, args.after))
    if before.shape != after.shape:
        raise ValueError(
            f"BEFORE and AFTER must be of one size, got {times(before.shape)} and "
            f"{times(after.shape)}"
        )
    from .. import imaging

    psf = imaging.estimate_psf(before, after, args.size, args.strength)
    if args.output is not None:
        _files.write(args.output, Picture(psf), args.force)
    total, center, widths = _moments(psf)
    output.fact("size", f"{times(psf.shape)} pixels")
    output.fact("sum", f"{total:.4g}")
    output.fact("center", ", ".join(f"{c:+.3g}" for c in center) + " from the middle")
    output.fact(
        "width", ", ".join(f"{w:.3g}" for w in widths) + " (standard deviation)"
    )
    if args.output is not None:
        output.fact("written", args.output)
    output.facts |= {
        "shape": psf.shape,
        "sum": total,
        "center": center,
        "width": widths,
        "psf": psf,
        "output": args.output,
    }


def _gray(path: str) -> np.ndarray:
    picture = _files.read(path)
    samples = as_floats(picture.samples)
    if samples.dtype.kind == "c":
        raise ValueError(f"{path!r} must hold real numbers, got complex ones")
    return samples if picture.channel_axis is None else samples.mean(axis=-1)


def _moments(psf: np.ndarray) -> tuple[float, list[float], list[float]]:
    """The sum, the mean place from ``k // 2`` and the spread along every axis."""
    total = float(psf.sum())
    center, widths = [], []
    for axis, k in enumerate(psf.shape):
        along = psf.sum(axis=tuple(a for a in range(psf.ndim) if a != axis))
        places = np.arange(k) - k // 2
        mean = float(along @ places / total) if total else np.nan
        spread = float(along @ (places - mean) ** 2 / total) if total else np.nan
        center.append(mean)
        widths.append(float(np.sqrt(max(spread, 0.0))))
    return total, center, widths
