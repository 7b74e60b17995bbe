"""``convinv report``: whether a layer is invertible."""

from __future__ import annotations

import argparse
from typing import Any

from .. import _files, layer_report
from ._errors import UsageError
from ._layer import add_options, read_layer
from ._output import Output
from ._pictures import picture_format
from ._words import sizes


def add(commands: Any) -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = commands.add_parser(
        "report",
        help="whether a layer is invertible, and how it amplifies noise",
        description="Report whether a layer is invertible, where not, and how its "
        "inverse amplifies noise.",
    )
    add_options(parser)
    parser.add_argument(
        "--size",
        type=sizes,
        required=True,
        metavar="H,W",
        help="height and width of the input; as many numbers as the kernel has axes",
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="draw the singular values (needs matplotlib)"
    )
    parser.add_argument(
        "--force", action="store_true", help="overwrite the file of the picture"
    )
    return parser


def run(args: argparse.Namespace, output: Output) -> None:
    """Print the report, and draw its picture."""
    layer = read_layer(args)
    axes = layer.kernel.ndim - 2
    if len(args.size) != axes:
        raise UsageError(
            f"--size must have {axes} numbers, since the kernel has {axes} axes of "
            f"taps, got {args.size}"
        )
    if args.plot is not None:
        kind = picture_format(args.plot)
    op = layer.operator(args.size)
    found = layer_report(op)
    output.fact("layer", str(layer))
    output.line(str(found))
    spectrum = found.spectrum
    output.facts |= {
        "layer": layer.name,
        "input_shape": op.input_shape,
        "output_shape": op.output_shape,
        "verdict": found.verdict,
        "exact": spectrum.exact,
        "rank": spectrum.rank,
        "nullity": spectrum.nullity,
        "largest": float(spectrum.largest),
        "smallest": float(spectrum.smallest),
        "condition": spectrum.condition,
        "noise_gain": spectrum.noise_gain,
        "worst": [{"frequency": f, "singular_value": s} for f, s in found.worst],
        "damping": {f"{level:g}": damp for level, damp in found.damping.items()},
        "method": found.methods[0].name,
    }
    if args.plot is not None:
        figure = found.plot().figure
        with _files.written_whole(args.plot, args.force) as file:
            figure.savefig(file, format=kind, dpi=120)
        output.fact("picture", args.plot)
