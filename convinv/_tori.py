"""Nested tori: an approximate inverse of N in O(n log n).

The interior is inverted on a torus, by FFT. What that leaves is a residual within a few
cells of the ends, and there the inverse of N decays geometrically: on each end a band
as deep as that takes is inverted by itself, exactly (a block Cholesky factor along the
band) or, where bands extend along two axes, by nested tori again. The residual is
shared out between the bands, which therefore do not wait for each other.
"""

import numpy as np

from ._banded import BlockCholesky, solve_all
from ._gram import Patch
from ._torus import DEEP, Torus, decay


class NestedTori:
    """An approximation M of ``(N + damp^2)^-1`` on a window of cells.

    Attributes
    ----------
    depth : tuple of int
        Cells that the bands reach into the window, per axis.
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
    ):
        self.gram, self.damp, self.xp = gram, damp, xp
        self.dtype = np.dtype(gram.dtype if dtype is None else dtype)
        self.window = [(0, n) for n in gram.grid] if window is None else window
        self.size = [stop - start for start, stop in self.window]
        self.frame = [max(b, r) for b, r in zip(gram.border, gram.reach)]
        self.exact, self.faces = None, []
        self.depth, halo = (0, 0, 0), None
        self.long = [a for a in range(3) if self.size[a] > 1]
        if bands:
            self.depth, halo = self._depths(depth)
            self.long = [a for a in range(3) if self._is_long(a)]
            if len(self.long) < 2:
                self.exact = BlockCholesky(
                    gram,
                    int(np.argmax(self.size)),
                    window=self.window,
                    damp=damp,
                    dtype=self.dtype,
                )
                return
        self.torus = Torus(
            gram, self.size, self.long, damp=damp, halo=halo, xp=xp, dtype=self.dtype
        )
        if bands:
            ends = [(axis, end) for axis in self.long for end in ("low", "high")]
            self.faces = [_Face(self, *end, depth) for end in ends]

    def _depths(self, depth):
        """Depths of the bands, and how far the inverse reaches or None."""
        found = decay(self.gram, self.damp)
        reach = [DEEP if d is None else d for d in found]
        if depth is not None:
            reach = [max(depth - f, 0) for f in self.frame]
        bands = [
            1 if n == 1 else r + f
            for n, r, f in zip(self.gram.grid, reach, self.frame)
        ]
        return tuple(bands), None if None in found else found

    def _is_long(self, axis):
        return self.size[axis] > 2 * (self.depth[axis] + self.frame[axis]) + 1

    @property
    def nbytes(self):
        if self.exact is not None:
            return self.exact.nbytes
        return self.torus.nbytes + sum(face.solver.nbytes for face in self.faces)

    def apply(self, v):
        """``M v``: interior first, then the bands on what that leaves."""
        if self.exact is not None:
            return self.exact.solve(v)
        x = self.torus.apply(v)
        if not self.faces:
            return x
        residuals = [face.residual(v, x) for face in self.faces]
        for face, y in zip(self.faces, self._bands("apply", residuals)):
            x[face.band] += y
        return x

    def _bands(self, name, values):
        """The bands' solutions for one array each."""
        solvers = [face.solver for face in self.faces]
        if all(solver.exact is not None for solver in solvers):
            return solve_all([(s.exact, v) for s, v in zip(solvers, values)])
        return [getattr(s, name)(v) for s, v in zip(solvers, values)]

    solve = apply

    def adjoint(self, v):
        """``M^H v``: the bands first."""
        if self.exact is not None:
            return self.exact.solve(v)
        z = self.xp.zeros(v.shape, dtype=v.dtype)
        solved = self._bands("adjoint", [v[face.band] for face in self.faces])
        for face, y in zip(self.faces, solved):
            z[face.mine] = y[face.mine_in_band]
        r = v.copy()
        for face in self.faces:
            face.subtract(r, z)
        return z + self.torus.apply(r)

    def symmetric(self, v, product):
        """The Hermitian ``M + M^H - M^H (N + damp^2) M``, which contracts twice.

        It is positive definite where M contracts. `product` applies ``N + damp^2``.
        """
        x = self.apply(v)
        return x + self.adjoint(v - product(x)) if self.faces else x


class _Face:
    """One end of a long axis: a band with its solver and its share of the frame."""

    def __init__(self, tori, axis, end, depth):
        self.tori = tori
        self.window = list(tori.window)
        self.band = self._part(axis, end, tori.depth[axis])
        self.window[axis] = self._absolute(axis, end, tori.depth[axis])
        self.solver = NestedTori(
            tori.gram,
            damp=tori.damp,
            xp=tori.xp,
            dtype=tori.dtype,
            depth=depth,
            window=self.window,
        )
        # the cells where N differs from the torus, without those of earlier axes
        frame = tori.frame[axis]
        mine = list(self._part(axis, end, frame))
        for earlier in tori.long[: tori.long.index(axis)]:
            edge = tori.frame[earlier]
            mine[3 + earlier] = slice(edge, tori.size[earlier] - edge)
        self.mine = tuple(mine)
        self.shift = 0 if end == "low" else tori.size[axis] - tori.depth[axis]
        self.mine_in_band = self._shifted(axis, self.shift)
        # a product that is right on the frame needs what is in reach of it
        thick = frame + tori.gram.reach[axis]
        self.slab = self._part(axis, end, thick)
        window = list(tori.window)
        window[axis] = self._absolute(axis, end, thick)
        self.patch = Patch(tori.gram, window, tori.xp, tori.dtype)
        start = 0 if end == "low" else tori.size[axis] - thick
        self.mine_in_slab = self._shifted(axis, start)
        self.axis, self.end = axis, end

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

    def subtract(self, r, z):
        """``r -= (N + damp^2) z`` for this band's share of `z`, on the frame."""
        share = self.tori.xp.zeros_like(z[self.slab])
        share[self.mine_in_slab] = z[self.mine]
        y = self.patch.apply(share)
        r[self.slab] -= y + self.tori.damp**2 * share if self.tori.damp else y


def check_depth(depth):
    """`depth` as an int, or None."""
    if depth is None:
        return None
    if isinstance(depth, bool) or not isinstance(depth, (int, np.integer)):
        raise TypeError(f"depth must be an integer, got {depth!r}")
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    return int(depth)
