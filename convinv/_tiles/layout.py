"""The size of tiles and of their halos: the least work within the memory there is."""

from __future__ import annotations

import math
from typing import NamedTuple

# Unknowns of a box in one channel at most where memory is not what bounds it: larger
# ones do not stay in caches, and smaller ones keep more workers busy.
CELLS = {1: 2**21, 2: 2**21, 3: 2**22}
LEAST = 16  # samples of a box along an axis at least
CHECK = 0.3  # the work of a check, in units of that of a sweep
SWEEPS = 12  # sweeps above which tiles do not pay
MANY = 1000  # sweeps, where none suffice
HALO = 6  # of a box, the part that is halo at either end where tiles precondition
FIRST = 1.0  # a sweep leaves about so many times what the inverse leaves
# Numbers of the working precision that a sweep holds for each unknown of a box and for
# each row, with those of FFTs, and of the inverse for a pair of channels.
PER_UNKNOWN, PER_ROW, PER_PAIR = 10, 4, 4
# Bytes that the set-up of an embedding takes for a pair of filters of a group.
PER_FILTERS = 30


class Layout(NamedTuple):
    """How an image is cut.

    Attributes
    ----------
    tile, halo : tuple of int
        In samples along each axis.
    sweeps : int
        That are expected.
    """

    tile: tuple[int, ...]
    halo: tuple[int, ...]
    sweeps: int


def sweeps_of(decay, halo, rtol) -> float:
    """The sweeps to a relative residual with tiles of a halo; may be infinite."""
    left = FIRST * decay.at(halo)
    if left >= 0.5:
        return math.inf
    if left <= rtol:
        return 1
    return math.ceil(math.log(rtol) / math.log(left))


def best_layout(axes, decay, rtol, bytes_per_cell, memory) -> Layout | None:
    """The layout of least work, None if the inverse decays too slowly for tiles."""
    long = [axis for axis in axes if axis.size > 1 and axis.span]
    if not long:
        return Layout(tuple(axis.size for axis in axes), (0,) * len(axes), 1)
    most = math.inf if memory is None else memory / bytes_per_cell
    target = min(CELLS[len(long)], most)
    fixed = math.prod(axis.size for axis in axes if axis not in long)
    best = None
    for halo in _halos(decay, rtol):
        sweeps = sweeps_of(decay, halo, rtol)
        if sweeps > SWEEPS:
            continue
        for grown in (target, min(4 * target, most)):  # wide halos need large boxes
            side = max(int((grown / fixed) ** (1 / len(long))), LEAST)
            found = _cut(axes, long, side, halo)
            if found is None:
                continue
            tile, halos = found
            work = 1.0
            for axis, t, h in zip(axes, tile, halos):
                work *= min(t + 2 * h, max(axis.size, t)) / t if axis in long else 1.0
            cost = work * (sweeps + CHECK)
            if best is None or cost < best[0]:
                best = cost, Layout(tile, halos, int(sweeps))
    return None if best is None else best[1]


def preconditioning_layout(axes, bytes_per_cell, memory) -> Layout:
    """The layout of tiles that only precondition: boxes of the usual size."""
    long = [axis for axis in axes if axis.size > 1 and axis.span]
    most = math.inf if memory is None else memory / bytes_per_cell
    fixed = math.prod(axis.size for axis in axes if axis not in long)
    cells = max(min(CELLS[max(len(long), 1)], most) / fixed, 1.0)
    side = max(int(cells ** (1 / max(len(long), 1))), LEAST)
    halo = side // HALO
    found = _cut(axes, long, side, halo)
    assert found is not None  # such a halo leaves room
    tile, halos = found
    return Layout(tile, halos, MANY)


def _halos(decay, rtol):
    """Halos worth a look: those that need one sweep, two, and so on."""
    found = []
    for sweeps in range(1, SWEEPS + 1):
        reach = decay.reach(rtol ** (1 / sweeps) / FIRST)
        if reach < math.inf:
            found.append(max(int(reach), 1))
    return found


def _cut(axes, long, side, halo):
    """Tiles and halos for boxes of about `side`, None if those are all halo."""
    tile, halos = [], []
    room = side
    for axis in axes:
        if axis not in long or axis.whole:
            tile.append(axis.size)
            halos.append(halo if axis.cyclic and axis in long else 0)
            continue
        wide = -(-halo // axis.step) * axis.step
        if axis.size <= room:
            tile.append(axis.size)
            halos.append(wide if axis.cyclic else 0)
            continue
        core = (room - 2 * wide) // axis.step * axis.step
        if core < max(room // 4, axis.step):
            return None
        tile.append(core)
        halos.append(wide)
    return tuple(tile), tuple(halos)
