"""Drawings with matplotlib: the axes, and the pictures of a result."""

from __future__ import annotations

from typing import Any

import numpy as np

from .optional import optional


def axes(user: str, ax: Any = None, size: tuple[float, float] | None = None) -> Any:
    """The axes to draw on: those given, or those of a new figure.

    `user` is the function whose caller reads the error if matplotlib is missing.
    """
    if ax is not None:
        return ax
    plt = optional("matplotlib.pyplot", user)
    return plt.subplots(figsize=size, layout="constrained")[1]


def draw_history(result: Any, ax: Any) -> None:
    """The norm that a method watched after each iteration, a line for every item."""
    history = np.asarray(result.history)
    lines = history.reshape(len(history), int(np.prod(history.shape[1:])))
    steps = np.arange(1, len(history) + 1)
    few = len(steps) < 30
    # what is not positive has no logarithm
    ax.semilogy(steps, np.where(lines > 0, lines, np.nan), marker="." if few else "")
    ended = "converged" if result.success else result.status.name.lower()
    ax.set(
        xlabel="iteration",
        ylabel="norm that the method watches",
        title=f"{result.method}: {ended} after {result.nit}",
    )
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.3)


def draw_damp_path(extra: dict[str, Any], ax: Any) -> None:
    """The criterion of a rule over the damps that it tried, and the one it chose."""
    path, chosen = extra["damp_path"], extra["damp"]
    damps, values = np.asarray(path["damp"]), np.asarray(path["criterion"])
    known = np.isfinite(values) & (damps > 0)
    ax.semilogx(damps[known], values[known], marker=".")
    if known.any() and values[known].min() > 0:
        ax.set_yscale("log")
    else:
        ax.axhline(0, color="gray", linewidth=0.8)
    if chosen > 0:
        ax.axvline(chosen, color="tab:red", linestyle="--", label=f"damp {chosen:.3g}")
        ax.legend()
    ax.set(xlabel="damp", ylabel="criterion", title="the rule's choice of damp")
    ax.grid(alpha=0.3)
