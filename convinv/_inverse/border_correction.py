"""A circulant, corrected along the borders: an approximate inverse of N in O(n log n).

The interior is inverted on a torus, by FFT. The residual of that lies within a few
cells of the ends, from where the inverse of N decays geometrically. At each end a band
as deep as the decay is inverted separately: exactly (a block Cholesky factor along the
band) or, if that costs less, by circulants with bands of their own. The bands divide
the residual among them and do not wait for each other.
"""

import math

import numpy as np

from .._core.threads import parallel_map
from .._core.validation import integer
from .accuracy import FULL
from .block_cholesky import BlockCholesky, block_cells, solve_all
from .circulant import SLOW, TILE, CirculantInverse, decay, halo_of
from .gram import Patch

WIDE = 160  # unknowns across a band above which threads speed up factors
# Seconds, about: of two steps of a factor's sweeps; of bands at both ends of a torus,
# of a multiplication in its set-up, and of one number in two applications.
SWEEP, ENDS, INVERT, NUMBER = 12e-6, 10e-3, 2e-10, 1e-7


def circulant_pays(line, reach, length) -> bool:
    """Whether a torus costs less than a factor, along lines of `line` unknowns.

    A factor's rows repeat themselves early, so that its set-up is cheaper; its sweeps
    take a step for every block of cells.
    """
    steps = length / block_cells(line, reach, length)
    torus = ENDS + INVERT * 16 * min(length, TILE) * line**3 + NUMBER * line * length
    return steps * SWEEP > torus


class BorderCorrectedCirculant:
    """An approximation M of ``(N + damp^2)^-1`` on a window of cells.

    Attributes
    ----------
    depth : tuple of int
        Depth of the bands in cells, per axis.
    nbytes : int
        Bytes of the factors and of the inverse at the torus's frequencies.
    """

    def __init__(
        self,
        gram,
        *,
        damp=0.0,
        xp=np,
        dtype=None,
        depth=None,
        window=None,
        bands=True,
        factors=None,
        accuracy=FULL,
    ):
        self.accuracy = accuracy
        self.gram, self.damp, self.xp = gram, damp, xp
        self.dtype = np.dtype(gram.dtype if dtype is None else dtype)
        self.window = [(0, n) for n in gram.grid] if window is None else window
        self.size = [stop - start for start, stop in self.window]
        self.frame = [max(b, r) for b, r in zip(gram.border, gram.reach)]
        self.exact, self.faces, self.whole = None, [], None
        # by window: bands of crossing bands share their corners
        self.factors = {} if factors is None else factors
        self.depth, halo = (0, 0, 0), None
        self.long = [a for a in range(3) if self.size[a] > 1]
        if bands:
            self.depth, halo = self._depths(depth)
            self.long = [a for a in range(3) if self._is_long(a)]
            if not self._nests(halo):
                self.exact = self._factor()
                return
        self.torus = CirculantInverse(
            gram, self.window, self.long, damp=damp, halo=halo, xp=xp, dtype=self.dtype
        )
        if bands:
            self.faces = self._faces(depth)

    def _factor(self):
        window = tuple(self.window)
        if window not in self.factors:
            self.factors[window] = BlockCholesky(
                self.gram,
                int(np.argmax(self.size)),
                window=self.window,
                damp=self.damp,
                dtype=self.dtype,
                settle=self.accuracy.settle,
                compute=self.dtype if self.accuracy.narrow else None,
                xp=self.xp,
            )
        return self.factors[window]

    def _faces(self, depth):
        """The bands; on the CPU, threads set up wide ones."""
        ends = [(axis, end) for axis in self.long for end in ("low", "high")]
        if self.xp is not np or self.gram.channels * max(self.depth) < WIDE:
            return [_Face(self, *end, depth) for end in ends]
        return parallel_map(lambda end: _Face(self, *end, depth), ends)

    def _depths(self, depth):
        """Depths of the bands, and cells around a tile; None if the decay is slow."""
        target = self.accuracy.decay
        found = decay(self.gram, self.damp, target)
        reach = [SLOW if d is None else d for d in found]
        if depth is not None:
            reach = [max(depth - f, 0) for f in self.frame]
        bands = [
            1 if n == 1 else r + f for n, r, f in zip(self.gram.grid, reach, self.frame)
        ]
        return tuple(bands), halo_of(self.gram, self.damp, target)

    def _nests(self, halo):
        """Whether a torus along the window costs less than a factor along it."""
        if len(self.long) != 1:
            return bool(self.long)
        axis = self.long[0]
        line = self.gram.channels * math.prod(self.size) // self.size[axis]
        # without a halo corners would not decouple
        return halo is not None and circulant_pays(
            line, self.gram.reach[axis], self.size[axis]
        )

    def _is_long(self, axis):
        return self.size[axis] > 2 * (self.depth[axis] + self.frame[axis]) + 1

    @property
    def nbytes(self):
        return sum(part.nbytes for part in self._parts().values())

    def _parts(self):
        """The tori and factors, each once even if bands share it."""
        if self.exact is not None:
            return {id(self.exact): self.exact}
        parts = {id(self.torus): self.torus}
        for face in self.faces:
            parts |= face.solver._parts()
        return parts

    @property
    def rconds(self):
        """For each group, the least rcond of the torus and the bands."""
        if self.exact is not None:
            return self.exact.rconds
        bands = [face.solver.rconds for face in self.faces]
        return np.min([self.torus.rconds, *bands], axis=0)

    @property
    def least(self):
        """The least eigenvalue, about, among the torus and the bands."""
        if self.exact is not None:
            return self.exact.least
        return min([self.torus.least, *(face.solver.least for face in self.faces)])

    @property
    def rcond(self):
        return float(np.min(self.rconds))

    def apply(self, v):
        """``M v``: the interior first, then the bands on its residual."""
        if self.exact is not None:
            return self.exact.solve(v)
        x = self.torus.apply(v)
        if not self.faces:
            return x
        residuals = [face.residual(v, x) for face in self.faces]
        for face, y in zip(self.faces, self._bands("apply", self.faces, residuals)):
            x[face.band] += y
        return x

    solve = apply

    def _bands(self, name, faces, values):
        """The solutions of several bands, each for its own array."""
        solvers = [face.solver for face in faces]
        if all(solver.exact is not None for solver in solvers):
            return solve_all([(s.exact, v) for s, v in zip(solvers, values)])
        return [getattr(s, name)(v) for s, v in zip(solvers, values)]

    def symmetric(self, v):
        """``M v`` for a Hermitian positive definite M: bands, interior, bands.

        Each stage acts on the residual of the previous ones. The bands' solves are
        projections, so that M is positive definite even if N's inverse decays slowly.
        """
        if self.exact is not None:
            return self.exact.solve(v)
        if not self.faces:
            return self.torus.apply(v)
        r, x = v.copy(), self.xp.zeros(v.shape, dtype=v.dtype)
        pairs = [self.faces[i : i + 2] for i in range(0, len(self.faces), 2)]
        for pair in pairs:
            self._stage(pair, r, x)
        y = self.torus.apply(r)
        x += y
        r -= self._product(y)
        for pair in reversed(pairs):
            self._stage(pair, r, x)
        return x

    def _stage(self, faces, r, x):
        """Solve on the two bands of an axis, which do not interact."""
        values = [r[face.band] for face in faces]
        for face, y in zip(faces, self._bands("symmetric", faces, values)):
            x[face.band] += y
            face.subtract(r, y)

    def _product(self, v):
        """``(N + damp^2) v`` on the window."""
        if self.whole is None:
            self.whole = Patch(self.gram, self.window, self.xp, self.dtype)
        y = self.whole.apply(v)
        return y + self.damp**2 * v if self.damp else y


