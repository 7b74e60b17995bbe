"""Tables of result files: written by tabulate, and read again."""

import importlib
import re

import numpy as np
import pytest

from support.paths import ROOT

RESULTS = ROOT / "benchmarks" / "results"
KEPT_BY_HAND = {"first_call.md"}


@pytest.fixture
def load(monkeypatch):
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("no benchmarks beside the tests")
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.support.{name}")


def blocks(text):
    """The lines of each table."""
    return [b.split("\n") for b in re.findall(r"(?:^\| .*\n)(?:^\|.*\n?)+", text, re.M)]


def by_hand(columns, rows):
    """A table as its format says, without a library."""
    cells = [columns, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    lines = [
        "| " + " | ".join(f"{c:<{w}}" for c, w in zip(row, widths)) + " |"
        for row in cells
    ]
    return [lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]]


def test_a_table(load):
    rng = np.random.default_rng()
    columns = ["layer", "rtol", "a long name of a column", "n"]
    rows = [
        ["1->8, 3x3", "1e-06", f"{value:.3g}", str(n)]
        for n, value in enumerate(rng.standard_normal(4))
    ]
    rows.append(["**missed**", "007", "", "-"])
    lines = load("tables").table(",".join(columns), rows)
    assert lines == by_hand(columns, rows)
    expected = [dict(zip(columns, row)) for row in rows]
    assert load("reading").table(lines) == expected


def test_committed_tables_look_as_they_would_now(load):
    """Files that were written by any version have the same tables."""
    table, seen = load("tables").table, 0
    for path in sorted(RESULTS.rglob("*.md")):
        if path.name in KEPT_BY_HAND:
            continue
        for lines in blocks(path.read_text(encoding="utf-8") + "\n"):
            lines = [line for line in lines if line]
            columns, _, *rows = map(load("reading").cells, lines)
            assert not any("," in name for name in columns), path
            assert table(",".join(columns), rows) == lines, path
            seen += 1
    assert seen > 90


def test_tables_of_a_file(load):
    """By the headings of all levels; a line that only begins with bars is none."""
    text = (
        "# A\n\n- x\n\n## B\n\n||x||_F, and so on.\n\n| a | b |\n|---|---|\n| 1 |  |\n"
    )
    text += "\nmore\n\n| c |\n|---|\n\n# C\n\n| d |\n|---|\n| 2 |"
    found = load("reading").tables(text)
    assert found == {"B": [{"a": "1", "b": ""}], "C": [{"d": "2"}]}


def test_processor(load):
    assert re.search(r"\w", load("machine").processor())
    assert f"- processor: {load('machine').processor()}, " in load("machine").heading(
        "A title", "a command", threads="one thread"
    )
