"""Deblurring a shaken photograph: plain GMRES, and on the normal equations."""

import functools

import numpy as np

from ...support.outcome import ABSENT, Claim, Outcome, Table
from ...support.quality import psnr
from ...support.quiet import quietly
from . import document, figures, problems
from .peers import squared_residual

CYCLE, CYCLES = 100, 20
PLAIN = ((100, 1000), (1000, 1000))  # steps of a cycle, and in all
LONG = (1000, 10)  # steps of a cycle and cycles of the document, which take minutes
SHOWN = (1, 5, 10, 20, 50, 100)
BETTER = 5.0  # dB by which the normal equations are to win, and to improve the data


def run(quick=False):
    if quick:
        return outcome(48, 40, 5, ((50, 200),), (1, 10, 40))
    return outcome(document.MOTION_SIZE, CYCLE, CYCLES, PLAIN, SHOWN)


@functools.cache
def solved(size, restart, steps, normal=True):
    blur = problems.motion(size)
    options = {"normal": normal, "rtol": 0}
    quietly(blur.op, blur.b, "gmres", restart=2, maxiter=2, **options)  # compiles
    return quietly(blur.op, blur.b, "gmres", restart=restart, maxiter=steps, **options)


def outcome(size, cycle, cycles, plain, shown):
    blur = problems.motion(size)
    blurred, rows = psnr(blur.b, blur.x), []
    for restart, steps in plain:
        result = solved(size, restart, steps, normal=False)
        rows.append(row("A x = b", restart, result, blur, ABSENT))
    failed = result
    result = solved(size, cycle, cycle * cycles)
    same = (size, cycle, cycles) == (document.MOTION_SIZE, CYCLE, CYCLES)
    theirs = f"{document.MOTION_SECONDS:g} (GPU)" if same else ABSENT
    rows.append(row("A^T A x = A^T b", cycle, result, blur, theirs))
    stages = first_steps(blur, shown)
    columns = "equations,steps of a cycle,steps,document s,s,residual^2,blurred dB,dB"
    text = (
        f"Camera, {size}x{size}, {problems.TAPS}x{problems.TAPS} taps of a shaken "
        "camera, no noise; dB: peak over root mean square of the error"
    )
    tables = [
        Table("Motion", text, columns, rows),
        Table(
            "The first steps",
            "Normal equations from x = 0, one cycle each; "
            f"the document takes {document.MOTION_HUNDRED:g} s for 100 on a GPU",
            "steps,s,residual^2,dB",
            [stage[:-1] for stage in stages],
        ),
    ]
    drawn = {
        "motion-pictures": figures.pictures(
            {
                "photograph": blur.x,
                "blurred": blur.b,
                "plain GMRES": failed.x,
                "normal equations": result.x,
            }
        ),
        "motion-steps": figures.pictures(
            {f"{stage[0]} step{'s' * (stage[0] > 1)}": stage[-1] for stage in stages}
        ),
    }
    made = claims(blurred, rows[:-1], rows[-1])
    return Outcome(tables, made, [], drawn)


def row(name, restart, result, blur, theirs):
    return (
        name,
        restart,
        result.nit,
        theirs,
        result.seconds,
        squared_residual(blur.op, result.x, blur.b),
        f"{psnr(blur.b, blur.x):.1f}",
        f"{psnr(result.x, blur.x):.1f}",
    )


def claims(blurred, plain, normal):
    best, failed = float(normal[-1]), [float(row[-1]) for row in plain]
    words = ", ".join(f"{value:.1f} dB" for value in failed)
    return [
        Claim(
            f"the normal equations improve the data by {BETTER:g} dB",
            f"{best:.1f} dB for {blurred:.1f}",
            best >= blurred + BETTER,
        ),
        Claim(
            f"plain GMRES stays {BETTER:g} dB below them",
            f"{words} for {best:.1f}",
            max(failed) <= best - BETTER,
        ),
    ]


def run_plain(quick=False):
    """Plain GMRES for as long as in the document, and in its precision, single."""
    return plain(48, 50, 4) if quick else plain(document.MOTION_SIZE, *LONG)


def plain(size, cycle, cycles):
    blur = problems.motion(size)
    op, b = blur.op.astype("float32"), blur.b.astype("float32")
    result = quietly(op, b, "gmres", restart=cycle, maxiter=cycle * cycles, rtol=0)
    ends = np.asarray(result.history, float)[cycle - 1 :: cycle]
    rows = [(cycle * (i + 1), float(norm) ** 2) for i, norm in enumerate(ends)]
    before, after = psnr(blur.b, blur.x), psnr(result.x, blur.x)
    text = (
        f"Camera, {size}x{size}, A x = b in float32, restart {cycle}: "
        f"{result.seconds:.0f} s, {before:.1f} dB blurred and {after:.1f} dB in the end"
    )
    claim = Claim(
        "plain GMRES gains less than 1 dB", f"{after - before:.2f}", after < before + 1
    )
    table = Table("Plain GMRES", text, "steps,residual^2", rows)
    return Outcome([table], [claim], [], {})


def first_steps(blur, shown):
    """``(steps, seconds, ||A x - b||^2, dB, x)`` of one cycle, ended at each number."""
    found = []
    for steps in shown:
        options = {"normal": True, "restart": steps, "maxiter": steps, "rtol": 0}
        result = quietly(blur.op, blur.b, "gmres", **options)
        residual = squared_residual(blur.op, result.x, blur.b)
        ratio = f"{psnr(result.x, blur.x):.1f}"
        found.append((steps, result.seconds, residual, ratio, result.x))
    return found
