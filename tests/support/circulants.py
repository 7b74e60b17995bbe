"""Parts of arrays for the tests of the circulant kernel."""

from convinv.kernels.circulant.arguments import Copy, Part

from .arrays import random


def circulant_parts(torus, dtype):
    """``(v, out, parts)``: 2 of 6 channels read per phase, 2 of 4 written."""
    rows = [3 if t == 1 else t for t in torus]
    size = [2 * n + 1 for n in rows]
    v = random((3, 2, 2, *size), dtype, 0)
    out = random((3, 2, 2, *size), dtype, 1)
    parts = []
    for part in range(2):
        # every second sample of the first or last axis, up to a cell short of the torus
        first = [part * (n > 1 and axis == 2) for axis, n in enumerate(rows)]
        given = [max(n - 1, 1) for n in rows]
        places = tuple(slice(f, f + 2 * g - 1, 2) for f, g in zip(first, given))
        cells = tuple(slice(0, g) for g in given)
        short = (*cells[:2], slice(0, max(given[2] - 1, 1)))
        near = (*places[:2], slice(first[2], first[2] + 2 * short[2].stop - 1, 2))
        reads = (Copy(0, places, cells), Copy(2, near, short))
        wanted = tuple(
            slice(0, g) if t == 1 else slice(t - g, t) for t, g in zip(torus, given)
        )
        writes = (Copy(1 - part, places, cells),)
        parts.append(Part(reads, tuple(given), wanted, writes))
    return v, out, parts
