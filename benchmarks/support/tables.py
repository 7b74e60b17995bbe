"""Tables in Markdown, and how numbers stand in them."""

import math


def section(title, text, names, rows):
    """A heading, a sentence and a table; the columns' names have commas between."""
    return "\n".join([f"## {title}", "", f"{text}.", "", *table(names, rows)])


def table(names, rows):
    """The lines of a table with columns of equal width; cells stay as they are."""
    import tabulate  # here, as asv's environment has none and writes no tables

    tabulate.MIN_PADDING = 0  # else every column is two wider than its name
    names, rows = names.split(","), [[str(cell) for cell in row] for row in rows]
    text = tabulate.tabulate(rows, names, tablefmt="github", disable_numparse=True)
    return text.splitlines()


def line(row, widths):
    """One row, filled up to so many characters a column, before others are known."""
    cells = (str(cell).ljust(w) for cell, w in zip(row, widths))
    return "| " + " | ".join(cells) + " |"


def number(value):
    """Three digits, without an exponent where that is readable; "-" for None."""
    if value is None:
        return "-"
    if value == 0 or not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2e}"
    digits = max(2 - math.floor(math.log10(abs(value))), 0)
    return f"{value:.{digits}f}"


def pair(values):
    """The shortest time and the median, or a ratio of each."""
    least, median = values
    return f"{least:.2f} / {median:.2f}"


def milliseconds(seconds):
    """A pair in milliseconds."""
    return pair(1e3 * value for value in seconds)


def extent(lengths):
    """Lengths along the axes, such as 3x3."""
    return "x".join(map(str, lengths))
