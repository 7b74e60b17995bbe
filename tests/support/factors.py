"""Random block banded factors, for the tests of the kernel of sweeps."""

import numpy as np

from convinv.kernels.sweeps.block_rows import BlockRow

from . import factor_oracles
from .arrays import random

# groups, unknowns of a block, blocks, band
SHAPES = {
    "one unknown": (1, 1, 7, 2),
    "one block": (2, 3, 1, 0),
    "two blocks": (1, 4, 2, 1),
    "diagonal": (2, 5, 4, 0),
    "tridiagonal": (1, 7, 9, 1),
    "groups": (3, 4, 6, 2),
    "as wide as a warp": (1, 33, 8, 2),
    "wide": (1, 130, 4, 3),
}


def random_factor(shape, dtype, seed=0):
    """``(rows, which, band)``: rows that serve many blocks, and some that serve one."""
    groups, width, count, band = shape
    rows, which, shared = [], [], None
    for i in range(count):
        if i > band and i % 3:
            which.append(shared)
            continue
        lower = random((groups, width, min(i, band) * width), dtype, seed + i)
        half = random((groups, width, width), dtype, seed + 100 + i)
        inverse = half @ half.conj().transpose(0, 2, 1) / width + np.eye(width)
        rows.append(BlockRow(lower / (4 * width), inverse.astype(dtype)))
        which.append(len(rows) - 1)
        shared = which[-1]
    return rows, which, band


def values(shapes, batch, dtype, seed=5):
    """Right-hand sides of factors, one after the other."""
    sizes = [groups * width * count for groups, width, count, _ in shapes]
    return random((batch * sum(sizes),), dtype, seed)


def solved(shapes, factors, batch, z):
    """What the oracle makes of these."""
    out, start = [], 0
    for (groups, width, count, _), factor in zip(shapes, factors):
        stop = start + batch * groups * width * count
        given = z[start:stop].reshape(groups, batch, width * count)
        out.append(factor_oracles.sweeps_solve(*factor, given).ravel())
        start = stop
    return np.concatenate(out)
