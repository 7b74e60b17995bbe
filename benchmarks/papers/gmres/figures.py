"""Small figures of the experiments."""

import numpy as np
from matplotlib.figure import Figure

FLOOR = 1e-34  # what is drawn for squared residuals below it


def residuals(histories):
    """Squared residuals by the number of steps, a line for each length of a cycle."""
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    ax = figure.subplots()
    for restart, values in histories.items():
        steps = np.arange(1, len(values) + 1)
        ax.semilogy(steps, np.maximum(values, FLOOR), label=f"restart {restart}")
    ax.set(xlabel="steps", ylabel="$||Ax - b||^2$")
    ax.legend(fontsize="small")
    return figure


def pictures(named, limits=(0, 1)):
    """Gray pictures side by side, in two rows from five on.

    `limits` are the values of black and white, or None for those of each picture.
    """
    low, high = limits or (None, None)
    rows = 2 if len(named) > 4 else 1
    columns = -(-len(named) // rows)
    figure = Figure(figsize=(2.2 * columns, 2.45 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, (name, picture) in zip(axes, named.items()):
        ax.imshow(np.squeeze(picture), cmap="gray", vmin=low, vmax=high)
        ax.set_title(name, fontsize="medium")
    return figure


def eigenvalues(named):
    """The complex plane, a panel for every matrix."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    for ax, (name, values) in zip(figure.subplots(1, len(named)), named.items()):
        ax.plot(values.real, values.imag, ".", markersize=2)
        ax.plot(0, 0, "+", color="black", markersize=9)
        ax.set(title=name, xlabel="real part", ylabel="imaginary part")
        ax.set_aspect("equal", adjustable="datalim")
    return figure


def singular_values(named):
    """Singular values in their order, a line for every matrix."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    ax = figure.subplots()
    for name, values in named.items():
        label = f"{name}, condition number {values[0] / values[-1]:.0f}"
        ax.semilogy(values, label=label)
    ax.set(xlabel="number", ylabel="singular value")
    ax.legend(fontsize="small")
    return figure
