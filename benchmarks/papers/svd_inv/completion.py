"""Compressive sensing of color images: low-rank priors and total variation."""

import numpy as np

from convinv.operators import MaskOperator
from convinv.proximal import TensorNuclearNorm, TotalVariation, admm

from ...support.outcome import Claim, Outcome, Table
from . import figures, paper, pictures
from .priors import unfolded

SIZE = 96
PRIORS = {
    "nuclear norm": unfolded,
    "TNN, Fourier": TensorNuclearNorm,
    "TNN, cosine": lambda w=1.0: TensorNuclearNorm(w, transform="dct"),
    "TV": lambda w=1.0: TotalVariation(w, axes=(-3, -2), rtol=1e-3, maxiter=20),
}
ZERO = "zero-filling"
RTOL, MAXITER = 1e-3, 300
DRAWN, DRAWN_RATIOS = {1: "chelsea", 2: "coffee"}, (0.1, 0.3)
# Data with noise, and weights of the priors for them
NOISE, NOISY_RATIO = 0.1, 0.3
WEIGHTS = {"TNN, cosine": (0.2, 0.4, 0.8, 1.6), "TV": (0.01, 0.03, 0.06, 0.12)}


def run(quick=False):
    if quick:
        return outcome(24, (0.1, 0.5), quick=True)
    return outcome(SIZE, paper.RATIOS)


def outcome(size, ratios, quick=False):
    truth = pictures.photographs(size)
    found = {ratio: restored(truth, ratio) for ratio in ratios}
    tables = [
        score_table(truth, found),
        picture_table(truth, found),
        noise_table(truth, quick),
    ]
    claims = checked(truth, found, tables[-1].rows, quick)
    drawn = {} if quick else draw(truth, found)
    return Outcome(tables, claims, [about(size)], drawn)


def restored(truth, ratio, names=tuple(PRIORS)):
    """``(pictures, seconds)`` of every prior, with the data taken as exact."""
    op = MaskOperator(pictures.mask(truth.shape, ratio, 0), dtype=truth.dtype)
    b = op.forward(truth)
    found = {ZERO: (op.adjoint(b), 0.0)}
    for name in names:
        result = solved(op, b, PRIORS[name](), data="hard")
        found[name] = result.x, result.seconds
    return found


def solved(op, b, prior, **options):
    """`admm`, for which some iterations of the total variation are enough."""
    budget = {"rtol": RTOL, "maxiter": MAXITER, "on_failure": "ignore"}
    return admm(op, b, prior, **budget, **options)


def score_table(truth, found):
    rows = []
    for ratio, by_prior in found.items():
        printed = dict(zip(paper.RATIOS, paper.TABLE2["inv"]))[ratio]
        row = [f"{ratio:.0%}"]
        for name, (x, _) in by_prior.items():
            row.append(f"{psnr(truth, x):.2f} / {pictures.ssim(truth, x).mean():.3f}")
        times = " / ".join(f"{t:.1f}" for _, t in list(by_prior.values())[1:])
        rows.append([*row, times, f"{printed:.2f}"])
    text = (
        f"PSNR in dB / structural similarity, means of {len(truth)} images of "
        f"{truth.shape[1]} x {truth.shape[2]} pixels, by the part of the entries that "
        "is known; s: seconds of the priors for all of the images, in turn; the last "
        "column is the paper's network on images of its own, for orientation"
    )
    names = [name.replace(",", " by") for name in (ZERO, *PRIORS)]
    columns = ",".join(["sampled", *names, "s", "a network: dB"])
    return Table("What comes back", text, columns, rows)


def psnr(truth, x):
    return pictures.psnr(truth, x).mean()


def picture_table(truth, found):
    rows = []
    for ratio, by_prior in found.items():
        for name in ("TNN, cosine", "TV"):
            values = pictures.psnr(truth, by_prior[name][0])
            rows.append([f"{ratio:.0%}", name, *(f"{v:.2f}" for v in values)])
    columns = ",".join(["sampled", "prior", *pictures.TEST])
    return Table("By image", "PSNR in dB", columns, rows)


