"""The interior of N inverted on a torus, whole or in tiles.

Far from the ends N is invariant under shifts: on a torus the FFT turns it into one
small matrix per frequency. If the inverse decays within a few cells, a large image is
cut into tiles with halos: the inverse is cut off beyond the halo, and all tiles share
the frequencies of one small torus, however large the image is.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy.fft

from .. import kernels
from .._core.errors import Singular
from .._core.pulse import pulse
from .._linalg.small_inverses import inverted
from ..kernels.products.fft_axes import fast_length
from .accuracy import FINEST
from .gram import Gram, normal_symbol

HALO = 1e-8  # the inverse's decay where it is cut off between tiles
DEEP = 64  # largest depth of a band, in cells
SLOW = 16  # cells that bands reach beyond the frame if the decay takes longer
# Cells of the torus on which decay is measured: at first, and at most by number of
# axes.
FIRST, COARSE = 16, (256, 128, 32)
GLANCE = (64, 12, 6)  # the same for the condition, by number of axes
EIGEN = 8e6  # multiplications of eigenvalues above which it is smaller
COARSEST, WORK = 16, 5e7  # least cells; multiplications above which there are fewer
SEEN = 1e-3  # decay of the inverse that the first measurement covers
TILE = 256  # target size of a tile in cells; up to 1.5 tiles are not cut
SLAB = 2**20  # bytes of matrices that are inverted together: a part of a cache
LEAST = 20 * 2.0**-52  # smaller reciprocal condition numbers are rounding
ZERO = 1e-10  # eigenvalues, in units of the largest, that count as zero
KEPT = 4  # number of damps whose decay is kept with a stencil


class CirculantInverse:
    """The inverse of ``N + damp^2`` as if the window's long axes had no ends.

    Parameters
    ----------
    gram : Gram
    window : sequence of three (start, stop)
        The cells that it covers.
    long : sequence of int
        Axes that are made periodic; the cells of the others count as channels.
    damp : float
    halo : sequence of three ints or None
        Cells within which the inverse decays; None if it does not.

    Attributes
    ----------
    rconds : ndarray, shape (groups,)
        Smallest over largest norm, about, of the matrices of all frequencies.
    least : float
        Their least eigenvalue, about.
    """

    def __init__(self, gram, window, long, *, damp, halo, xp, dtype):
        self.long, self.xp = long, xp
        cells = [np.arange(*w) for w in window]
        self.grid = [len(c) if a in long else 1 for a, c in enumerate(cells)]
        around = [h if a in long else None for a, h in enumerate(halo or [None] * 3)]
        cut = [pieces(n, h) for n, h in zip(self.grid, around)]
        self.tiles = cut if max(cut) > 1 else None
        self.halo = [h if a in long else 0 for a, h in enumerate(halo or (0, 0, 0))]
        if self.tiles:
            self.core = [-(-n // k) for n, k in zip(self.grid, cut)]
            need = [c + 2 * h for c, h in zip(self.core, self.halo)]
        else:
            need = self.grid
        self.torus = tuple(
            fast_length(n, even=a == 2) if n > 1 else 1 for a, n in enumerate(need)
        )
        blocks, self.rconds, self.least = torus_inverse(
            gram, self.torus, damp, cells, dtype
        )
        if self.tiles:
            blocks = _cut_off(blocks, self.torus, self.halo, dtype)
        self.plan = kernels.load("circulant", xp).prepare(blocks, self.torus, dtype)
        self.nbytes = self.plan.nbytes

    def apply(self, v):
        """The inverse of `v`, ``(B, groups, channels, *size)``."""
        xp, shape = self.xp, v.shape
        short = [3 + a for a in range(3) if a not in self.long]
        order = [0, 1, 2, *short, *(3 + a for a in self.long)]
        moved = v.transpose(order)
        middle = moved.shape
        moved = xp.ascontiguousarray(moved).reshape((*shape[:2], -1, *self.grid))
        kernel = kernels.load("circulant", xp)
        if self.tiles:
            x = kernel.apply_tiles(self.plan, moved, self.core, self.halo)
        else:
            x = kernel.apply(self.plan, moved)
        back = [order.index(a) for a in range(6)]
        return xp.ascontiguousarray(x.reshape(middle).transpose(back))


def pieces(size, halo) -> int:
    """The number of tiles of an axis; one if `halo` is None."""
    if halo is None:
        return 1
    tile = max(TILE, 4 * halo)
    return -(-size // tile) if size > 1.5 * tile else 1


def _cut_off(blocks, torus, halo, dtype):
    """The same inverse without its entries beyond the halo."""
    axes = (3, 4, 5)
    real = np.dtype(dtype).kind != "c"
    if real:
        response = scipy.fft.irfftn(blocks, s=torus, axes=axes, overwrite_x=True)
    else:
        response = scipy.fft.ifftn(blocks, axes=axes, overwrite_x=True)
    for axis, h in enumerate(halo):
        if 2 * h + 1 < torus[axis]:
            beyond = [slice(None)] * 6
            beyond[3 + axis] = slice(h + 1, torus[axis] - h)
            response[tuple(beyond)] = 0
    transform = scipy.fft.rfftn if real else scipy.fft.fftn
    return transform(response, axes=axes, overwrite_x=True)


def torus_inverse(gram, torus, damp, short, dtype):
    """``(N + damp^2)^-1`` of the interior at the frequencies of a torus.

    `short` are the cells of the axes that have no torus, which count as channels.
    Returns ``(groups, c, c, *frequencies)`` in complex128, for each group the
    reciprocal condition number of all its matrices together, and the least eigenvalue
    of all, about.
    """
    blocks = interior_symbol(gram, torus, short, np.dtype(dtype).kind != "c")
    return blocks, *_invert_all(blocks, damp, gram.side)


def _invert_all(blocks, damp, side):
    """Invert ``(groups, c, c, *frequencies)`` plus ``damp^2`` in place.

    Returns the reciprocal condition number of each group, and the least eigenvalue of
    all, about.
    """
    groups, size = blocks.shape[:2]
    if not damp:
        fill(np.moveaxis(blocks, (1, 2), (4, 5)))
    flat = blocks.reshape(groups, size, size, -1)
    step = max(SLAB // (16 * groups * size**2), 1)
    largest, largest_inverse = np.zeros(groups), np.zeros(groups)
    for start in range(0, flat.shape[3], step):
        pulse()
        slab = flat[..., start : start + step]
        slab[:, np.arange(size), np.arange(size)] += damp**2
        largest = np.maximum(largest, _norm(slab))
        if side == "self":
            _refuse_indefinite(slab)
        slab[:] = inverted(slab)
        largest_inverse = np.maximum(largest_inverse, _norm(slab))
    with np.errstate(all="ignore"):
        product = largest * largest_inverse
    good = np.isfinite(product) & (product * LEAST < 1)
    if not good.all():
        raise Singular(SINGULAR, np.flatnonzero(~good))
    return 1 / np.maximum(product, 1.0), 1 / float(largest_inverse.max())


def fill(matrices):
    """Put a number on the diagonal where all of ``(groups, ..., c, c)`` have a 0.

    Unknowns without influence on the output are zero in a solution of least norm.
    """
    diagonal = np.einsum("...ii->...i", matrices)
    axes = tuple(range(1, diagonal.ndim - 1))
    unseen = ~diagonal.any(axis=axes, keepdims=True)
    if unseen.any():
        size = np.abs(diagonal).max() or 1.0
        np.copyto(diagonal, size, where=np.broadcast_to(unseen, diagonal.shape))


SINGULAR = "the layer is singular at a frequency of its interior"


def _norm(slab):
    """Per group the largest Frobenius norm of ``(groups, c, c, frequencies)``."""
    size = np.abs(slab)
    peak = size.max()
    if not 0 < peak < math.inf:
        return size.max(axis=(1, 2, 3))
    size /= peak  # so that squares neither over- nor underflow
    return peak * np.sqrt(np.max(np.einsum("gpqf,gpqf->gf", size, size), axis=1))


def _refuse_indefinite(slab):
    """Raise Singular unless all matrices are positive definite."""
    least = np.linalg.eigvalsh(np.moveaxis(slab, 3, 1)).min(axis=(1, 2))
    if not least.min() > 0:
        text = "the layer is not positive definite at a frequency"
        raise Singular(text, np.flatnonzero(~(least > 0)))


def _with_interior(gram, torus):
    """`gram`, or that of a larger image if this one has no interior."""
    grid = list(gram.grid)
    for axis, n in enumerate(grid):
        border = max(gram.border[axis], gram.reach[axis])
        if torus[axis] > 1 and n <= 2 * border:
            grid[axis] = 4 * (n + border)  # the image limited the reach
    return gram if grid == list(gram.grid) else Gram(gram.operator(grid), gram.side)


def interior_symbol(gram, torus, short, real):
    """N's interior at the frequencies of a torus, ``(groups, c, c, *frequencies)``.

    `short` are the cells of the axes that have no torus: they count as channels.
    """
    if all(n > 1 or not spread for n, spread in zip(torus, gram.spread)):
        if math.prod(torus) < math.prod(2 * n + 1 for n in gram.spread):
            return normal_symbol(gram, torus)
        blocks = gram.interior
    else:
        gram = _with_interior(gram, torus)
        blocks = _join(gram, torus, short)  # (groups, c, c, *offsets)
    bins = [*torus[:2], torus[2] // 2 + 1 if real else torus[2]]
    for axis in range(3):
        if torus[axis] > 1:
            at, offsets = 3 + axis, np.arange(blocks.shape[3 + axis])
            ahead = offsets - len(offsets) // 2
            phase = np.outer(ahead, np.arange(bins[axis])) % torus[axis]
            wave = np.exp(2j * np.pi / torus[axis] * phase)
            blocks = np.moveaxis(np.tensordot(blocks, wave, (at, 0)), -1, at)
    return np.ascontiguousarray(blocks, dtype=complex)


def _join(gram, torus, short):
    """The stencil, with cells along short axes as rows and columns of the blocks."""
    rows, columns = [], []
    for axis, cells in enumerate(short):
        if torus[axis] > 1:
            middle, reach = gram.grid[axis] // 2, gram.reach[axis]
            rows.append(np.array([middle]))
            columns.append(middle + np.arange(-reach, reach + 1))
        else:
            rows.append(cells)
            columns.append(cells)
    entries = gram.dense(rows, columns)  # (groups, c, *rows, c, *columns)
    shape = list(entries.shape[:6])
    for axis, cells in enumerate(columns):  # columns of a short axis, or offsets
        shape += [1, len(cells)] if torus[axis] > 1 else [len(cells), 1]
    entries = entries.reshape(shape).transpose(0, 1, 2, 3, 4, 5, 6, 8, 10, 7, 9, 11)
    size = gram.channels * math.prod(len(r) for r in rows)
    return entries.reshape(gram.groups, size, size, *entries.shape[9:])


class Look(NamedTuple):
    """Decay and condition of the inverse of N's interior, from some frequencies."""

    profiles: list  # per axis, the size of its entries by distance, from 1 on
    rcond: float  # 0 if N is singular at a frequency; then there are no profiles
    least: float  # eigenvalue, about
    size: int  # cells of the torus
    ends: bool  # whether a larger torus would give no new information

    def suffices(self, target):
        """Whether it covers the inverse's decay to `target`."""
        undecayed = (p.size > 1 and p[-1] > target / 3 for p in self.profiles)
        return self.ends or not any(undecayed)


