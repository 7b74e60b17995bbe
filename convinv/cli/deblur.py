"""``convinv deblur``: the sharp picture behind a blurred one."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from .. import _files
from .._core.byte_counts import parse_bytes
from .._files import Picture
from ._errors import UsageError
from ._output import Output, steps, times
from ._psf import FORMS, named_psf, read_psf
from ._samples import as_floats, as_stored, with_channel_axis
from ._words import (
    boundary_or_unknown,
    bounds,
    channel_axis,
    not_negative,
    number_or,
    per_axis,
)

EXAMPLES = """
examples:
  convinv deblur blurred.png sharp.png --psf gaussian:1.5
  convinv deblur car.jpg plate.png --psf motion:15,30 --tv
  convinv deblur stack.tif sharp.tif --psf gaussian:2.5,1.2,1.2 --poisson
  convinv deblur big.zarr sharp.zarr --psf psf.npy --max-memory 2GB

Numbers such as --noise and --bounds are in units in which the brightest value of an
integer is 1; in the units of the file, if it holds floats. A PSF in a file has as many
axes as one picture: two, or three for a volume.

Files of zarr and HDF5 are larger than memory: they are read and written by regions, as
are .npy and .tif with --chunks, --scheduler or --restart. What is done stays in
OUT.partial if the process is interrupted or killed, and the same command goes on.
"""


def add(commands: Any) -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = commands.add_parser(
        "deblur",
        help="the sharp picture behind a blurred one",
        description="Deblur a picture, a stack or a volume whose point spread\n"
        "function (PSF) is known. The output has the size, the bits, the opacity and\n"
        "the metadata of the input.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("input", metavar="IN", help="PNG, JPEG, TIFF, .npy, .zarr, FILE.h5:/dataset")
    add("output", metavar="OUT", help="the same kinds; JPEG loses detail")
    add("--psf", required=True, metavar="PSF", help=FORMS)
    add(
        "--strength",
        type=number_or("auto"),
        metavar="X",
        help="weight of the penalty, or auto (default)",
    )
    add(
        "--noise",
        type=not_negative,
        metavar="X",
        help="standard deviation of the noise (default: estimated)",
    )
    add(
        "--tv",
        nargs="?",
        type=number_or("auto"),
        const="auto",
        metavar="W",
        help="penalize the total variation, which keeps edges; W is its weight",
    )
    add("--poisson", action="store_true", help="the noise is that of counts")
    add(
        "--bounds",
        type=bounds,
        metavar="LO,HI",
        help="limits of the result, such as 0,1 or, without an upper one, 0,",
    )
    add(
        "--boundary",
        type=boundary_or_unknown,
        default="unknown",
        metavar="NAME",
        help="what is beyond the frame: unknown (default), zero, periodic, reflect, "
        "symmetric or replicate",
    )
    add(
        "--channel-axis",
        type=channel_axis,
        default=argparse.SUPPRESS,
        metavar="N",
        help="the axis with the colors of an array, such as -1, or none",
    )
    add("--max-memory", metavar="SIZE", help='such as "500MB"')
    add(
        "--chunks",
        type=per_axis,
        metavar="N[,N..]",
        help="size of tiles and of the chunks of OUT (default: by --max-memory)",
    )
    add(
        "--scheduler",
        metavar="NAME",
        help="of Dask: threads, processes or the address of a cluster (default: one "
        "tile after the other)",
    )
    add(
        "--restart",
        action="store_true",
        help="do not go on from OUT.partial, begin anew",
    )
    add("--force", action="store_true", help="overwrite OUT")
    return parser


def run(args: argparse.Namespace, output: Output) -> str | None:
    """Read, deblur, write, and say how; the message of a failure."""
    _refuse_nonsense(args)
    if _by_regions(args):
        from . import _large

        return _large.deblur(args, output)
    psf = named_psf(args.psf)
    picture = with_channel_axis(_files.read(args.input), args)
    psf = read_psf(args.psf) if psf is None else psf
    image = as_floats(picture.samples)
    _files.check_output(args.output, picture, args.force)
    output.fact("picture", f"{args.input}, {_words(picture)}")
    output.fact("psf", f"{args.psf}, {times(psf.shape)} pixels")
    start = time.perf_counter()
    result = _deconvolved(image, picture, psf, args, output)
    seconds = time.perf_counter() - start
    samples, clipped = as_stored(result.x, picture.samples.dtype)
    _files.write(args.output, picture.with_samples(samples), args.force)
    noise, strength = (result.extra.get(name) for name in ("noise", "strength"))
    output.fact("quality", _quality(noise, strength, args, result, seconds))
    if clipped:
        output.fact("clipped", f"{100 * clipped:.2g} % of the samples")
    output.fact("written", args.output)
    output.facts |= {
        "input": args.input,
        "output": args.output,
        "shape": picture.samples.shape,
        "dtype": str(picture.samples.dtype),
        "psf": args.psf,
        "psf_shape": psf.shape,
        "noise": noise,
        "strength": strength,
        "method": result.method,
        "iterations": result.nit,
        "success": result.success,
        "message": result.message,
        "clipped": clipped,
        "seconds": seconds,
    }
    return None


def _by_regions(args: argparse.Namespace) -> bool:
    """Whether files are not read in full: zarr, HDF5, or an option for such files."""
    names = args.input, args.output
    options = args.chunks, args.scheduler, args.restart or None
    return any(map(_files.is_large, names)) or any(o is not None for o in options)


def _refuse_nonsense(args: argparse.Namespace) -> None:
    if args.tv not in (None, "auto") and args.strength not in (None, "auto"):
        raise UsageError("--tv W and --strength X are both the weight: give one")
    if args.max_memory is not None:
        try:
            parse_bytes(args.max_memory, "--max-memory")
        except ValueError as error:
            raise UsageError(str(error)) from None


def _deconvolved(
    image: np.ndarray,
    picture: Picture,
    psf: np.ndarray,
    args: argparse.Namespace,
    output: Output,
) -> Any:
    """The result of `convinv.imaging.deconvolve`."""
    from .. import imaging

    options: dict[str, Any] = {"strength": args.strength or "auto"}
    if args.tv is not None:
        options["regularizer"] = "tv"
        if args.tv != "auto":
            options["strength"] = args.tv
    if args.poisson:
        options["model"] = "poisson"
    for name in ("noise", "bounds", "max_memory"):
        if getattr(args, name) is not None:
            options[name] = getattr(args, name)
    if picture.alpha is not None and not picture.alpha.all():
        options["mask"] = picture.alpha > 0  # what is transparent has no color
    return imaging.deconvolve(
        image,
        psf,
        boundary=args.boundary,
        channel_axis=picture.channel_axis,
        progress=output.progress,
        return_result=True,
        **options,
    )


def _words(picture: Picture) -> str:
    size = times(picture.samples.shape)
    opacity = "" if picture.alpha is None else ", with opacity"
    return f"{size}, {picture.samples.dtype}{opacity}"


def _quality(
    noise: float | None,
    strength: float | None,
    args: argparse.Namespace,
    result: Any,
    seconds: float,
) -> str:
    words = []
    if noise is not None:
        source = "estimated" if args.noise is None else "given"
        words.append(f"noise {noise:.3g} ({source})")
    if strength is not None:
        given = args.strength not in (None, "auto") or args.tv not in (None, "auto")
        words.append(f"strength {strength:.3g} ({'given' if given else 'automatic'})")
    words.append(f"{result.method}, {steps(result.nit)}, {seconds:.2g} s")
    return "; ".join(words)
