"""``convinv methods``: the methods of `solve` and their requirements."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from .. import methods as known_methods
from ._output import Output


def add(commands: Any) -> argparse.ArgumentParser:
    """The parser of the command."""
    return commands.add_parser(
        "methods",
        help="list the methods and their requirements",
        description="List the methods of convinv.solve and their requirements.",
    )


def run(args: argparse.Namespace, output: Output) -> None:
    """Print the table."""
    output.facts["methods"] = []
    known = known_methods()
    column = 2 + max(len(method.name) for method in known)
    for method in known:
        takes = {"damp": method.damp, "preconditioner": method.preconditioner}
        facts = {
            "needs": method.needs,
            "takes": [word for word, taken in takes.items() if taken],
            "options": [str(option) for option in method.options.values()],
            "stores": [f"{method.storage} per right-hand side"],
            "products": [f"{method.products} per iteration"],
        }
        output.line(f"{method.name:<{column}}{method.summary}")
        for name, words in facts.items():
            if words:
                label = f"{'':{column}}  {name + ':':<10}"
                lines = textwrap.wrap(", ".join(words), 96 - len(label))
                output.line(label + ("\n" + " " * len(label)).join(lines))
        own = {"name": method.name, "summary": method.summary, **facts}
        output.facts["methods"].append(own)
