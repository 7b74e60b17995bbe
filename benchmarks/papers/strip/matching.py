"""Table 2: how long every method takes to the PSNR of one sweep of STRIP."""

import collections
import time

import numpy as np

from ...support.measure import clock
from ...support.outcome import Claim, Outcome, Table
from ...support.quality import psnr
from ...support.quiet import quietly
from . import data, paper
from .measures import measured, seconds, spread
from .methods import MATRIX, METHODS, options
from .problems import Case, problem
from .tables import LEVELS, NAMES, iteration, warm_up

CASES = {Case(28): 10, Case(64): 3, Case(256): 1}  # and the runs
QUICK = {Case(28, 4): 1, Case(64, 2): 1}
LEVEL = LEVELS["table1"]._replace(rate=1e-1)  # the paper's for this table
PATIENCE = {28: 2.0, 64: 10.0, 256: 60.0}  # seconds until a method is given up
FURTHER = 5  # steps that tell the time of one with a matrix
COLUMNS = (
    "method,iterations,paper's,PSNR,seconds,with a matrix,paper's seconds,"
    "products,peak MB"
)


class Race:
    """A callback that stops a method at the target, or when patience is at its end.

    The time it takes itself does not count.
    """

    def __init__(self, target, reference, patience):
        self.target, self.reference, self.patience = target, reference, patience
        self.level, self.own, self.start = -np.inf, 0.0, time.perf_counter()

    def __call__(self, state):
        begun = time.perf_counter()
        self.level = psnr(state.x, self.reference)
        now = time.perf_counter()
        self.own += now - begun
        return self.reached or now - self.start > self.patience

    @property
    def reached(self):
        return self.level >= self.target


def run(quick, folders):
    return outcome(QUICK if quick else CASES, 2.0 if quick else None, folders)


def outcome(cases, patience, folders):
    tables, claims, notes = [], [], []
    for case, runs in cases.items():
        source = data.source(case.size, folders)
        limit = patience or PATIENCE[case.size]
        found = raced(case, source, runs, limit)
        tables.append(table(case, found, limit))
        claims.append(claim_of(case, found))
        notes.append(f"{case}: {source.name}, batch {case.batch}, runs: {runs}")
    return Outcome(tables, claims, notes, {})


def raced(case, source, runs, patience):
    found = {name: collections.defaultdict(list) for name in NAMES}
    warm_up(case, source, LEVEL)
    for run in range(runs):
        rng = np.random.default_rng(run)
        made = problem(case.operator(), source.batch(case.batch, rng), LEVEL.noise, rng)
        # as in the paper, whose 256 x 256 images have no pseudoinverse to compare with
        reference = made.x if case.size == 256 else made.pinv
        op = case.operator()
        strip, cost = measured(
            lambda op=op: iteration(op, made.b, "STRIP", LEVEL), op, len(made.b)
        )
        target = psnr(strip.x, reference)
        add(found["STRIP"], 1, target, cost, True)
        for name in NAMES[1:]:
            race(case, made, name, Race(target, reference, patience), found[name])
        if not run:
            with_matrix(case, made, found)
    return found


def race(case, made, name, callback, values):
    """One method until it has the target's PSNR; auto just solves."""
    op = case.operator()

    def call():
        if name == "auto":
            return quietly(op, made.b, "auto")
        return quietly(
            op,
            made.b,
            METHODS[name],
            rtol=0,
            maxiter=10**6,
            callback=callback,
            **options(name, LEVEL.rate),
        )

    result, cost = measured(call, op, len(made.b))
    callback.level = psnr(result.x, callback.reference)
    cost = cost._replace(seconds=cost.seconds - callback.own)
    add(values, result.nit, callback.level, cost, callback.reached)


def add(values, nit, level, cost, reached):
    for name, value in (("nit", nit), ("psnr", level), ("reached", reached)):
        values[name].append(value)
    for name, value in cost._asdict().items():
        values[name].append(value)


def with_matrix(case, made, found):
    """Seconds for as many steps with a sparse matrix, its making included.

    They are reckoned from a few steps, as all of them take minutes.
    """
    build, matrix = clock(lambda: case.operator().tosparse())
    columns = np.ascontiguousarray(made.b.reshape(len(made.b), -1).T)
    for name in MATRIX:
        taken = []
        for steps in (1, 1 + FURTHER):
            taken.append(
                clock(
                    lambda: quietly(
                        matrix,
                        columns,
                        METHODS[name],
                        rtol=0,
                        maxiter=steps,
                        **options(name, LEVEL.rate),
                    )
                )[0]
            )
        step = max(0.0, taken[1] - taken[0]) / FURTHER
        values = found[name]
        values["matrix"].append(build + taken[0] + step * (values["nit"][0] - 1))


def table(case, found, patience):
    rows = []
    for name in NAMES:
        values = found[name]
        nit = spread(values["nit"], 0)
        rows.append(
            (
                name,
                nit if all(values["reached"]) else f"not in {nit}",
                paper.printed(paper.ITERATIONS, case.size, name),
                spread(values["psnr"]),
                seconds(values["seconds"]),
                seconds(values["matrix"]),
                paper.cell(paper.MATCHED_SECONDS, case.size, name),
                spread(values["products"], 0),
                spread(values["peak"], 1),
            )
        )
    to = "image" if case.size == 256 else "pseudoinverse's solution"
    text = (
        f"{case.filters} filters, 1% noise, batch {case.batch}: until the PSNR to the "
        f"{to} is that of one sweep of STRIP, or for {patience:g} seconds"
    )
    return Table(str(case), text, COLUMNS, rows)


def claim_of(case, found):
    levels = [found["auto"]["psnr"], found["STRIP"]["psnr"]]
    gain = np.subtract(*levels).min()
    times = [np.mean(found[name]["seconds"]) for name in ("STRIP", "auto")]
    return Claim(
        f"{case}: auto is closer than a sweep of STRIP",
        f"by {gain:.1f} dB, in {times[1] / times[0]:.2f} of its time",
        bool(gain > 0),
    )
