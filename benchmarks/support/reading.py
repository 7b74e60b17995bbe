"""Tables of a result file, as dictionaries: for checks, and for the charts of docs."""

import re


def tables(text):
    """``{title: rows}`` of the tables below headings, a row as ``{column: cell}``.

    Of several tables below one heading the first is taken.
    """
    found = {}
    for part in re.split(r"^#+ ", text, flags=re.MULTILINE)[1:]:
        title, *lines = part.splitlines()
        rows = table(lines)
        if rows:
            found[title] = rows
    return found


def table(lines):
    """The rows of the first table among some lines."""
    inside = [re.match(r"\|[ -]", line) is not None for line in lines] + [False]
    if not any(inside):
        return []
    start = inside.index(True)
    columns, _, *rows = map(cells, lines[start : inside.index(False, start)])
    return [dict(zip(columns, row, strict=True)) for row in rows]


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
