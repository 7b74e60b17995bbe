"""A small unrolled network, trained with each of the gradients."""

from typing import NamedTuple

import numpy as np

from convinv.lowrank import svt, svt_vjp

from ...support.measure import clock
from ...support.outcome import Claim, Outcome, Table
from ...support.threads import one_torch_thread
from . import completion, figures, network, pictures

VARIANTS = ("exact", "standard", "tf", "clip", "taylor", "inv")
RATIOS = (0.04, 0.3)
COMPARED = ("TNN, cosine", "TV")
PART = 0.119  # of the largest singular value, the paper's first threshold
COUNT, SIDE = 64, 32
BOUND = 1 + 1e-5
WHEN = ("start", "end")
SMALL = network.Plan(stages=2, steps=3, batch=2, patch=16)


@one_torch_thread()
def run(quick=False):
    if quick:
        return outcome(SMALL, 24, 6, (0.3,), ("exact", "tf"))
    return outcome(network.Plan(), completion.SIZE, COUNT, RATIOS, VARIANTS)


def outcome(plan, size, count, ratios, variants):
    layers, errors = layer_table(count)
    truth = pictures.photographs(size)
    found = {ratio: trainings(plan, ratio, variants, truth) for ratio in ratios}
    tables = [layers, training_table(plan, truth, found)]
    drawn = {
        f"unrolled-{round(100 * ratio)}": figures.curves(
            {name: one["norms"] for name, one in runs.items() if len(one["norms"])},
            "step", "norm of the gradient", log=True,
        )
        for ratio, runs in found.items()
    }  # fmt: skip
    claims = checked(errors, found, quick=plan is SMALL)
    return Outcome(tables, claims, [about(plan)], drawn)


def layer_stacks(count, rng=0):
    """What a network is given to threshold: matrices (count, SIDE, SIDE), float32."""
    rng = np.random.default_rng(rng)
    photographs = [network.half(name).numpy() for name in pictures.TRAINING]
    patches = []
    for k in range(count):
        picture = photographs[k % len(photographs)]
        i, j = (rng.integers(n - SIDE + 1) for n in picture.shape[1:])
        patches.append(picture[k % 3, i : i + SIDE, j : j + SIDE])
    patches = np.stack(patches)
    levels = rng.random((count, 1, 1), np.float32)
    chance = rng.random(patches.shape)
    board = np.indices((SIDE, SIDE)).sum(axis=0) % 2
    turned = np.stack(
        [np.linalg.qr(rng.standard_normal((SIDE, SIDE)))[0] for _ in range(count)]
    )
    found = {
        "patches": patches,
        "patches, 30 % known": patches * (chance < 0.3),
        "patches, 4 % known": patches * (chance < 0.04),
        "patches of one color": levels * np.ones((SIDE, SIDE)),
        "checkerboards": levels * board,
        "orthogonal matrices": turned * levels,
        "zero": 0 * patches,
    }
    return {name: stack.astype(np.float32) for name, stack in found.items()}


def layer_table(count):
    """Gradients through one thresholding, against those in double precision."""
    rows, errors = [], {}
    rng = np.random.default_rng(5)
    for name, a in layer_stacks(count).items():
        tau = PART * np.linalg.norm(a, 2, axis=(1, 2))
        g = svt(a, tau) - rng.random(a.shape, np.float32)
        true = svt_vjp(*(x.astype(float) for x in (a, tau, g)))[0]
        row = [name]
        for variant in VARIANTS:
            with np.errstate(all="ignore"):
                ga = svt_vjp(a, tau, g, variant=variant)[0].astype(float)
            errors[name, variant] = one = Errors.of(ga, true, g)
            row.append(str(one))
        rows.append(row)
    text = (
        f"{count} matrices of {SIDE} x {SIDE} in float32, thresholds of {PART:g} times "
        "the largest singular value, and half the squared distance to noise as the "
        "loss: largest relative error of the finite gradients, and how many are not "
        "finite"
    )
    columns = ",".join(["matrices", *VARIANTS])
    rows = [[row[0].replace(",", ":"), *row[1:]] for row in rows]
    return Table("One thresholding", text, columns, rows), errors


class Errors(NamedTuple):
    """Relative, of the finite gradients; the others; growth from what came in."""

    relative: np.ndarray
    lost: int
    growth: float

    @classmethod
    def of(cls, found, true, g):
        finite = np.isfinite(found).all(axis=(1, 2))
        size, apart, before, after = (
            np.linalg.norm(x[finite], axis=(1, 2))
            for x in (true, found - true, g, found)
        )
        growth = float((after / before).max(initial=0))
        relative = apart / np.where(size > 0, size, 1)
        return cls(relative, int((~finite).sum()), growth)

    def __str__(self):
        if not len(self.relative):
            return "none finite"
        lost = f" ({self.lost} not finite)" if self.lost else ""
        return f"{self.relative.max():.1e}{lost}"


def trainings(plan, ratio, variants, truth):
    """Every variant, from the same weights on the same patches; one more seed."""
    known = pictures.mask(truth.shape, ratio, 0)
    found = {"no training": untrained(plan, truth, known)}
    for variant in variants:
        found[variant] = trained(plan, ratio, variant, truth, known)
    found["exact: another seed"] = trained(plan, ratio, "exact", truth, known, seed=1)
    return found


