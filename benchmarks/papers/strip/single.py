"""Figure 1: a photograph behind 16 filters, after one iteration and at STRIP's PSNR."""

import numpy as np

from convinv import gallery

from ...support.measure import clock
from ...support.outcome import Claim, Outcome, Table
from ...support.quality import psnr
from ...support.quiet import quietly
from . import data, figures
from .matching import LEVEL, Race
from .methods import METHODS, options
from .problems import Case, problem

CASE, QUICK = Case(256, 1, 16), Case(48, 1, 16)
SHOWN = ("STRIP", "CG", "GS", "GD", "LSQR", "LSMR", "RSHK")
PATIENCE = 60.0
COLUMNS = "method,PSNR after one,iterations,PSNR at the end,seconds"


def run(quick, folders):
    name = "astronaut"
    if folders.get("celeba"):
        name = data.Faces(folders["celeba"], CASE.size).files[0]
    return outcome(QUICK if quick else CASE, name)


def outcome(case, name):
    photograph = gallery.image(name, case.size, dtype=np.float32)
    x = 2 * np.broadcast_to(photograph, (1, 3, case.size, case.size)).copy() - 1
    made = problem(case.operator(), x, LEVEL.noise, 0)
    rows, first, last, target = [], {}, {}, None
    for method in (*SHOWN, "auto"):
        one = end = solved(case, made, method, {"maxiter": 1})
        target = target or psnr(one[1].x, x)
        if method not in ("STRIP", "auto"):
            end = matched(case, made, method, target)
        (_, first_result), (seconds, result) = one, end
        levels = [psnr(found.x, x) for found in (first_result, result)]
        nit = result.nit if levels[1] >= target else f"not in {result.nit}"
        rows.append((method, f"{levels[0]:.2f}", nit, f"{levels[1]:.2f}", seconds))
        first[f"{method}\n{levels[0]:.1f} dB"] = first_result.x[0]
        steps = "" if method == "auto" else f", {nit} it."
        title = f"{method}{steps}\n{levels[1]:.1f} dB"
        last[title] = result.x[0]
    drawn = figures.rows(first.items(), last.items(), columns=4, width=1.6)
    return Outcome([table(case, rows)], [claim(rows)], [], {"figure1": drawn})


def solved(case, made, method, more):
    """``(seconds, result)`` of a method on a new operator."""
    op = case.operator()
    if method == "auto":
        return clock(lambda: quietly(op, made.b, "auto"))
    chosen = options(method, LEVEL.rate) | {"rtol": 0} | more
    return clock(lambda: quietly(op, made.b, METHODS[method], **chosen))


def matched(case, made, method, target):
    """The same at the first iterate that is as close to the photograph as STRIP's."""
    race = Race(target, made.x, PATIENCE)
    more = {"maxiter": 10**6, "callback": race}
    seconds, result = solved(case, made, method, more)
    return seconds - race.own, result


def table(case, rows):
    text = (
        f"The photograph is {case.size} x {case.size} x 3, filters: {case.filters}, "
        "noise: 1%, batch: 1. PSNR is to the photograph; seconds are those to the "
        "first iterate with the PSNR of one sweep of STRIP"
    )
    return Table("One photograph", text, COLUMNS, rows)


def claim(rows):
    levels = {row[0]: float(row[1]) for row in rows}
    others = [levels[name] for name in SHOWN if name != "STRIP"]
    return Claim(
        "after one iteration STRIP is closest of all but auto",
        f"{levels['STRIP']:.2f} dB, next {max(others):.2f}, auto {levels['auto']:.2f}",
        levels["auto"] > levels["STRIP"] > max(others),
    )
