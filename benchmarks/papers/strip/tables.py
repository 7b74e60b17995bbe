"""Tables 1 and 4: every method after one iteration, with 1 % and with 10 % noise."""

import collections
from typing import NamedTuple

import numpy as np

from ...support.measure import clock
from ...support.outcome import Claim, Outcome, Table
from ...support.quality import psnr
from ...support.quiet import quietly
from . import data, figures, paper
from .measures import measured, seconds, spread, ssim
from .methods import MATRIX, METHODS, options
from .problems import Case, problem

CASES = (Case(28), Case(64), Case(256))
QUICK = (Case(28, 10), Case(64, 2))
RUNS = 10
SLOW = ("GBK",)  # at 256 x 256 in one run only
COLUMNS = (
    "method,PSNR to PINV,paper's,PSNR to image,SSIM to PINV,paper's SSIM,"
    "seconds,with a matrix,paper's seconds,products,peak MB"
)


class Level(NamedTuple):
    """A level of noise, Adam's learning rate for it, and the paper's numbers."""

    noise: float
    rate: float
    psnr: dict
    ssim: dict
    seconds: dict


LEVELS = {
    "table1": Level(0.01, 1e-2, paper.PSNR, paper.SSIM, paper.SECONDS),
    "table4": Level(0.1, 1e-1, paper.NOISY_PSNR, paper.NOISY_SSIM, paper.NOISY_SECONDS),
}
NAMES = (*METHODS, "auto")


def run_table1(quick, folders):
    return outcome("table1", *((QUICK, 2) if quick else (CASES, RUNS)), folders)


def run_table4(quick, folders):
    return outcome("table4", *((QUICK, 2) if quick else (CASES, RUNS)), folders)


def outcome(name, cases, runs, folders):
    level = LEVELS[name]
    found, drawn, notes = {}, {}, []
    for case in cases:
        source = data.source(case.size, folders)
        found[case.size], pictures = compared(case, source, level, runs)
        drawn[f"{name}-{case.size}"] = figures.reconstructions(pictures)
        notes.append(f"{case}: {source.name}, batch {case.batch}, {runs} runs")
    tables = [table(case, found[case.size], level) for case in cases]
    claims = [claim_of(case, found[case.size]) for case in cases]
    return Outcome(tables, claims, notes, drawn)


def compared(case, source, level, runs):
    """What every run of every method measured, and pictures of the first run."""
    found = {name: collections.defaultdict(list) for name in NAMES}
    warm_up(case, source, level)
    for run in range(runs):
        rng = np.random.default_rng(run)
        x = np.ascontiguousarray(source.batch(case.batch, rng))
        made = problem(case.operator(), x, level.noise, rng)
        if not run:
            pictures = {"PINV": made.pinv[:2]}
            with_matrix(case, made, level, found)
        for name in NAMES:
            if run and case.size > 64 and name in SLOW:
                continue
            answer = one(case, made, name, level, found[name], first=not run)
            if not run:
                pictures[name] = answer[:2]
    return found, pictures


def one(case, made, name, level, values, first):
    """One iteration of a method; the first run tells memory, the others times."""
    op = case.operator()

    def call():
        return iteration(op, made.b, name, level)

    if first:
        result, cost = measured(call, op, len(made.b))
        values["products"].append(cost.products)
        values["peak"].append(cost.peak)
        values["first"].append(cost.seconds)
    else:
        taken, result = clock(call)
        values["seconds"].append(taken)
    values["pinv"].append(psnr(result.x, made.pinv))
    values["image"].append(psnr(result.x, made.x))
    values["ssim"].append(ssim(result.x, made.pinv))
    return result.x


def iteration(op, b, name, level):
    if name == "auto":
        return quietly(op, b, "auto")
    chosen = options(name, level.rate)
    return quietly(op, b, METHODS[name], rtol=0, maxiter=1, **chosen)


def warm_up(case, source, level):
    """Everything is compiled before anything is timed."""
    rng = np.random.default_rng(0)
    x = source.batch(2, rng)
    b = problem(case.operator(), x, level.noise, rng).b
    for name in NAMES:
        iteration(case.operator(), b, name, level)


def with_matrix(case, made, level, found):
    """The same steps on a sparse matrix, the making of it included."""
    build, matrix = clock(lambda: case.operator().tosparse())
    columns = np.ascontiguousarray(made.b.reshape(len(made.b), -1).T)
    for name in MATRIX:
        taken = clock(lambda name=name: iteration(matrix, columns, name, level))[0]
        found[name]["matrix"].append(build + taken)


def table(case, found, level):
    rows = []
    for name in NAMES:
        values = found[name]
        rows.append(
            (
                name,
                spread(values["pinv"]),
                paper.cell(level.psnr, case.size, name),
                spread(values["image"]),
                spread(values["ssim"], 3),
                paper.cell(level.ssim, case.size, name),
                seconds(values["seconds"] or values["first"]),
                seconds(values["matrix"]),
                paper.cell(level.seconds, case.size, name),
                spread(values["products"], 0),
                spread(values["peak"], 1),
            )
        )
    return Table(
        str(case),
        f"{case.filters} filters, {level.noise:.0%} noise, one iteration, batch "
        f"{case.batch}. PSNR is -10 log10 MSE; three of the products are those of "
        "`solve` itself",
        COLUMNS,
        rows,
    )


def claim_of(case, found):
    levels = {name: np.mean(found[name]["pinv"]) for name in METHODS}
    strip = levels.pop("STRIP")
    best = max(levels, key=levels.get)
    return Claim(
        f"{case}: a sweep of STRIP is above one iteration of any other but auto",
        f"{strip:.2f} dB, next {best} with {levels[best]:.2f} dB",
        bool(strip > levels[best]),
    )
