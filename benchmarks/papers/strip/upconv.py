"""STRIP beside transposed convolutions that were trained to undo the layer.

Table 3 of the paper and its Figures 6 and 12: images of 256 x 256, one layer.
"""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from convinv import gallery

from ...support import measure
from ...support.outcome import ABSENT, Claim, Outcome, Table
from ...support.quality import psnr
from ...support.quiet import quietly
from . import data, figures, measures, paper, problems, transposed

SIZE = 256
LEVEL = 0.01
RUNS, BATCH = 10, 20
BORDER = 8  # pixels left out where it is told how good the middle is
STEPS = {"UPCONV": 1500, "UPCONV, deeper": 2500}
FILTERS = {"UPCONV": 0, "UPCONV, deeper": transposed.HIDDEN}
RATES = {"UPCONV": 1e-2, "UPCONV, deeper": 4e-3}
ZOOM = 40  # pixels
RANGE = 0.1  # of the differences that are drawn, black to white


def run(quick, folders):
    if quick:
        return outcome(folders, {name: 40 for name in STEPS}, 2, 4, size=128)
    return outcome(folders, STEPS, RUNS, BATCH)


def outcome(folders, steps, runs, batch, size=SIZE):
    op = problems.Case(size, batch).operator()
    training, test, split = sources(size, folders)
    nets = {
        name: transposed.Transposed(
            op, training, FILTERS[name], count, RATES[name], LEVEL
        )
        for name, count in steps.items()
    }
    rng = np.random.default_rng(1)
    found = {}
    for _ in range(runs):
        x = test.batch(batch, rng)
        for name, (answer, seconds) in answers(op, noisy(op, x, rng), nets).items():
            found.setdefault(name, []).append(quality(answer, x, seconds))
    columns = (
        "method,MSE,PSNR dB,paper PSNR dB,PSNR dB without borders,SSIM,paper SSIM,"
        "s,paper s"
    )
    text = (
        f"{size} x {size} x 3 through a layer of 8 filters of 3 x 3 with initial "
        f"weights, {100 * LEVEL:g} % noise; {test.name}; mean ± standard deviation "
        f"of {runs} batches of {batch}; PSNR with peak 1, also without {BORDER} "
        f"pixels at the borders; SSIM with range 2, of the first "
        f"{measures.SSIM_ITEMS} of a batch; s: of one batch, without training. "
        "The paper's times are a GPU's, of a batch that it does not tell"
    )
    rows = [row(name, values) for name, values in found.items()]
    drawn = drawings(op, nets, test, size)
    notes = [split, *(f"{name}: {net}" for name, net in nets.items())]
    table = Table("STRIP and transposed convolutions", text, columns, rows)
    return Outcome([table], claims(found, nets), notes, drawn)


class Quality(NamedTuple):
    """How near an answer is to the images, and the seconds that it took."""

    psnr: float
    inner: float
    ssim: float
    seconds: float


