"""``convinv images``: the photographs that are installed."""

from __future__ import annotations

import argparse
from typing import Any

from .. import gallery
from ._output import Output


def add(commands: Any) -> argparse.ArgumentParser:
    """The parser of the command."""
    return commands.add_parser(
        "images",
        help="list the photographs of the gallery",
        description="List the photographs that come with scikit-image and "
        "scikit-learn, with their sizes. convinv.gallery.image reads them by name.",
    )


def run(args: argparse.Namespace, output: Output) -> None:
    """Print names, heights, widths and channels."""
    names = gallery.images()
    if not names:
        raise ImportError(
            "the photographs come with scikit-image: python -m pip install scikit-image"
        )
    output.facts["images"] = []
    output.line(f"{'name':<22}{'height':>7}{'width':>7}  channels")
    for name in names:
        channels, height, width = gallery.image(name).shape
        output.line(f"{name:<22}{height:>7}{width:>7}{channels:>10}")
        own = {"name": name, "height": height, "width": width, "channels": channels}
        output.facts["images"].append(own)
