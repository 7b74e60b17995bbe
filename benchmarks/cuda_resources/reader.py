"""A report that was written, as dictionaries, so that it can be checked."""

import re


def read(text: str) -> tuple[str, dict[str, dict[tuple[str, str], dict[str, str]]]]:
    """The compiler, and ``{file: {(kernel, dtype): {arch: cell}}}`` of a report."""
    compiler = re.search(r"^- compiler: (.*)$", text, re.MULTILINE)[1]
    tables = {}
    for part in text.split("\n## ")[1:]:
        title = re.match(r"([\w/]+)\.cu\n", part)
        lines = [line for line in part.splitlines() if line.startswith("|")]
        names, _, *rows = [
            [c.strip() for c in line.strip("|").split("|")] for line in lines
        ]
        if title:
            tables[title[1]] = {
                (kernel, dtype): dict(zip(names[2:], cells, strict=True))
                for kernel, dtype, *cells in rows
            }
    return compiler, tables