def quality(answer, x, seconds):
    inside = (..., slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    return Quality(
        psnr(answer, x),
        psnr(answer[inside], x[inside]),
        measures.ssim(answer, x),
        seconds,
    )


def sources(size, folders):
    """Images to train on, others to test with, and a sentence on the two."""
    if folders.get("celeba"):
        pair = [data.Faces(folders["celeba"], size) for _ in range(2)]
        files = pair[0].files
        if len(files) < 2:
            raise ValueError(f"training and test take two pictures, got {len(files)}")
        cut = math.ceil(0.8 * len(files))
        cut = min(cut, len(files) - 1)
        pair[0].files, pair[1].files = files[:cut], files[cut:]
        split = f"trained on {cut} pictures, tested with {len(files) - cut} others"
        return *pair, split
    names = gallery.images()
    tested = names[::3]
    trained = [name for name in names if name not in tested]
    split = f"trained on {', '.join(trained)}; tested with {', '.join(tested)}"
    return data.Photographs(size, trained), data.Photographs(size, tested), split


def noisy(op, x, rng):
    return gallery.add_noise(op.forward(x), LEVEL, rng=rng, reference=x)


def answers(op, b, nets):
    """What every method makes of the data, and its seconds."""

    def solved(method, **options):
        return quietly(op, b, method, **options).x

    calls = {
        "STRIP": lambda: solved("strip", maxiter=1),
        "auto": lambda: solved("auto"),
        **{name: lambda net=net: net(b) for name, net in nets.items()},
    }
    found = {}
    for name, call in calls.items():
        seconds, answer = measure.clock(call)
        found[name] = answer, seconds
    return found


def row(name, values):
    levels, inner, ssim, seconds = zip(*values)
    theirs = paper.TRANSPOSED.get(name, (ABSENT,) * 3)
    mse = np.mean([10 ** (-value / 10) for value in levels])
    return (
        name,
        f"{mse:.2g}",
        measures.spread(levels),
        theirs[0],
        measures.spread(inner),
        measures.spread(ssim, 4),
        theirs[1],
        measures.seconds(seconds),
        theirs[2],
    )


def claims(found, nets):
    """In every batch, in the whole and away from the borders."""
    made = []
    for name in nets:
        for part, words in (("psnr", ""), ("inner", " away from the borders")):
            margins = [
                getattr(strip, part) - getattr(net, part)
                for strip, net in zip(found["STRIP"], found[name])
            ]
            made.append(
                Claim(
                    f"one sweep of STRIP is nearer to the images than {name}{words}",
                    f"by {min(margins):.1f} dB at least, in {len(margins)} batches",
                    min(margins) > 0,
                )
            )
    return made


def drawings(op, nets, test, size):
    """A smiley with sharp edges, which no photograph has, and a test photograph."""
    rng = np.random.default_rng(2)
    images = {"smiley": smiley(size), "photograph": test.batch(1, rng)[0]}
    return {
        f"upconv-{name}": drawing(op, nets, image[None], rng)
        for name, image in images.items()
    }


def smiley(size):
    """A face of a disc, two eyes and half a ring, without any smoothing."""
    t = (np.arange(size) + 0.5) / size * 2 - 1
    y, x = t[:, None], t[None, :]
    radius = np.hypot(x, y)
    image = np.empty((3, size, size), np.float32)
    image[:] = np.reshape([-0.6, -0.2, 0.5], (3, 1, 1))
    image[:, radius < 0.85] = np.reshape([1.0, 0.8, -0.7], (3, 1))
    eyes = np.hypot((abs(x) - 0.32) / 0.1, (y + 0.25) / 0.16) < 1
    mouth = (abs(np.hypot(x, y - 0.05) - 0.5) < 0.06) & (y > 0.2)
    image[:, eyes | mouth] = -1
    return image


def drawing(op, nets, x, rng):
    """Answers with their PSNR, an edge of each, and what they differ from the best."""
    b = noisy(op, x, rng)
    found = {name: answer for name, (answer, _) in answers(op, b, nets).items()}
    exact = found.pop("auto")
    top, left = edge(x[0])
    zoom = (slice(top, top + ZOOM), slice(left, left + ZOOM))
    figure = Figure(figsize=(2.3 * (1 + len(found)), 7.4), layout="constrained")
    axes = figure.subplots(3, 1 + len(found))
    for ax in axes.ravel():
        ax.set_axis_off()
    shown = {"image": x} | found
    for column, (name, answer) in zip(axes.T, shown.items()):
        picture = figures.shown(answer[0])
        words = "" if answer is x else f"\n{psnr(answer, x):.2f} dB"
        column[0].set_title(f"{name}{words}", fontsize="medium")
        column[0].imshow(picture)
        column[1].imshow(picture[zoom])
        difference = (exact - x if answer is x else answer - exact)[0].mean(axis=0)
        column[2].imshow(difference, cmap="gray", vmin=-RANGE, vmax=RANGE)
        words = "pseudoinverse - image" if answer is x else f"{name} - pseudoinverse"
        column[2].set_title(words, fontsize="small")
    return figure


def edge(image):
    """The corner of the square in the middle of which the image is steepest."""
    gray = image.mean(axis=0)
    steep = np.hypot(*np.gradient(gray))
    half = ZOOM // 2
    steep = steep[half:-half, half:-half]
    return np.unravel_index(np.argmax(steep), steep.shape)
