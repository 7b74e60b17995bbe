"""The table of the measured rows, its summary, and the bars that they miss."""

import math

from ..support.tables import number, section
from .measure import AUTO

FIRST, MOST_FIRST, SHARE, SECOND = 1.3, 2.0, 0.95, 1.1
WORST = 10
TEXT = (
    "best: the fastest successful candidate's first call, a new operator's, with "
    "set-up; chosen: what `auto` ran; first / best and second / best: seconds of "
    "`auto` over those of the fastest candidate's first call, and of the fastest "
    "second call, which may be another candidate's; inf: `auto` had no success within "
    "its limit; dB: peak over root mean square of the error of x, for tall and square "
    "layers without noise and regularization; memory: peak of `auto` in MB, and over "
    "that of cgls; kept: by the set-up, where `auto` tells"
)
COLUMNS = (
    "case,best,best s,chosen,first s,first / best,second s,best second s,"
    "second / best,dB,memory MB,over cgls,kept MB"
)
WIDTHS = (66, 14, 8, 9, 8, 12, 8, 13, 13, 4, 9, 9, 8)  # of what is printed


def tables(rows):
    """Markdown of the table and the summary."""
    good = [row for row in rows if "error" not in row]
    cells = [shown(row) for row in good]
    return "\n\n".join([section("Times", TEXT, COLUMNS, cells), summary(rows)])


def shown(row):
    """The cells of a row."""
    if "error" in row:
        return (row["case"], row["error"])
    taken, peaks = row["times"].get(AUTO), row.get("peaks")
    best, again = fastest(row, 0), fastest(row, 1)
    return (
        row["case"],
        best or "none",
        number(best and row["times"][best][0]),
        row.get("method", "none"),
        number(taken and taken[0]),
        number(ratio(row, 0)),
        number(taken and taken[1]),
        number(again and row["times"][again][1]),
        number(ratio(row, 1)),
        f"{row['decibels']:.0f}" if "decibels" in row else "-",
        number(peaks and peaks[AUTO] / 1e6),
        number(peaks and peaks[AUTO] / peaks["cgls"]),
        number(row.get("nbytes") and row["nbytes"] / 1e6),
    )


def fastest(row, call):
    """The candidate with the shortest first (0) or second (1) call, None without any.

    Calls of auto do not count: it is held to the others.
    """
    others = {name: t[call] for name, t in row["times"].items() if name != AUTO}
    return min(others, key=others.get, default=None)


def ratio(row, call):
    """Seconds of auto over the shortest of the others; None where no other succeeds."""
    best, taken = fastest(row, call), row["times"].get(AUTO)
    if best is None:
        return None
    return math.inf if taken is None else taken[call] / row["times"][best][call]


def missed(rows):
    """The bars that the rows miss, as text."""
    firsts, seconds = (_ratios(rows, call) for call in (0, 1))
    found = [f"{row['case']}: {row['error']}" for row in rows if "error" in row]
    if firsts and _share(firsts, FIRST) < SHARE:
        found.append(f"first calls: fewer than {SHARE:.0%} within {FIRST} of the best")
    if any(r > MOST_FIRST for r, _ in firsts):
        found.append(f"first calls: some above {MOST_FIRST} times the best")
    if any(r > SECOND for r, _ in seconds):
        found.append(f"second calls: some above {SECOND} times the best")
    return found


def summary(rows):
    """Shares of cases within the bars, the worst rows, and where there is no method."""
    parts = ["## Summary", ""]
    for call, limit in enumerate((FIRST, SECOND)):
        ratios, name = _ratios(rows, call), ("first", "second")[call]
        if not ratios:
            continue
        within = sum(r <= limit for r, _ in ratios)
        parts += [
            f"- {name} call within {limit} times the best: {within} of {len(ratios)} "
            f"({within / len(ratios):.0%}); the worst:",
            *(f"  - {row}: {number(r)}" for r, row in _worst(ratios, limit)),
        ]
    good = [row for row in rows if "error" not in row]
    none = [row["case"] for row in good if not row["times"]]
    if none:
        parts += ["- no method had success within its limit:"]
        parts += [f"  - {name}" for name in none]
    alone = [row["case"] for row in good if list(row["times"]) == [AUTO]]
    if alone:
        parts += ["- `auto` alone had success:", *(f"  - {name}" for name in alone)]
    failures = [row for row in good if row["times"] and AUTO not in row["times"]]
    if failures:
        parts += ["- `auto` had none, the best had:"]
        parts += [f"  - {row['case']}: {row['failed'][AUTO]}" for row in failures]
    bars = missed(rows) or ["none"]
    return "\n".join([*parts, "- bars missed:", *(f"  - {text}" for text in bars)])


def _ratios(rows, call):
    """``(ratio, case)`` of all rows that have one."""
    good = [row for row in rows if "error" not in row]
    found = [(ratio(row, call), row["case"]) for row in good]
    return [pair for pair in found if pair[0] is not None]


def _share(ratios, limit):
    return sum(r <= limit for r, _ in ratios) / len(ratios)


def _worst(ratios, limit):
    return sorted((pair for pair in ratios if pair[0] > limit), reverse=True)[:WORST]
