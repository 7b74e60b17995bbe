"""What an experiment has found, and its Markdown: tables, claims, remarks."""

from typing import NamedTuple

from .tables import number, section

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
