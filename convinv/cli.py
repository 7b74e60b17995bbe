"""The command ``convinv``."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from . import __version__, methods

DEMO_METHODS = ("auto", "direct", "schwarz", "strip", "cgls", "lsmr")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        The arguments after the program's name; by default those of the process.

    Returns
    -------
    int
        0, or 2 after an error, whose message is on stderr.

    Examples
    --------
    >>> from convinv.cli import main
    >>> main(["methods"])
    adbk          Averaging deterministic block Kaczmarz, with momentum mADBK
                    options:  momentum=0.0
    ...
    0
    """
    args = _parser().parse_args(argv)
    try:
        args.run(args)
    except (ValueError, TypeError, ImportError, OSError, MemoryError) as error:
        print(f"convinv: error: {error or type(error).__name__}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="convinv", description="Invert multi-channel convolutions."
    )
    parser.add_argument("--version", action="version", version=f"convinv {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    _add_demo(commands)
    table = commands.add_parser(
        "methods",
        help="list the methods and their requirements",
        description="List the methods of convinv.solve and their requirements.",
    )
    table.set_defaults(run=_methods)
    return parser


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser(
        "demo",
        help="blur a photograph with a layer and invert it by several methods",
        description="Pass a real photograph through a convolution layer, add noise, "
        "invert by several methods, compare them in a table and a picture.",
    )
    add = demo.add_argument
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
        "--kernel",
        metavar="FILE",
        help=".npy file of an array (C_out, C_in, height, width), instead of a random "
        "layer",
    )
    add(
        "--filters",
        type=int,
        metavar="N",
        help="filters of the random 3 x 3 layer (default: 8)",
    )
    add(
        "--noise",
        type=float,
        default=0.01,
        metavar="LEVEL",
        help="standard deviation of the noise over that of the photograph "
        "(default: %(default)s)",
    )
    add(
        "--method",
        action="append",
        metavar="NAMES",
        help="methods to compare, separated by commas; may be given again "
        f"(default: {','.join(DEMO_METHODS)})",
    )
    add("--maxiter", type=int, metavar="N", help="iterations at most, of each method")
    add(
        "--rtol",
        type=float,
        default=1e-6,
        metavar="X",
        help="relative tolerance (default: %(default)s)",
    )
    add(
        "--output",
        default="convinv-demo.png",
        metavar="FILE",
        help="where to write the picture (default: %(default)s)",
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
    demo.set_defaults(run=_demo)


def _demo(args: argparse.Namespace) -> None:
    from ._demo import compare  # it takes scikit-image and matplotlib

    names = ",".join(args.method or DEMO_METHODS).split(",")
    names = [name.strip() for name in names]
    known = ["auto", *(method.name for method in methods())]
    for name in names:
        if name not in known:
            raise ValueError(f"--method: {name!r} is none of {', '.join(known)}")
    args.method = list(dict.fromkeys(names))
    compare.run(args)


def _methods(args: argparse.Namespace) -> None:
    for method in methods():
        takes = {"damp": method.damp, "preconditioner": method.preconditioner}
        facts = {
            "needs": method.needs,
            "takes": [word for word, taken in takes.items() if taken],
            "options": [str(option) for option in method.options.values()],
            "stores": [f"{method.storage} per right-hand side"],
            "products": [f"{method.products} per iteration"],
        }
        print(f"{method.name:<14}{method.summary}")
        for name, words in facts.items():
            if words:
                label = f"{'':14}  {name + ':':<10}"
                lines = textwrap.wrap(", ".join(words), 96 - len(label))
                print(label + ("\n" + " " * len(label)).join(lines))
