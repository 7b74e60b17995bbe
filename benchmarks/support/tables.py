"""Tables in Markdown, and how numbers stand in them."""

import math


def section(title, text, names, rows):
    """A heading, a sentence and a table; the columns' names have commas between."""
    return "\n".join([f"## {title}", "", f"{text}.", "", *table(names, rows)])


def table(names, rows):
    """The lines of a table with columns of equal width."""
    cells = [names.split(","), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = [line(row, widths) for row in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return lines


def line(row, widths):
    """One row, filled up to so many characters a column."""
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
