"""``convinv demo``: what the package does to a photograph."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .. import methods
from .._core.optional import optional
from .._demo import quality
from ._errors import UsageError
from ._layer import add_convolution, convolution_options
from ._output import Output, times
from ._pictures import picture_format
from ._psf import FORMS, named_psf, read_psf
from ._words import not_negative, number_or

METHODS = ("auto", "direct", "schwarz", "strip", "cgls", "lsmr")
RULES = ("gcv", "ncp", "lcurve")
PARTS = ("layer", "blur")


def add(commands: Any) -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = commands.add_parser(
        "demo",
        help="invert a layer and deblur a photograph, and compare",
        description="First, a real photograph passes through a convolution layer, and "
        "several methods invert it. Second, the photograph is blurred, and deconvolve "
        "and three methods of scikit-image deblur it. Noise is added to both. The "
        "results are compared in tables and pictures.",
    )
    add = parser.add_argument
    add(
        "--image",
        default="astronaut",
        metavar="NAME",
        help="a photograph of convinv.gallery, or the path of an image file "
        "(default: %(default)s)",
    )
    add(
        "--size",
        type=int,
        default=128,
        metavar="N",
        help="crop to a square and resize to N by N pixels; 0: as it is "
        "(default: %(default)s)",
    )
    add(
        "--noise",
        type=not_negative,
        default=0.01,
        metavar="LEVEL",
        help="standard deviation of the noise over that of the photograph "
        "(default: %(default)s)",
    )
    add("--only", choices=PARTS, help="one of the two parts")
    add(
        "--output",
        default="convinv-demo.png",
        metavar="FILE",
        help="where to write the picture; that of the blur has -blur in its name "
        "(default: %(default)s)",
    )
    add(
        "--device",
        choices=("cpu", "gpu"),
        default="cpu",
        help="gpu needs CuPy (default: %(default)s)",
    )
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of the layer and the noise (default: %(default)s)",
    )
    add(
        "--dtype",
        choices=("float32", "float64"),
        default="float64",
        help="precision (default: %(default)s)",
    )
    _add_layer(parser.add_argument_group("the layer"))
    parser.add_argument_group("the blur").add_argument(
        "--psf",
        default="gaussian:1.5",
        metavar="PSF",
        help=f"{FORMS} (default: %(default)s)",
    )
    return parser


def _add_layer(group: Any) -> None:
    add = group.add_argument
    add(
        "--kernel",
        metavar="FILE",
        help=".npy or .npz file of an array (C_out, C_in, height, width), instead of a "
        "random layer",
    )
    add(
        "--filters",
        type=int,
        metavar="N",
        help="filters of the random 3 x 3 layer (default: 8)",
    )
    add_convolution(group)
    add(
        "--method",
        action="append",
        metavar="NAMES",
        help="methods to compare, separated by commas; may be given again "
        f"(default: {','.join(METHODS)})",
    )
    add("--maxiter", type=int, metavar="N", help="iterations at most, of each method")
    add(
        "--rtol",
        type=not_negative,
        default=1e-6,
        metavar="X",
        help="relative tolerance (default: %(default)s)",
    )
    add(
        "--damp",
        type=number_or(*RULES),
        default=0.0,
        metavar="X",
        help=f"Tikhonov damping, or a rule: {', '.join(RULES)} (default: 0)",
    )


def run(args: argparse.Namespace, output: Output) -> None:
    """Run one part or both."""
    _refuse_nonsense(args)
    psf = named_psf(args.psf)
    if psf is not None and 0 < args.size < max(psf.shape) and args.only != "layer":
        raise UsageError(
            f"--size {args.size} is smaller than the psf, {times(psf.shape)}: give a "
            "smaller --psf, or --only layer"
        )
    for package in ("skimage", "matplotlib"):
        optional(package, "the demo")
    from .._demo import compare

    args.options = convolution_options(args)
    if args.only != "blur":
        compare.run(args, output)
    if args.only is None:
        output.line()
    if args.only != "layer":
        from .._demo import deblur

        psf = read_psf(args.psf) if psf is None else psf
        deblur.run(args, psf, _beside(args.output), output)


def _beside(path: str) -> Path:
    """The file of the second picture."""
    first = Path(path)
    return first.with_name(f"{first.stem}-blur{first.suffix}")


def _refuse_nonsense(args: argparse.Namespace) -> None:
    """Raise for wrong arguments before any work."""
    if args.size < quality.SMALLEST and args.size != 0:
        raise UsageError(
            f"--size must be 0 or at least {quality.SMALLEST}, got {args.size}"
        )
    if args.filters is not None and args.filters < 1:
        raise UsageError(f"--filters must be at least 1, got {args.filters}")
    if args.filters is not None and args.kernel is not None:
        raise UsageError("give --filters or --kernel, not both")
    if args.seed < 0:
        raise UsageError(f"--seed must not be negative, got {args.seed}")
    if args.maxiter is not None and args.maxiter < 0:
        raise UsageError(f"--maxiter must not be negative, got {args.maxiter}")
    names = ",".join(args.method or METHODS).split(",")
    names = [name.strip() for name in names]
    known = ["auto", *(method.name for method in methods())]
    for name in names:
        if name not in known:
            raise UsageError(f"--method: {name!r} is none of {', '.join(known)}")
    args.method = list(dict.fromkeys(names))
    picture_format(args.output)
    folder = Path(args.output).parent
    if not folder.is_dir():
        raise UsageError(f"--output: there is no folder {str(folder)!r}")
