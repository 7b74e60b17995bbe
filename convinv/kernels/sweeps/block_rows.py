"""The block rows of a factor, and the parts of them that the sweeps need."""

from typing import NamedTuple

import numpy as np


class BlockRow(NamedTuple):
    """One block row: ``L[i, i - k .. i - 1]`` side by side and ``D[i]^-1``."""

    lower: np.ndarray  # (groups, w, k w)
    inverse: np.ndarray  # (groups, w, w)


def lower_part(row, distance):
    """``L[i, i - distance]`` of block row i, ``(groups, w, w)``."""
    width = row.lower.shape[1]
    start = row.lower.shape[2] - distance * width
    return row.lower[:, :, start : start + width]


def by_rows_after(which, band):
    """``{rows: blocks}``: the blocks that each sequence of rows after it serves.

    The backward step of a block needs its own row and the `band` rows after it.
    """
    found: dict = {}
    for i in range(len(which)):
        found.setdefault(tuple(which[i : i + band + 1]), []).append(i)
    return found


def backward_parts(rows, after):
    """``L[i + j, i]^H`` transposed, of the rows `after` block i, for j = 1, 2, ..."""
    return [lower_part(rows[r], j).conj() for j, r in enumerate(after[1:], start=1)]
