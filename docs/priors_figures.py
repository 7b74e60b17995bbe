"""The figure of the page on priors, computed as it is drawn.

The documentation's build runs it; by hand, from the repository's root::

    python docs/priors_figures.py FOLDER
"""

import argparse
import pathlib

import numpy as np
from matplotlib.figure import Figure

from convinv import ConvLinearOperator, gallery, solve
from convinv.proximal import NonNegative, TotalVariation, minimize

NOISE = 0.01


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    draw(parser.parse_args().folder)


def draw(folder, size=128):
    """Write the figure, of a photograph of `size` by `size`, to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    draw_images(images(size)).savefig(folder / "priors-variation.png", dpi=100)


def images(size):
    """A blurred and noisy photograph, and what two solves make of it, by title."""
    x = gallery.image("camera", size)
    kernel = gallery.gaussian_kernel(11, 2.0)[None, None]
    op = ConvLinearOperator(kernel, x.shape, padding="same", boundary="symmetric")
    b = op.forward(x) + NOISE * np.random.default_rng(0).standard_normal(x.shape)
    damped = [solve(op, b, damp=d).x for d in np.geomspace(0.01, 1, 9)]
    smooth = min(damped, key=lambda y: np.linalg.norm(y - x))
    varied = minimize(op, b, [TotalVariation(), NonNegative()], noise_level=NOISE).x
    shown = {"blurred, noisy": b, "best damping": smooth, "total variation": varied}
    return {f"{name}: {decibels(y, x):.1f} dB": y[0] for name, y in shown.items()}


def decibels(y, x):
    """The peak signal-to-noise ratio for values from 0 to 1."""
    return -10 * np.log10(np.mean((y - x) ** 2))


def draw_images(shown):
    figure = Figure(figsize=(9, 3.3), layout="constrained")
    for axes, (title, image) in zip(figure.subplots(1, len(shown)), shown.items()):
        axes.imshow(image, cmap="gray", vmin=0, vmax=1)
        axes.set_title(title, fontsize=11)
        axes.set_axis_off()
    return figure


if __name__ == "__main__":
    main()