def look(gram, damp, target=SEEN) -> Look:
    """The `Look` at the inverse of ``N + damp^2``, kept with the stencil.

    The torus grows until the inverse has decayed to `target` or does not decay within
    the image.
    """
    found = gram.looks.get(damp)
    if found is not None and found.suffices(target):
        return found
    long = max(sum(n > 1 for n in gram.grid), 1)
    most, work = COARSE[long - 1], gram.groups * gram.channels**3
    while most > COARSEST and most**long * work > WORK:
        most //= 2
    most = min(most, 2 * max(gram.grid))
    size = min(FIRST, most) if found is None else 2 * found.size
    found = _look(gram, damp, size, size >= most)
    while not found.suffices(target):
        size *= 2
        found = _look(gram, damp, size, size >= most)
    for old in list(gram.looks)[: max(len(gram.looks) - KEPT + 1, 0)]:
        gram.looks.pop(old, None)
    gram.looks[damp] = found
    return found


def decay(gram, damp, target=FINEST):
    """Cells per axis after which the inverse of N's interior has decayed to `target`.

    None on an axis where that takes more than DEEP cells; on all axes if N is singular
    at a frequency.
    """
    profiles = look(gram, damp, target).profiles
    if not profiles:
        return [None] * 3
    found = []
    for profile in profiles:
        far = int(np.flatnonzero(profile > target)[-1]) + 1 if profile.size > 1 else 0
        found.append(far if far <= DEEP and far < max(profile.size, 2) else None)
    return found