class _Face:
    """One end of a long axis: a band with its solver and its share of the frame."""

    def __init__(self, tori, axis, end, depth):
        self.tori = tori
        self.window = list(tori.window)
        self.band = self._part(axis, end, tori.depth[axis])
        self.window[axis] = self._absolute(axis, end, tori.depth[axis])
        self.solver = BorderCorrectedCirculant(
            tori.gram,
            damp=tori.damp,
            xp=tori.xp,
            dtype=tori.dtype,
            depth=depth,
            window=self.window,
            factors=tori.factors,
            accuracy=tori.accuracy,
        )
        # the cells where N differs from the torus, without those of earlier axes
        frame = tori.frame[axis]
        mine = list(self._part(axis, end, frame))
        for earlier in tori.long[: tori.long.index(axis)]:
            edge = tori.frame[earlier]
            mine[3 + earlier] = slice(edge, tori.size[earlier] - edge)
        self.mine = tuple(mine)
        start = 0 if end == "low" else tori.size[axis] - tori.depth[axis]
        self.mine_in_band = self._shifted(axis, start)
        # a product that is right on the frame needs the cells in its reach
        thick = frame + tori.gram.reach[axis]
        self.slab = self._part(axis, end, thick)
        window = list(tori.window)
        window[axis] = self._absolute(axis, end, thick)
        self.patch = Patch(tori.gram, window, tori.xp, tori.dtype)
        start = 0 if end == "low" else tori.size[axis] - thick
        self.mine_in_slab = self._shifted(axis, start)
        self.axis, self.end, self.beyond = axis, end, None

    def _absolute(self, axis, end, cells):
        start, stop = self.tori.window[axis]
        return (start, start + cells) if end == "low" else (stop - cells, stop)

    def _part(self, axis, end, cells):
        size = self.tori.size[axis]
        part = [slice(None)] * 6
        start = 0 if end == "low" else size - cells
        part[3 + axis] = slice(start, start + cells)
        return tuple(part)

    def _shifted(self, axis, start):
        moved = list(self.mine)
        old = moved[3 + axis]
        moved[3 + axis] = slice(old.start - start, old.stop - start)
        return tuple(moved)

    def _product(self, x):
        """``(N + damp^2) x`` on the slab, right on the frame."""
        slab = self.tori.xp.ascontiguousarray(x[self.slab])
        y = self.patch.apply(slab)
        return y + self.tori.damp**2 * slab if self.tori.damp else y

    def residual(self, v, x):
        """This band's share of ``v - N x``, on the band."""
        r = self.tori.xp.zeros_like(v[self.band])
        r[self.mine_in_band] = v[self.mine] - self._product(x)[self.mine_in_slab]
        return r

    def subtract(self, r, y):
        """``r -= (N + damp^2) y`` for `y` on the band."""
        tori, axis, end = self.tori, self.axis, self.end
        thick = tori.depth[axis] + tori.gram.reach[axis]
        if self.beyond is None:
            window = list(tori.window)
            window[axis] = self._absolute(axis, end, thick)
            self.beyond = Patch(tori.gram, window, tori.xp, tori.dtype)
        slab = self._part(axis, end, thick)
        share = tori.xp.zeros_like(r[slab])
        inside = [slice(None)] * 6
        start = 0 if end == "low" else tori.gram.reach[axis]
        inside[3 + axis] = slice(start, start + tori.depth[axis])
        share[tuple(inside)] = y
        change = self.beyond.apply(share)
        r[slab] -= change + tori.damp**2 * share if tori.damp else change


def check_depth(depth):
    """`depth` as an int, or None."""
    if depth is None:
        return None
    return integer(depth, "depth", 1)
