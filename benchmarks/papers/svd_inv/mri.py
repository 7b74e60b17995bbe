"""Dynamic magnetic resonance imaging: priors, masks, and what comes back."""

import itertools

import numpy as np

from convinv.operators import FourierSampling
from convinv.proximal import TotalVariation, admm

from ...support.outcome import Claim, Outcome, Table
from . import figures, paper, pictures, series
from .priors import Both, casorati, temporal

SHAPE = (16, 96, 96)  # the paper's series have 16 frames of 128 x 128
NOISE = 0.01  # of the largest magnitude, in an entry of the unitary transform
SOLVER = {"rtol": 3e-4, "maxiter": 80, "rho": 0.02, "dual_step": 1.6}
ZERO = "zero-filling"
SLACK = 0.1  # dB
DRAWN = ("radial, 16 spokes", "lines, 12x")
TRAINING_SEED, TEST_SEED = 1, 0


def spatial(weight):
    return TotalVariation(weight, axes=(-2, -1), rtol=1e-3, maxiter=5)


def with_time(weight):
    return TotalVariation(weight, axes=(-3, -2, -1), rtol=1e-3, maxiter=5)


def low_rank_and_variation(weight, other):
    return Both(casorati(weight), spatial(other), sweeps=2)


# Each with the weights among which the best for the training series is taken
PRIORS = {
    "nuclear norm": (casorati, [(0.05, 0.1, 0.2)]),
    "TNN in time": (temporal, [(0.02, 0.05, 0.1)]),
    "TV of images": (spatial, [(0.001, 0.002, 0.004, 0.008)]),
    "low rank + TV": (low_rank_and_variation, [(0.05, 0.2), (0.0005, 0.002)]),
    "TV with time": (with_time, [(0.0005, 0.001, 0.002, 0.004)]),
}


def run(quick=False):
    return outcome((6, 32, 32) if quick else SHAPE, quick)


def outcome(shape, quick=False):
    truth = series.phantom(*shape[:2], TEST_SEED)
    names = list(series.MASKS)[:: 2 if quick else 1]
    families = {family(name): name for name in reversed(names)}
    tried = {kind: tuned(shape, name, quick) for kind, name in families.items()}
    found = {name: restored(truth, name, tried[family(name)]) for name in names}
    tables = [score_table(truth, found), tried_table(tried, families)]
    drawn = {} if quick else draw(truth, found)
    return Outcome(tables, checked(truth, found, quick), [about(truth)], drawn)


def family(name):
    return name.split(",")[0]


def measured(truth, name):
    """The operator of a mask and data with noise."""
    op = FourierSampling(series.MASKS[name](*truth.shape[:2]))
    b = op.forward(truth)
    noise = np.random.default_rng(2).standard_normal((*b.shape, 2)) @ [1, 1j]
    return op, b + (NOISE / np.sqrt(2) * noise).astype(b.dtype)


def tuned(shape, name, quick):
    """By prior: the dB of its weights, for another series with that mask."""
    truth = series.phantom(*shape[:2], TRAINING_SEED)
    op, b = measured(truth, name)
    tried = {}
    for prior, (make, choices) in PRIORS.items():
        every = list(itertools.product(*choices))[:: 3 if quick else 1]
        tried[prior] = {one: psnr(truth, solved(op, b, make(*one)).x) for one in every}
    return tried


def best(levels):
    return max(levels, key=levels.get)


def solved(op, b, prior):
    return admm(op, b, prior, on_failure="ignore", **SOLVER)


def restored(truth, name, tried):
    """``(series, seconds)`` of every prior, and the part that was sampled."""
    op, b = measured(truth, name)
    found = {ZERO: (op.adjoint(b), 0.0)}
    for prior, (make, _) in PRIORS.items():
        result = solved(op, b, make(*best(tried[prior])))
        found[prior] = result.x, result.seconds
    return found, op.shape[0] / op.shape[1]


def psnr(truth, x):
    return float(pictures.psnr(abs(truth), abs(x)).mean())


def ssim(truth, x):
    return float(pictures.ssim(abs(truth), abs(x), channel_axis=None).mean())