def untrained(plan, truth, known):
    model = network.network(plan)
    x = network.restore(model, truth, known)
    return {"norms": np.zeros(0), "levels": pictures.psnr(truth, x)}


def trained(plan, ratio, variant, truth, known, seed=0):
    """What the training did, and the dB of the test images."""
    seconds, training = clock(lambda: network.train(plan, ratio, variant, seed))
    patches, sampled = next(network.batches(plan, ratio, 7))
    apart = {
        when: deviation(model, patches, sampled, variant)
        for when, model in (
            ("start", network.network(plan, seed)),
            ("end", training.network),
        )
    }
    found = {"norms": training.norms, "failed": training.failed, "seconds": seconds}
    if training.failed is None:
        x = network.restore(training.network, truth, known)
        found["levels"] = pictures.psnr(truth, x)
    return found | apart


def deviation(model, patches, sampled, variant):
    """Of the gradient of all weights from the one that divided differences give."""
    network.backward(model, patches, sampled, "exact")
    exact = network.gradient(model)
    if not np.isfinite(network.backward(model, patches, sampled, variant)):
        return np.inf
    return float((network.gradient(model) - exact).norm() / exact.norm())


def training_table(plan, truth, found):
    rows = []
    for ratio, by_name in found.items():
        for name, one in by_name.items():
            rows.append([f"{ratio:.0%}", name, *training_row(plan, one)])
        rows += others(truth, ratio)
    text = (
        f"{plan.steps} steps of Adam with {plan.batch} patches of {plan.patch} x "
        f"{plan.patch}, the same for every variant. Largest: norm of the weights' "
        "gradient; off: how far it is from the exact one, relative, for the first "
        "weights and the last; then PSNR in dB, mean and of each of the images of the "
        "table of restorations, with the same masks"
    )
    columns = ",".join(
        ["sampled", "gradient", "failed", "largest", "off at first", "off at last",
         "dB", *pictures.TEST, "s"]
    )  # fmt: skip
    return Table("Training", text, columns, rows)


def training_row(plan, one):
    levels = one.get("levels")
    shown = ["-"] * (1 + len(pictures.TEST))
    if levels is not None:
        shown = [f"{level:.2f}" for level in (levels.mean(), *levels)]
    if "failed" not in one:
        return ["-", "-", "-", "-", *shown, "-"]
    failed = "no" if one["failed"] is None else f"step {one['failed'] + 1}"
    finite = one["norms"][np.isfinite(one["norms"])]
    largest = f"{finite.max():.2g}" if len(finite) else "-"
    off = [f"{one[w]:.1e}" if np.isfinite(one[w]) else "not finite" for w in WHEN]
    return [failed, largest, *off, *shown, f"{one['seconds']:.0f}"]


def others(truth, ratio):
    """Zero-filling and priors without training, for the same data."""
    rows = []
    for name, (x, seconds) in completion.restored(truth, ratio, COMPARED).items():
        levels = pictures.psnr(truth, x)
        shown = [f"{level:.2f}" for level in (levels.mean(), *levels)]
        name = name.replace(",", " by")
        rows.append([f"{ratio:.0%}", name, *4 * ["-"], *shown, f"{seconds:.1f}"])
    return rows


def checked(errors, found, quick):
    exact = [one for (_, variant), one in errors.items() if variant == "exact"]
    lost, growth = sum(one.lost for one in exact), max(one.growth for one in exact)
    wrong = max(one.relative.max() for one in exact)
    standard = sum(one.lost for (_, v), one in errors.items() if v == "standard")
    claims = [
        Claim(
            "divided differences are finite for all of the matrices, never larger than "
            "what came in, and right",
            f"{lost} not finite, {growth:.4f} times as large, error {wrong:.1e}",
            bool(lost == 0 and growth <= BOUND and wrong < 1e-4),
        ),
        Claim(
            "plain gradients are not finite for some",
            f"{standard} of them",
            bool(standard > 0),
        ),
    ]
    for ratio, by_name in found.items():
        mine = by_name["exact"]
        claims.append(
            Claim(
                f"{ratio:.0%}: training with divided differences does not fail",
                f"largest gradient {mine['norms'].max():.2g}",
                mine["failed"] is None,
            )
        )
        if not quick:
            claims += compared(ratio, by_name)
    return claims


def compared(ratio, by_name):
    """What the variants come to, which depends on how a training turns out."""
    levels = {n: one["levels"].mean() for n, one in by_name.items() if "levels" in one}
    gain = levels["exact"] - levels["no training"]
    rest = [levels[n] for n in levels if n in VARIANTS]
    seeds = abs(levels["exact"] - levels["exact: another seed"])
    return [
        Claim(
            f"{ratio:.0%}: training gains more than 1 dB",
            f"{gain:.1f} dB",
            bool(gain > 1),
            soft=True,
        ),
        Claim(
            f"{ratio:.0%}: variants that do not fail differ less than two seeds do",
            f"by {max(rest) - min(rest):.2f} dB, seeds by {seeds:.2f}",
            bool(max(rest) - min(rest) < seeds),
            soft=True,
        ),
    ]


def about(plan):
    count = sum(p.numel() for p in network.network(plan).parameters())
    return (
        f"The network has {plan.stages} iterations and {count} weights; it is trained "
        f"on patches of {', '.join(pictures.TRAINING)}, in half of their size, and "
        f"tested on {', '.join(pictures.TEST)}"
    )
