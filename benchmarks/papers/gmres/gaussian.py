"""Deblurring a photograph with a kernel that is not quite the right one."""

import functools

import numpy as np

from ...support.outcome import Claim, Outcome, Table
from ...support.quiet import quietly
from . import document, figures, problems
from .peers import squared_residual

STEPS = 2000
RESTARTS = tuple(document.GAUSSIAN)
FACTOR = 10  # our squared residual may be so many times the document's


def run(quick=False):
    if quick:
        return outcome(32, 200, (20, 100))
    return outcome(document.GAUSSIAN_SIZE, STEPS, RESTARTS)


@functools.cache
def solved(size, steps, restart):
    """The result of so many steps in all; other experiments use it again."""
    blur = problems.gaussian(size)
    quietly(blur.op, blur.b, "gmres", restart=2, maxiter=2, rtol=0)  # compiles
    return quietly(blur.op, blur.b, "gmres", restart=restart, maxiter=steps, rtol=0)


def outcome(size, steps, restarts):
    blur = problems.gaussian(size)
    same = (size, steps) == (document.GAUSSIAN_SIZE, STEPS)
    results = {m: solved(size, steps, m) for m in restarts}
    rows, claims = [], []
    for m, result in results.items():
        theirs = document.GAUSSIAN.get(m) if same else None
        found = squared_residual(blur.op, result.x, blur.b)
        rows.append(
            (m, result.nit, *(theirs or (None, None)), found, result.seconds,
             1e3 * result.seconds / result.nit)
        )  # fmt: skip
        if theirs:
            claims.append(
                Claim(
                    f"restart {m}: at most {FACTOR} times the document's residual",
                    f"{found:.2e} for {theirs[0]:.2e}",
                    found <= FACTOR * theirs[0],
                )
            )
    found = [row[4] for row in rows]
    claims.append(
        Claim(
            "the longer the cycles the smaller the residual, to rounding",
            ", ".join(f"{value:.1e}" for value in found),
            all(b <= max(a, rounding(blur)) for a, b in zip(found, found[1:])),
        )
    )
    text = (
        f"Camera, {size}x{size}, blurred with sigma {problems.BLURRED:g} and solved "
        f"with sigma {problems.SOLVED:g}, {problems.TAPS}x{problems.TAPS} taps; "
        f"at most {steps} steps"
    )
    columns = (
        "steps of a cycle,steps,document residual^2,document s,residual^2,s,ms a step"
    )
    histories = {m: np.asarray(r.history) ** 2 for m, r in results.items()}
    best = results[max(restarts)].x
    drawn = {
        "gaussian-residuals": figures.residuals(histories),
        "gaussian-pictures": figures.pictures(
            {"photograph": blur.x, "blurred": blur.b, "deblurred": best}
        ),
    }
    return Outcome([Table("Deblurring", text, columns, rows)], claims, [], drawn)


def rounding(blur):
    """A squared residual that is rounding only."""
    return 100 * (np.finfo(float).eps * np.linalg.norm(blur.b)) ** 2
