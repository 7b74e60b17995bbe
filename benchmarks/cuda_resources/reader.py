"""A report that was written, as dictionaries, so that it can be checked."""

import re

from ..support.reading import tables


def read(text: str) -> tuple[str, dict[str, dict[tuple[str, str], dict[str, str]]]]:
    """The compiler, and ``{file: {(kernel, dtype): {arch: cell}}}`` of a report."""
    compiler = re.search(r"^- compiler: (.*)$", text, re.MULTILINE)[1]
    found = {}
    for title, rows in tables(text).items():
        if title.endswith(".cu"):
            found[title.removesuffix(".cu")] = {
                (row.pop("kernel"), row.pop("dtype")): row for row in rows
            }
    return compiler, found
