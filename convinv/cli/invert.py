"""``convinv invert``: the input of a layer from its output."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import numpy as np

from .. import SolveResult, _files, methods, solve
from .._core.byte_counts import parse_bytes
from .._files._whole import check_free
from ._errors import UsageError
from ._layer import Layer, add_options, read_layer
from ._output import Output, steps, times
from ._words import not_negative, number_or, sizes

RULES = ("gcv", "ncp", "lcurve", "discrepancy")


def add(commands: Any) -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = commands.add_parser(
        "invert",
        help="the input of a layer from its output",
        description="Apply the inverse of a convolution layer to arrays that it made. "
        "A bias in the layer's file is subtracted first.",
        epilog="If x misses the tolerance, it is written, and the command ends with 1.",
    )
    add_options(parser)
    add = parser.add_argument
    add("data", metavar="DATA.npy", help="(C_out, height, width), or a stack of them")
    add("output", metavar="OUTPUT.npy", help="where to write the input of the layer")
    group = parser.add_argument_group("the inverse")
    add = group.add_argument
    add(
        "--input-shape",
        type=sizes,
        metavar="C,H,W",
        help="of one input; needed if the stride is not 1",
    )
    add(
        "--damp",
        type=number_or(*RULES),
        default=0.0,
        metavar="X",
        help=f"Tikhonov damping, or a rule that chooses it: {', '.join(RULES)} "
        "(default: 0)",
    )
    add(
        "--regularizer",
        choices=("identity", "gradient", "laplacian"),
        metavar="NAME",
        help="what damping keeps small: identity (x itself, default), gradient or "
        "laplacian (differences between neighbors)",
    )
    add(
        "--noise-level",
        type=not_negative,
        metavar="X",
        help="standard deviation of the noise, for the rule discrepancy",
    )
    names = ("auto", *(method.name for method in methods()))
    add("--method", choices=names, default="auto", metavar="NAME", help="default: auto")
    add("--rtol", type=not_negative, default=1e-6, metavar="X", help="default: 1e-6")
    add("--maxiter", type=int, metavar="N", help="iterations at most")
    add("--max-memory", metavar="SIZE", help='such as "500MB"')
    add("--force", action="store_true", help="overwrite OUTPUT.npy")
    return parser


def run(args: argparse.Namespace, output: Output) -> str | None:
    """Solve, write x, and say how good it is; the message if x misses the tolerance."""
    _refuse_nonsense(args)
    layer = read_layer(args)
    check_free(args.output, args.force)
    data = _files.load_array(args.data, mmap_mode="r")
    plain = data.ndim == layer.kernel.ndim - 2 and len(layer.kernel) == 1
    data = data[None] if plain else data  # its one channel may be left out
    op = layer.operator(_input_size(args, layer, data))
    if data.shape[-len(op.output_shape) :] != op.output_shape:
        raise ValueError(
            f"{args.data!r} must hold {times(op.output_shape)} numbers, or a stack of "
            f"them, which the layer makes of {times(op.input_shape)}, got shape "
            f"{data.shape}"
        )
    output.fact("layer", str(layer))
    output.fact("unknowns", f"{times(op.input_shape)}, data {times(data.shape)}")
    if layer.bias is not None:
        data = data - layer.bias.reshape(-1, *[1] * (len(op.output_shape) - 1))
    result = solve(
        op,
        data,
        args.method,
        damp=args.damp,
        regularizer=args.regularizer,
        noise_level=args.noise_level,
        rtol=args.rtol,
        maxiter=args.maxiter,
        max_memory=args.max_memory,
        progress=output.progress,
        on_failure="ignore",
    )
    x = result.x[0] if plain and layer.channels == 1 else result.x
    with _files.written_whole(args.output, args.force) as file:
        np.save(file, x)
    output.facts |= {"shape": x.shape, "dtype": str(x.dtype)}
    _tell(result, data, args, output)
    output.fact("written", f"{args.output}, {x.dtype} {times(x.shape)}")
    return None if result.success else f"{result.method}: {result.message}"


def _refuse_nonsense(args: argparse.Namespace) -> None:
    if args.damp == "discrepancy" and args.noise_level is None:
        raise UsageError("--damp discrepancy needs --noise-level")
    if args.regularizer is not None and args.damp == 0:
        raise UsageError("--regularizer is for --damp X, its weight")
    if args.noise_level is not None and args.damp != "discrepancy":
        raise UsageError("--noise-level is for --damp discrepancy")
    if args.maxiter is not None and args.maxiter < 0:
        raise UsageError(f"--maxiter must not be negative, got {args.maxiter}")
    if Path(args.output).suffix != ".npy":
        raise UsageError(f"OUTPUT.npy must end in .npy, got {args.output!r}")
    if args.max_memory is not None:
        try:
            parse_bytes(args.max_memory, "--max-memory")
        except ValueError as error:
            raise UsageError(str(error)) from None


def _input_size(
    args: argparse.Namespace, layer: Layer, data: np.ndarray
) -> tuple[int, ...]:
    """Height and width of the input: given, or the only ones that make such data."""
    taps = layer.kernel.shape[2:]
    if args.input_shape is not None:
        channels, *size = args.input_shape
        if len(size) != len(taps) or channels != layer.channels:
            raise UsageError(
                f"--input-shape must be {layer.channels} channels and {len(taps)} more "
                f"numbers, got {times(args.input_shape)}"
            )
        return tuple(size)
    if data.ndim <= len(taps):
        raise ValueError(
            f"{args.data!r} must have the channels and {len(taps)} more axes, as the "
            f"output of the layer has, got shape {data.shape}"
        )
    made = data.shape[-len(taps) :]
    ranges = [_sizes(n, axis, layer) for axis, n in enumerate(made)]
    sizes = list(itertools.product(*ranges))
    if len(sizes) != 1:
        least, most = (times((layer.channels, *size)) for size in (sizes[0], sizes[-1]))
        raise UsageError(
            f"with a stride, inputs from {least} to {most} make such data: give "
            "--input-shape"
        )
    return sizes[0]


def _sizes(made: int, axis: int, layer: Layer) -> range:
    """The lengths of an axis of which the layer makes this one."""

    def of(name: str, default: Any) -> Any:
        value = layer.options.get(name, default)
        return value[axis] if isinstance(value, (tuple, list)) else value

    padding = layer.options.get("padding", 0)
    if padding == "same":
        return range(made, made + 1)
    pad = 0 if padding == "valid" else of("padding", 0)
    pads = sum(pad) if isinstance(pad, tuple) else 2 * pad
    reach = of("dilation", 1) * (layer.kernel.shape[2 + axis] - 1) + 1
    stride = of("stride", 1)
    least = (made - 1) * stride + reach - pads
    return range(max(least, 1), max(least + stride, 2))


def _tell(
    result: SolveResult, data: np.ndarray, args: argparse.Namespace, output: Output
) -> None:
    size = float(np.linalg.norm(data))
    residual = float(np.linalg.norm(result.residual_norm)) / (size or 1.0)
    damp = result.extra.get("damp", args.damp)
    error = result.error_bound
    bound = None if error is None else float(np.max(error))
    output.fact("method", f"{result.method}, {steps(result.nit)}")
    if damp:
        chosen = f" (chosen by {args.damp})" if isinstance(args.damp, str) else ""
        output.fact("damp", f"{damp:.4g}{chosen}")
    output.fact("residual", f"{residual:.3g} of the data")
    if bound is not None:
        output.fact("error", f"about {bound:.3g} of x at most")
    output.fact("seconds", f"{result.seconds:.3g}")
    output.facts |= {
        "success": result.success,
        "status": result.status.name,
        "message": result.message,
        "method": result.method,
        "iterations": result.nit,
        "damp": damp,
        "relative_residual": residual,
        "error_bound": bound,
        "seconds": result.seconds,
        "output": args.output,
    }