def halo_of(gram, damp, target=FINEST):
    """Cells around a tile per axis, None if the inverse decays slowly.

    The inverse is cut off where it has decayed to ``HALO / FINEST`` of `target`. If
    that is further away than was measured, the halo is extrapolated from the depth of
    bands, as the decay is geometric.
    """
    cut = target * HALO / FINEST
    bands, found = decay(gram, damp, target), decay(gram, damp, cut)
    if None in bands:
        return None
    further = beyond_bands(target)
    return [math.ceil(further * b) if h is None else h for b, h in zip(bands, found)]


def beyond_bands(target) -> float:
    """The ratio of a halo to the depth of bands, for geometric decay."""
    return math.log(target * HALO / FINEST) / math.log(target)


def condition(gram, damp):
    """The condition number of ``N + damp^2`` in the interior, from few frequencies.

    If it is singular, the condition number without the null space.
    """
    long = sum(n > 1 for n in gram.grid)
    work = gram.groups * gram.channels**3
    size = min(GLANCE[max(long, 1) - 1], int((EIGEN / work) ** (1 / max(long, 1))))
    size = max(size, 3)
    torus = tuple(1 if n == 1 else size for n in gram.grid)
    short = [np.arange(n) for n in gram.grid]
    blocks = interior_symbol(gram, torus, short, gram.dtype.kind != "c")
    matrices = np.moveaxis(blocks, (1, 2), (4, 5))
    if not damp:
        fill(matrices)
    values = np.linalg.eigvalsh(matrices) + damp**2
    most = float(values.max())
    least = float(values.min(initial=most, where=values > ZERO * most))
    return most / least if most > 0 else math.inf


def _look(gram, damp, size, ends) -> Look:
    """A `Look` from the frequencies of a torus of `size` cells on each long axis."""
    real = gram.dtype.kind != "c"
    torus = tuple(1 if n == 1 else size for n in gram.grid)
    blocks = interior_symbol(gram, torus, [np.arange(n) for n in gram.grid], real)
    try:
        rconds, least = _invert_all(blocks, damp, gram.side)
    except Singular:
        return Look([], 0.0, 0.0, size, True)
    axes = (3, 4, 5)
    if real:
        response = scipy.fft.irfftn(blocks, s=torus, axes=axes)
    else:
        response = scipy.fft.ifftn(blocks, axes=axes)
    sizes = np.max(np.abs(response), axis=(0, 1, 2))
    found = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        profile = np.max(sizes, axis=others)[: torus[axis] // 2 + 1]
        found.append(profile / profile[0])
    return Look(found, float(rconds.min()), least, size, ends)
