"""Figures of the page on pictures, computed as they are drawn.

The documentation's build runs it; by hand, from the repository's root::

    python docs/imaging_figures.py FOLDER
"""

import argparse
import pathlib

import numpy as np
from matplotlib.figure import Figure

from convinv import gallery, imaging

NOISES = (0.003, 0.01, 0.03)
SHOWN = (50, 110, 160)  # the corner and side of the part that is shown, of 256 pixels


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    draw(parser.parse_args().folder)


def draw(folder, size=256, count=15):
    """Write the figures to a folder.

    The photographs have `size` pixels along their sides, the curves `count` points.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in (
        ("deblur", draw_pictures(*pictures(size, 0.01))),
        ("strength", draw_curves(curves(size, count))),
    ):
        figure.savefig(folder / f"imaging-{name}.png", dpi=100)


def pictures(size, noise):
    """A photograph, with motion blur and noise, and sharpened."""
    psf = gallery.line_kernel(15, angle=30)
    scene = gallery.image("camera")[0]
    scene = scene[100 : 100 + size + psf.shape[0] - 1, 100 : 100 + size + 14]
    b = imaging.blur(scene, psf, boundary="unknown")
    x = scene[psf.shape[0] // 2 :, psf.shape[1] // 2 :][: b.shape[0], : b.shape[1]]
    b += noise * np.random.default_rng(0).standard_normal(b.shape)
    return x, b, imaging.deconvolve(b, psf)


def curves(size, count):
    """``(noise, strengths, PSNRs, the automatic strength, its PSNR)`` by noise."""
    psf, found = gallery.line_kernel(15, angle=30), []
    for noise in NOISES:
        x, b, _ = pictures(size, noise)
        result = imaging.deconvolve(b, psf, return_result=True)
        chosen = result.extra["strength"]
        strengths = chosen * np.geomspace(1 / 30, 30, count)
        levels = [psnr(imaging.deconvolve(b, psf, strength=s), x) for s in strengths]
        found.append((noise, strengths, levels, chosen, psnr(result.x, x)))
    return found


def psnr(picture, x):
    return -10 * np.log10(np.mean((picture - x) ** 2))


def draw_pictures(x, b, sharp):
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    row, column, side = (n * len(x) // 256 for n in SHOWN)
    part = slice(row, row + side), slice(column, column + side)
    titles = (
        "photograph",
        f"blurred, noise 1 %: {psnr(b, x):.1f} dB",
        f"deconvolve: {psnr(sharp, x):.1f} dB",
    )
    for axes, picture, title in zip(figure.subplots(1, 3), (x, b, sharp), titles):
        axes.imshow(picture[part], cmap="gray", vmin=0, vmax=1)
        axes.set_title(title, fontsize=10)
        axes.set_axis_off()
    return figure


def draw_curves(found):
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    for noise, strengths, levels, chosen, level in found:
        (line,) = axes.plot(strengths, levels, label=f"noise {100 * noise:g} %")
        axes.plot(chosen, level, "o", color=line.get_color())
    axes.set(xscale="log", xlabel="strength", ylabel="PSNR in dB")
    axes.set_ylim(bottom=max(min(min(row[2]) for row in found), 10))
    axes.legend()
    return figure


if __name__ == "__main__":
    main()
