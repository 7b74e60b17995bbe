"""Figures 4, 5 and 11: one sweep over four arrangements of the rows, and what it does.

The paper measures by ||K - K^2||_F how far a sweep ``x <- K x + B`` is from one that
nothing follows, and by PSNR how far its result is from the pseudoinverse's.
"""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from convinv import ConvLinearOperator
from convinv.strips import SweepAnalysis, arrangement_table, plot_arrangement

from ...support.outcome import ABSENT, Claim, Outcome, Table
from ...support.quality import psnr
from . import data, figures, paper
from .layers import Trained
from .problems import Case, problem

CASES = (Case(28), Case(64))
QUICK = (Case(28, 10), Case(32, 2))
KINDS = ("strip", "interleaved", "standard", "randomized")
NOISE = 0.01
SAMPLES = 32  # of the estimates at 64 x 64
ROUNDING = 1e-9  # measures below it are 0
BITS = 11  # of the numbers that a GPU's TF32 multiplies
SURE = 3.0  # standard errors by which an order is one
SMALL = ConvLinearOperator(np.ones((2, 1, 3, 3)), (1, 8, 8))  # of Figure 4

COLUMNS = (
    "arrangement,blocks,largest block,K - K^2,paper's,(K - K_perp)^2,radius,"
    "PSNR 1%,paper's,PSNR without noise"
)
NOTES = (
    "28 x 28 x 1: blocks of strip and interleaved are taller than wide and have full "
    "rank. So K = 0 and one sweep is exact without noise; orthogonality of the blocks, "
    "in which the paper sees the reason, has no part in it: (K - K_perp)^2 is not 0",
    "64 x 64 x 3: strips are just so, interleaved blocks are wide. The 0.326 that the "
    "paper prints for strips can't come from K = 0; if I - P A is computed from "
    "factors of 11 bits, which its GPU can do (TF32), what is left is nearer to it",
    "||K - K^2|| alone does not tell how good a sweep is: blocks of no rows have "
    "K = I, for which it is 0",
    "How the others are ordered depends on the layer, and the paper's is not "
    "published: these claims count like those on times",
)


class Found(NamedTuple):
    """What a sweep does, its first item, and its PSNR with noise and without."""

    analysis: SweepAnalysis
    x: np.ndarray
    level: float
    clean: float


def run(quick, folders):
    if quick:
        return outcome(QUICK, {"initial": 1, "trained": 0}, 4, 0, folders)
    return outcome(CASES, {"initial": 3, "trained": 1}, SAMPLES, 300, folders)


def outcome(cases, counts, samples, steps, folders):
    """Of initial and trained layers; the first of each size is shown."""
    tables, claims, drawn = [], [], {}
    orders, rounding, notes = [], [], list(NOTES)
    for case in cases:
        source = data.source(case.size, folders)
        images = source.batch(case.batch, np.random.default_rng(0)).astype(np.float64)
        found, shown = {}, None
        for name, op in layers(case, counts, steps):
            made = problem(op, images, NOISE, np.random.default_rng(1))
            with threadpool_limits(1, user_api="blas"):
                found[name] = compared(op, made, samples)
            shown = shown or pictures(found[name], made.pinv)
        tables.append(table(case, next(iter(found.values()))))
        orders += [order_row(case, name, one) for name, one in found.items()]
        rounding += [rounding_row(case, name, one) for name, one in found.items()]
        claims += claims_of(case, found)
        drawn[f"arrangements-{case.size}"] = shown
        notes.append(f"{case}: {source.name}, batch {case.batch}")
    tables += [order_table(orders), rounding_table(rounding)]
    drawn["arrangements-rows"] = rows_drawn(SMALL, 2)
    return Outcome(tables, claims, notes, drawn)


def layers(case, counts, steps):
    """Names and operators in double precision."""
    for seed in range(counts["initial"]):
        yield f"initial, rng={seed}", case.operator(seed).astype("float64")
    for seed in range(counts["trained"]):
        kernel = Trained(data.labeled(case.size), case.filters, steps, seed).kernel
        yield f"trained, rng={seed}", case.operator(kernel=kernel).astype("float64")


def compared(op, made, samples):
    """`Found` of every arrangement."""
    clean = op.forward(made.x)
    arranged = arrangement_table(op, KINDS, samples=samples, rng=0)
    found = {}
    for kind in KINDS:
        x = swept(arranged[kind], made.b)
        exact = swept(arranged[kind], clean)
        # without noise the pseudoinverse gives the images
        levels = psnr(x, made.pinv), psnr(exact, made.x)
        found[kind] = Found(arranged[kind], x[0], *levels)
    return found


def swept(analysis, b):
    """One sweep from 0: an iteration of "rbk" in cyclic order, on blocks at hand."""
    x = np.zeros((len(b), analysis.shape[1]))
    analysis.blocks.sweep(x, b.reshape(len(b), -1))
    return x.reshape(len(b), *analysis.input_shape)


def table(case, found):
    rows = []
    for kind, one in found.items():
        analysis, printed = one.analysis, paper.ARRANGEMENTS.get(case.size, {})
        idempotency, level = printed.get(kind, (ABSENT, ABSENT))
        rows.append(
            (
                kind,
                analysis.strips,
                largest(analysis),
                str(analysis.idempotency),
                f"{idempotency}",
                str(analysis.distance),
                str(analysis.spectral_radius),
                f"{one.level:.2f}",
                f"{level}",
                f"{one.clean:.2f}",
            )
        )
    how = "exact" if one.analysis.exact else "estimates from random vectors"
    text = (
        f"{case.filters} filters with initial weights, batch {case.batch}, one sweep "
        f"from 0; measures of K ({how}) are in Frobenius's norm; blocks without their "
        "zero columns; PSNR is -10 log10 MSE to the pseudoinverse's solution"
    )
    return Table(f"Arrangements, {case}", text, COLUMNS, rows)