def score_table(truth, found):
    rows = []
    for name, (by_prior, part) in found.items():
        row = [name.replace(",", ""), f"{part:.1%}"]
        for x, _ in by_prior.values():
            row.append(f"{psnr(truth, x):.2f} / {ssim(truth, x):.3f}")
        times = " / ".join(f"{t:.1f}" for _, t in list(by_prior.values())[1:])
        printed = dict(zip(paper.TABLE3_COLUMNS, paper.TABLE3[name]))["inv"]
        rows.append([*row, times, f"{printed:.2f}"])
    text = (
        f"PSNR in dB / structural similarity of magnitudes, means of {len(truth)} "
        f"frames of {truth.shape[1]} x {truth.shape[2]} pixels; s: seconds of the "
        "priors, in turn; the last column is the paper's network on measured series, "
        "for orientation"
    )
    columns = ",".join(["mask", "sampled", ZERO, *PRIORS, "s", "a network: dB"])
    return Table("What comes back", text, columns, rows)


def tried_table(tried, families):
    rows = []
    for kind, by_prior in tried.items():
        for prior, levels in by_prior.items():
            cells = {
                one: f"{' and '.join(f'{w:g}' for w in one)}: {level:.2f}"
                for one, level in levels.items()
            }
            shown = "; ".join(cells.values())
            rows.append([kind, prior, cells[best(levels)], shown])
    names = "; ".join(name.replace(",", "") for name in families.values())
    text = (
        f"Another series, with one mask of each kind ({names}): weights and dB. The "
        "best were used for all masks of the kind"
    )
    return Table("Weights", text, "masks,prior,best,tried", rows)


def checked(truth, found, quick):
    levels = {
        name: {prior: psnr(truth, x) for prior, (x, _) in by_prior.items()}
        for name, (by_prior, _) in found.items()
    }
    gains = [v[prior] - v[ZERO] for v in levels.values() for prior in PRIORS]
    time = [v["TV with time"] - v["TV of images"] for v in levels.values()]
    parts = [
        v["low rank + TV"] - max(v["nuclear norm"], v["TV of images"])
        for v in levels.values()
    ]
    return [
        Claim(
            "every prior is better than zero-filling",
            f"by {min(gains):.1f} dB at least",
            min(gains) > 0,
            soft=quick,
        ),
        Claim(
            "total variation with time is better than without",
            f"by {min(time):.1f} dB at least",
            min(time) > 0,
            soft=quick,
        ),
        Claim(
            "low rank and total variation together are as good as the better of both, "
            f"to {SLACK:g} dB, and better where a frame alone tells little",
            "by " + ", ".join(f"{g:.2f}" for g in parts) + " dB, in the table's order",
            bool(min(parts) > -SLACK and min(parts[-2:]) > 1),
            soft=quick,
        ),
    ]


def about(truth):
    values = np.linalg.svd(truth.reshape(len(truth), -1), compute_uv=False)
    shown = ", ".join(f"{v:.3g}" for v in values / values[0])
    return (
        "The series is made of ellipses that move periodically, with a smooth phase; "
        f"the noise is {NOISE:g} of its peak. Its {len(values)} singular values as a "
        f"matrix with a row per frame, relative to the first: {shown}"
    )


def draw(truth, found):
    """A frame, its errors, and a row of the images over time, for two masks."""
    frame, row = len(truth) // 4, truth.shape[1] // 2
    true, high = abs(truth), truth.shape[1] // (2 * len(truth))
    drawn = {}
    for name in DRAWN:
        images, gaps, over = [], [], []
        for key, (x, _) in ({"truth": (truth, 0)} | found[name][0]).items():
            level = "" if x is truth else f"\n{psnr(truth, x):.1f} dB"
            images.append((f"{key}{level}", abs(x[frame])))
            gaps.append(("", 5 * abs(abs(x[frame]) - true[frame])))
            over.append(("", np.repeat(abs(x[:, row]), high, axis=0)))
        stem = name.split()[0].strip(",")
        drawn[f"mri-{stem}"] = figures.grid([images, gaps, over], 1.4)
    return drawn