def noise_table(truth, quick):
    """Data with noise, taken as exact and weighed against the prior."""
    op = MaskOperator(pictures.mask(truth.shape, NOISY_RATIO, 0), dtype=truth.dtype)
    rng = np.random.default_rng(1)
    b = op.forward(truth)
    b = b + NOISE * rng.standard_normal(b.shape)
    rows = []
    for name, weights in WEIGHTS.items():
        hard = psnr(truth, solved(op, b, PRIORS[name](), data="hard").x)
        soft = {
            w: psnr(truth, solved(op, b, PRIORS[name](w)).x)
            for w in (weights[1:3] if quick else weights)
        }
        rows.append([name, float(hard), *(f"{w:g}: {v:.2f}" for w, v in soft.items())])
    blanks = [f"weight {i}" for i in range(1, len(rows[0]) - 1)]
    text = (
        f"{NOISY_RATIO:.0%} of the entries, with normal noise of {NOISE:g} in each: "
        "PSNR in dB with the data taken as exact, and with weights of the prior"
    )
    columns = ",".join(["prior", "exact", *blanks])
    return Table("Data with noise", text, columns, rows)


def checked(truth, found, noisy, quick):
    means = {
        ratio: {name: psnr(truth, x) for name, (x, _) in by_prior.items()}
        for ratio, by_prior in found.items()
    }
    least = min(
        values[name] - values[ZERO] for values in means.values() for name in PRIORS
    )
    kept = all(
        np.array_equal(x[known], truth[known])
        for ratio, by_prior in found.items()
        for known in [pictures.mask(truth.shape, ratio, 0)]
        for x, _ in by_prior.values()
    )
    order = [(v["TNN, cosine"], v["TNN, Fourier"]) for v in means.values()]
    few, many = means[min(found)], means[max(found)]
    gains = [
        max(float(cell.split()[1]) for cell in cells) - hard
        for _, hard, *cells in noisy
    ]
    return [
        Claim("known entries are kept to the last bit", "all of them", kept),
        Claim(
            "every prior is better than zero-filling",
            f"by {least:.1f} dB at least",
            bool(least > 1),
        ),
        Claim(
            "the cosine transform is better than Fourier's",
            f"by {min(a - b for a, b in order):.2f} dB at least",
            bool(all(a > b for a, b in order)),
            soft=quick,
        ),
        Claim(
            "total variation is better where little is known",
            f"by {few['TV'] - few['TNN, cosine']:.1f} dB at {min(found):.0%}",
            bool(few["TV"] > few["TNN, cosine"]),
            soft=quick,
        ),
        Claim(
            "low rank is better where much is known",
            f"by {many['TNN, cosine'] - many['TV']:.1f} dB at {max(found):.0%}",
            bool(many["TNN, cosine"] > many["TV"]),
            soft=quick,
        ),
        Claim(
            "data with noise had better not be taken as exact",
            f"gains {', '.join(f'{g:.1f}' for g in gains)} dB",
            min(gains) > 0.5,
            soft=quick,
        ),
    ]


def about(size):
    dof = f"{2 * size} r - r^2"
    return (
        f"Images: {', '.join(pictures.TEST)} of scikit-image, cut square and resized. "
        "Every entry is known for itself, also the channels of a pixel, as in the "
        f"paper. A slice of rank r has {dof} degrees of freedom, and at 4 % there are "
        f"{0.04 * size * size:.0f} entries of it"
    )


def draw(truth, found):
    """A figure of each image: a row per part that is sampled."""
    drawn = {}
    for i, name in DRAWN.items():
        lines = []
        for ratio in DRAWN_RATIOS:
            line = [(f"{ratio:.0%} of {name}", truth[i])]
            for prior, (x, _) in found[ratio].items():
                level = pictures.psnr(truth[i : i + 1], x[i : i + 1])[0]
                line.append((f"{prior}: {level:.1f} dB", x[i]))
            lines.append(line)
        drawn[f"completion-{name}"] = figures.grid(lines, 1.6)
    return drawn