def largest(analysis):
    """Rows and columns of the largest block."""
    blocks = analysis.blocks
    shapes = ((len(r), len(c)) for r, c in zip(blocks.rows, blocks.columns))
    return " x ".join(map(str, max(shapes, key=math.prod)))


def order_row(case, name, found):
    cells = [str(case), name]
    cells += [str(one.analysis.idempotency) for one in found.values()]
    cells += [f"{one.level:.2f}" for one in found.values()]
    return cells


def order_table(rows):
    columns = ["images", "layer"]
    columns += [f"K - K^2 {kind}" for kind in KINDS]
    columns += [f"dB {kind}" for kind in KINDS]
    text = "||K - K^2||_F, and PSNR after one sweep with 1% noise"
    return Table("Every layer", text, ",".join(columns), rows)


def rounding_row(case, name, found):
    analysis, printed = found["strip"].analysis, paper.ARRANGEMENTS.get(case.size)
    return (
        str(case),
        name,
        str(analysis.idempotency),
        f"{rounded(analysis.blocks):.2g}",
        f"{rounded(analysis.blocks, narrow):.2g}",
        f"{printed['strip'][0]}" if printed else ABSENT,
    )


def rounding_table(rows):
    text = (
        "||K - K^2||_F of strips, where I - P A is computed in single precision, and "
        f"from P and A with {BITS} bits; estimates"
    )
    columns = f"images,layer,double,single,{BITS} bits,paper's"
    return Table("Rounding of strips", text, columns, rows)


def rounded(blocks, narrowed=np.asarray, samples=16):
    """``||K - K^2||_F`` in single precision, the factors of ``P A`` narrowed."""
    local = []
    for matrix in blocks.matrices:
        A = matrix.astype("float32")
        P = np.linalg.pinv(A)
        local.append(np.eye(A.shape[1], dtype=A.dtype) - narrowed(P) @ narrowed(A))
    g = np.random.default_rng(0).standard_normal((samples, blocks.shape[1]))
    x = g.astype("float32")
    sweeps = []
    for _ in range(2):
        for label, columns in zip(blocks.labels, blocks.columns):
            x[:, columns] = x[:, columns] @ local[label].T
        sweeps.append(x.copy())
    return math.sqrt(np.sum((sweeps[0] - sweeps[1]) ** 2) / samples)


def narrow(a):
    """The nearest numbers with 11 bits."""
    mantissa, exponent = np.frexp(a)
    return np.ldexp(np.round(mantissa * 2**BITS) / np.float32(2**BITS), exponent)


def claims_of(case, found):
    """The paper's two orders, in every layer."""
    every = [list(one.values()) for one in found.values()]
    measures = [[one.analysis.idempotency for one in row] for row in every]
    levels = [[one.level for one in row] for row in every]
    strips = max(row[0].value for row in measures)
    margin = min(row[0] - max(row[1:]) for row in levels)
    return [
        Claim(
            f"{case}: K - K^2 of strips is rounding",
            f"at most {strips:.1e}",
            strips < ROUNDING,
        ),
        Claim(
            f"{case}: PSNR of strips is the largest",
            f"by at least {margin:.1f} dB",
            margin > 0,
        ),
        order_claim(f"{case}: K - K^2 rises", measures, is_rising, str),
        order_claim(f"{case}: PSNR falls", levels, is_falling, "{:.2f} dB".format),
    ]


def order_claim(text, rows, ordered, word):
    """Of measures of the four arrangements, a row for every layer."""
    count = sum(map(ordered, rows))
    first = ", ".join(f"{kind} {word(value)}" for kind, value in zip(KINDS, rows[0]))
    return Claim(
        f"{text} as in the paper, by strip, interleaved, standard, randomized",
        f"in {count} of {len(rows)} layers; the first: {first}",
        count == len(rows),
        soft=True,
    )


def is_rising(measures):
    """Whether each is surely above the one before; zeros are alike."""
    return all(
        max(a.value, b.value) < ROUNDING
        or b.value - a.value > SURE * math.hypot(a.error, b.error)
        for a, b in zip(measures, measures[1:])
    )


def is_falling(values):
    return all(a > b for a, b in zip(values, values[1:]))


def pictures(found, pinv):
    """The first item after a sweep, and what it misses, next to the pseudoinverse's."""
    results, misses = {"PINV": pinv[0]}, {" ": np.zeros(pinv[0].shape[1:])}
    for kind, one in found.items():
        title = f"{kind}\n{one.level:.1f} dB, {float(one.analysis.idempotency):.2g}"
        results[title] = one.x
        misses[f"{kind} - PINV"] = figures.error(one.x - pinv[0])
    return figures.rows(results.items(), misses.items())


def rows_drawn(op, strips):
    """Figure 4: which block has which rows."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    for ax, kind in zip(figure.subplots(2, 2).ravel(), KINDS):
        plot_arrangement(op, kind, ax, strips=strips, rng=0)
        ax.set_yticks(range(op.output_shape[0]))
    return figure
