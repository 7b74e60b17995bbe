"""Figures of the page on the exact inverse, computed as they are drawn.

The documentation's build runs it; by hand, from the repository's root::

    python docs/exact_figures.py FOLDER
"""

import argparse
import pathlib

import numpy as np
from matplotlib.figure import Figure

from convinv import ConvLinearOperator, gallery, precondition, solve
from convinv._inverse.accuracy import FINEST
from convinv._inverse.block_cholesky import BlockCholesky
from convinv._inverse.border_correction import BorderCorrectedCirculant
from convinv._inverse.gram import Gram, product

LINE = 32  # cells, of the image whose factor is looked at
STEPS = 20  # iterations that are shown
ROUNDING = 1e-17  # what is drawn for 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    draw(parser.parse_args().folder)


def draw(folder, size=128):
    """Write the figures, of photographs of `size` by `size`, to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    op, b = problem(size)
    for name, figure in (
        ("decay", draw_decay(*decay(size))),
        ("frame", draw_frame(*residuals(op, b))),
        ("convergence", draw_convergence(errors(op, b))),
    ):
        figure.savefig(folder / f"exact-{name}.png", dpi=100)


def problem(size):
    """The layer of the demo and what it makes of a photograph, with 1 % noise."""
    x = gallery.image("astronaut", size)
    rng = np.random.default_rng(0)
    op = ConvLinearOperator(gallery.conv_layer(3, 8, rng=rng), x.shape)
    return op, gallery.add_noise(op.forward(x), 0.01, rng, reference=x)


def decay(length):
    """How fast the inverse of N decays across lines, and its factor converges.

    Returns the norms of the blocks of N^-1 by their distance in lines, and the changes
    of the factor's inverse pivots to the one that they converge to, by line.
    """
    kernel = gallery.conv_layer(3, 8, rng=np.random.default_rng(0))
    gram = Gram(ConvLinearOperator(kernel, (3, length, LINE)), "input")
    factor = BlockCholesky(gram, 1)
    unknowns, middle = gram.channels * LINE, length // 2
    v = np.zeros((gram.channels, LINE, 1, gram.channels, 1, length, LINE))
    for channel, column in np.ndindex(gram.channels, LINE):
        v[channel, column, 0, channel, 0, middle, column] = 1
    x = factor.solve(v.reshape(unknowns, *v.shape[2:]))
    lines = x[:, 0, :, 0].transpose(2, 0, 1, 3).reshape(length, unknowns, unknowns)
    norms = np.linalg.norm(lines[middle:], 2, axis=(1, 2))
    # the one that serves most lines
    limit = np.bincount(factor.which).argmax()
    pivots = np.array([row.inverse[0] for row in factor.rows[: limit + 1]])
    changes = np.linalg.norm(pivots - pivots[-1], 2, axis=(1, 2))
    return norms / norms[0], changes[:-1] / np.linalg.norm(pivots[-1], 2)


def residuals(op, b):
    """Root mean square over the channels of ``v - N x``: on the torus, then corrected.

    In units of v, that is ``A^H b``, whose root mean square is 1.
    """
    gram = Gram(op, "input")
    tori = BorderCorrectedCirculant(gram)
    v = gram.pack(op.adjoint(b)[None])
    v /= np.sqrt(np.mean(v**2))
    first = tori.torus.apply(v)
    found = []
    for x in (first, tori.apply(v)):
        r = v - product("input", op, gram.layer, np.ascontiguousarray(x))
        found.append(np.sqrt(np.mean(r[0, 0, :, 0] ** 2, axis=0)))
    return found


def errors(op, b):
    """Relative error of x after each iteration, by what was iterated."""
    solution = solve(op, b, "schwarz", rtol=1e-15).x
    runs = {
        "CGLS": ("cgls", None, {}),
        "CGLS, circulant": ("cgls", "circulant", {}),
        "CGLS, schwarz of depth 8": ("cgls", precondition.Schwarz(op, depth=8), {}),
        "refinement, depth 8": ("schwarz", None, {"depth": 8}),
        "refinement, depth 16": ("schwarz", None, {"depth": 16}),
        "refinement": ("schwarz", None, {}),
    }
    return {
        name: trajectory(op, b, solution, method, preconditioner=m, **options)
        for name, (method, m, options) in runs.items()
    }


def trajectory(op, b, solution, method, **options):
    found = [1.0]

    def record(state):
        found.append(np.linalg.norm(state.x - solution) / np.linalg.norm(solution))

    options |= {"callback": record, "on_failure": "ignore"}
    solve(op, b, method, rtol=0, maxiter=STEPS, **options)
    return np.array(found)


def draw_decay(norms, changes):
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    ax = figure.subplots()
    inner = norms[: -len(norms) // 4]  # the others feel the border
    ax.semilogy(inner, label="blocks of $N^{-1}$, by their distance from the diagonal")
    label = "blocks of the factor, from the one they converge to"
    ax.semilogy(changes[:-4], label=label)
    ax.axhline(FINEST, color="0.6", linewidth=0.8, linestyle="--")
    ax.set(xlabel="lines of the image", ylabel="relative norm", ylim=(1e-12, 10))
    ax.legend(loc="lower left", fontsize="small")
    return figure


def draw_frame(torus, bands):
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots(1, 2)
    for ax, r, title in zip(
        axes, (torus, bands), ("after the torus", "after the bands")
    ):
        shown = ax.imshow(
            np.log10(np.maximum(r, ROUNDING)), cmap="magma", vmin=-16, vmax=0
        )
        ax.set_title(title, fontsize="medium")
        ax.set_axis_off()
    bar = figure.colorbar(shown, ax=axes, pad=0.02)
    bar.set_label("residual, powers of ten")
    return figure


def draw_convergence(found):
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    ax = figure.subplots()
    for name, values in found.items():
        style = "o--" if name.startswith("refinement") else "o-"
        ax.semilogy(np.maximum(values, ROUNDING), style, markersize=3, label=name)
    ax.set(xlabel="iterations", ylabel="relative error of x", ylim=(1e-17, 3))
    ax.set(xlim=(0, STEPS), xticks=range(0, STEPS + 1, 2))
    ax.legend(fontsize="small", loc="lower right", bbox_to_anchor=(1, 0.12))
    return figure


if __name__ == "__main__":
    main()
