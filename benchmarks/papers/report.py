"""Tables, claims and small figures of an experiment, and how they are written."""

import datetime
import io
import os
import platform
from typing import NamedTuple

from ..exact_grid.report import number
from ..kernel_table.__main__ import processor, section, version

PACKAGES = ("convinv", "numpy", "scipy", "numba", "torch", "jax")
LIMIT = 100_000  # bytes of a figure
COLOURS = 64
ABSENT = "-"


class Claim(NamedTuple):
    """Something that an experiment is to show, and whether it did.

    What depends on the machine's speed, or on data that a document keeps to itself, is
    `soft`: a miss is told and is no failure.
    """

    text: str
    found: str
    holds: bool
    soft: bool = False

    def __str__(self):
        verdict = "met" if self.holds else "**missed**"
        return f"- {self.text}: {verdict}, {self.found}"


class Table(NamedTuple):
    """A table with a title and a sentence; columns in one string, with commas."""

    title: str
    text: str
    columns: str
    rows: list

    def __str__(self):
        rows = [[shown(cell) for cell in row] for row in self.rows]
        return section(self.title, self.text, self.columns, rows)


class Outcome(NamedTuple):
    """What an experiment found: tables, claims, remarks and figures by their names."""

    tables: list
    claims: list
    notes: list
    figures: dict

    @property
    def failed(self):
        return [c for c in self.claims if not c.holds and not c.soft]


def shown(value):
    """A cell: text and whole numbers as they are, others with three digits."""
    return str(value) if isinstance(value, (str, int)) else number(value)


def text_of(outcome):
    """The Markdown of an outcome, without a heading."""
    parts = [str(table) for table in outcome.tables]
    if outcome.claims:
        parts.append("\n".join(["## Claims", "", *map(str, outcome.claims)]))
    if outcome.notes:
        parts.append("\n".join(f"- {note}" for note in outcome.notes))
    return "\n\n".join(parts)


def heading(title, command, threads):
    """What was measured where, and by which command."""
    load = f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [
        f"# {title}",
        "",
        f"- command: `{command}`",
        f"- processor: {processor()}, {os.cpu_count()} cores, threads of BLAS: "
        f"{threads}; load average {load} on {datetime.date.today()}",
        f"- {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}, {packages}",
    ]
    return "\n".join(lines)


def save(figure, path, limit=LIMIT):
    """Write a figure as PNG of few colours, and fewer dots where `limit` asks it."""
    from PIL import Image  # comes with what draws the figures

    dpi = 100
    while True:
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=dpi)
        with Image.open(drawn) as image:
            few = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        data = io.BytesIO()
        few.save(data, format="png", optimize=True)
        if data.tell() <= limit or dpi < 30:
            break
        dpi = int(0.9 * dpi)
    path.write_bytes(data.getvalue())
