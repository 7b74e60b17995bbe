"""The arrangements of an operator's rows side by side, as a table and as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core.plotting import axes
from .._core.typing import OperatorInput, Seed
from ..operators._foreign import as_operator
from ._analysis import SweepAnalysis, sweep_analysis
from ._arrangement import ARRANGEMENTS, row_lists
from ._measures import span
from ._row_blocks import MEMORY


@dataclass(frozen=True, repr=False, eq=False)
class ArrangementTable:
    """The four arrangements side by side; made by `arrangement_table`.

    Attributes
    ----------
    analyzes : dict
        A `SweepAnalysis` by arrangement.
    """

    analyzes: dict

    def __getitem__(self, kind: str) -> SweepAnalysis:
        return self.analyzes[kind]

    def __repr__(self) -> str:
        head = ("arrangement", "blocks", "ranks", "||K - K^2||_F")
        rows: list[tuple[str, ...]] = [(*head, "||K - K_perp||_F^2", "radius")]
        for kind, found in self.analyzes.items():
            measures = (found.idempotency, found.distance, found.spectral_radius)
            words = (kind, found.strips, span(found.ranks), *measures)
            rows.append(tuple(map(str, words)))
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join(
            "  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip()
            for row in rows
        )


def arrangement_table(
    op: OperatorInput,
    kinds: Sequence[str] = ARRANGEMENTS,
    *,
    h_b: int | None = None,
    strips: int | None = None,
    exact: bool | None = None,
    samples: int = 32,
    rng: Seed = None,
    memory: float = MEMORY,
) -> ArrangementTable:
    """Several arrangements of an operator's rows, each with its `sweep_analysis`.

    Parameters
    ----------
    op : ConvLinearOperator, sparse or dense matrix
        A matrix has no "strip".
    kinds : sequence of str
        The arrangements, by default all four.
    h_b, strips, exact, samples, rng, memory
        As for `sweep_analysis`.

    Returns
    -------
    ArrangementTable
        It can be printed; ``table[kind]`` is one analysis.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator
    >>> from convinv.strips import arrangement_table
    >>> kernel = np.random.default_rng(0).standard_normal((4, 1, 3))
    >>> table = arrangement_table(ConvLinearOperator(kernel, (1, 14)), h_b=2, rng=0)
    >>> list(table.analyzes)
    ['strip', 'interleaved', 'standard', 'randomized']
    >>> [bool(table[kind].idempotency.value < 1e-10) for kind in table.analyzes]
    [True, True, False, False]
    """
    options: dict[str, Any] = {
        "exact": exact,
        "samples": samples,
        "rng": rng,
        "memory": memory,
    }
    return ArrangementTable(
        {k: sweep_analysis(op, k, h_b=h_b, strips=strips, **options) for k in kinds}
    )


def plot_arrangement(
    op: OperatorInput,
    kind: str,
    ax: Any = None,
    *,
    h_b: int | None = None,
    strips: int | None = None,
    rng: Seed = None,
) -> Any:
    """Draw the rows of each block with matplotlib.

    A pixel is a row of the operator's matrix, and its color is the number of the block;
    a line of pixels has the outputs of one channel.

    Parameters
    ----------
    op : ConvLinearOperator, sparse or dense matrix
    kind : str or list of int arrays
        An arrangement, or the rows of every block.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.
    h_b, strips, rng
        As for `arrangement`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        Without matplotlib.
    TypeError, ValueError
        As `arrangement` does.
    """
    op = as_operator(op)
    rows = row_lists(op, kind, h_b=h_b, strips=strips, rng=rng)
    ax = axes("plot_arrangement", ax)
    owner = np.full(op.shape[0], np.nan)  # rows of no block stay blank
    for block, chosen in enumerate(rows):
        owner[chosen] = block
    shape = op.output_shape if len(op.output_shape) > 1 else (1, -1)
    image = ax.imshow(
        owner.reshape(shape[0], -1), aspect="auto", interpolation="nearest"
    )
    ax.figure.colorbar(image, ax=ax, label="block")
    title = kind if isinstance(kind, str) else "as given"
    ax.set(xlabel="output", ylabel="channel", title=title)
    return ax
