"""How the PSNR of a sweep of STRIP depends on the layer: ten initial, three trained.

The paper inverts the first layer of a network that it trained, and does not publish it.
"""

import numpy as np

from convinv import ConvLinearOperator

from ...support.outcome import Claim, Outcome, Table
from ...support.quality import psnr
from ...support.quiet import quietly
from . import data, paper
from .layers import Trained
from .problems import Case, problem

CASES = (Case(28), Case(64, 50), Case(256, 5))
QUICK = (Case(28, 10), Case(64, 2))
NOISES = (0.01, 0.1)
PRINTED = (paper.PSNR, paper.NOISY_PSNR)
DROP = 20.0  # dB that ten times the noise cost
NEAR = 3.0  # dB
COLUMNS = "images,layer,condition of a strip,PSNR 1%,paper's,PSNR 10%,paper's"


def run(quick, folders):
    counts = {"initial": 3, "trained": 1} if quick else {"initial": 10, "trained": 3}
    return outcome(QUICK if quick else CASES, counts, 30 if quick else 300, folders)


def outcome(cases, counts, steps, folders):
    rows, claims, notes = [], [], []
    for case in cases:
        source = data.source(case.size, folders)
        images = source.batch(case.batch, np.random.default_rng(0))
        found = {}
        for seed in range(counts["initial"]):
            found[f"initial, rng={seed}"] = levels(case, case.operator(seed), images)
        for seed in range(counts["trained"] if case.size < 256 else 0):
            trained = Trained(data.labeled(case.size), case.filters, steps, seed)
            name = f"trained, rng={seed} ({trained.accuracy:.0%} right)"
            found[name] = levels(case, case.operator(kernel=trained.kernel), images)
        rows += [row(case, name, values) for name, values in found.items()]
        claims += claims_of(case, list(found.values()))
        notes.append(f"{case}: {source.name}, batch {case.batch}")
    text = "PSNR to the pseudoinverse's solution, at 256 x 256 to the images as there"
    return Outcome([Table("Layers", text, COLUMNS, rows)], claims, notes, {})


def levels(case, op, images):
    """The condition of a small strip, and the PSNR of a sweep at both noises."""
    found = []
    for noise in NOISES:
        made = problem(op, images, noise, np.random.default_rng(1))
        strip = quietly(op, made.b, "strip", rtol=0, maxiter=1).x
        # the paper's images of 256 x 256 have no pseudoinverse to compare with
        found.append(psnr(strip, made.x if case.size == 256 else made.pinv))
    return condition(op), *found


def condition(op):
    """Of the matrix of a strip of two rows of an image of 28 x 28."""
    strip = ConvLinearOperator(op.kernel, (op.input_shape[0], 4, 28))
    return np.linalg.cond(strip.tosparse().toarray())


def row(case, name, values):
    cells = [str(case), name, f"{values[0]:.1f}"]
    for value, table in zip(values[1:], PRINTED):
        cells += [f"{value:.2f}", paper.cell(table, case.size, "STRIP")]
    return cells


def claims_of(case, found):
    conditions, *found = zip(*found)
    claims = []
    for noise, values, table in zip(NOISES, found, PRINTED):
        printed = paper.printed(table, case.size, "STRIP")
        gaps = np.abs(np.subtract(values, printed))
        claims.append(
            Claim(
                f"{case}, {noise:.0%} noise: some layer is within {NEAR:g} dB of the "
                "paper's",
                f"{np.sum(gaps <= NEAR)} of {len(values)}, from {min(values):.1f} to "
                f"{max(values):.1f} dB for {printed}",
                bool(np.min(gaps) <= NEAR),
                soft=True,
            )
        )
    drop = np.subtract(*found)
    claims.append(
        Claim(
            f"{case}: ten times the noise cost {DROP:g} dB",
            f"{drop.min():.2f} to {drop.max():.2f} dB",
            bool(np.abs(drop - DROP).max() < 1),
        )
    )
    return claims
