"""Solves with block banded factors for NumPy arrays; contract: `kernels.sweeps`.

Each step is one product of matrices for the whole batch.
"""

from functools import partial

import numpy as np

from .block_rows import backward_parts, by_rows_after, lower_part

OFTEN = 4  # blocks that a row serves, above which its backward step is one product


class Plan:
    """The block rows, and joined copies of those that serve many blocks.

    One product for a whole backward step is faster, but needs a second copy of entries.
    """

    def __init__(self, rows, which, band):
        self.rows, self.which, self.band = rows, which, band
        self.groups, self.width = rows[0].inverse.shape[:2]
        self.dtype = rows[0].inverse.dtype
        self.size = self.groups * len(which) * self.width
        self.joined = {
            after: _joined(rows, after)
            for after, blocks in by_rows_after(which, band).items()
            if len(blocks) >= OFTEN
        }
        self.nbytes = sum(matrix.nbytes for matrix in self.joined.values())


def prepare(rows, which, band):
    return Plan(rows, which, band)


def solve(plans, batch, z):
    start = 0
    for plan in plans:
        stop, line = start + batch * plan.size, plan.size // plan.groups
        _sweep(plan, z[start:stop].reshape((plan.groups, batch, line)))
        start = stop


def _joined(rows, after):
    """The matrices that give a block from itself and the blocks after it."""
    own = rows[after[0]].inverse.transpose(0, 2, 1)
    parts = [own, *(-part for part in backward_parts(rows, after))]
    return np.ascontiguousarray(np.concatenate(parts, axis=1))


def _sweep(plan, z):
    w, p, which, rows = plan.width, plan.band, plan.which, plan.rows
    product, another = (_products(z, w) for _ in range(2))
    for i in range(1, len(which)):
        before = slice(max(i - p, 0) * w, i * w)
        lower = rows[which[i]].lower.transpose(0, 2, 1)
        z[:, :, i * w : (i + 1) * w] -= product(z[:, :, before], lower)
    for i in reversed(range(len(which))):
        last = min(i + p + 1, len(which))
        own = z[:, :, i * w : (i + 1) * w]
        after = tuple(which[i:last])
        if after in plan.joined:
            own[...] = product(z[:, :, i * w : last * w], plan.joined[after])
            continue
        new = product(own, rows[which[i]].inverse.transpose(0, 2, 1))
        for j in range(i + 1, last):
            part = lower_part(rows[which[j]], j - i)
            new -= _times_conjugate(another, z[:, :, j * w : (j + 1) * w], part)
        own[...] = new


def _products(z, width):
    """Products with parts of z, of so many columns, that all lie in one place.

    Memory for each would be taken from the system anew.
    """
    return partial(np.matmul, out=np.empty((*z.shape[:2], width), z.dtype))


def _times_conjugate(product, z, matrices):
    """``z @ matrices.conj()`` without a copy of the matrices."""
    if z.dtype.kind == "c":
        return product(z.conj(), matrices).conj()
    return product(z, matrices)
