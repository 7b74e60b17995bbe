"""A large image cut into overlapping tiles: their sweeps, and the check of x.

Restricted additive Schwarz (X.-C. Cai and M. Sarkis, SIAM J. Sci. Comput. 21, 1999,
doi:10.1137/S106482759732678X): on a box around each tile the normal residual of the
whole problem is computed, the inverse of the box's Gram matrix is applied to it, and
the tile's own part of that is added to x. What is wrong at the edges of a box has
decayed where its tile begins.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import pickle
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .._core.arrays import placement
from .._core.errors import Singular
from .._problem.units import Units
from ..operators._scale import size_of
from .axes import Axis
from .decay import Decay, measured_decay
from .layout import (
    MANY,
    PER_FILTERS,
    PER_PAIR,
    PER_ROW,
    PER_UNKNOWN,
    SWEEPS,
    Layout,
    best_layout,
    preconditioning_layout,
    sweeps_of,
)
from .local_inverse import are_embedded
from .norms import Dots, Norms, dots, squares
from .products import BoxProducts
from .shared_inverses import LocalInverses, shared_inverses
from .tile import Tile

MODERATE = 20  # binary exponents of kernel and data up to which nothing is scaled


class Pass(NamedTuple):
    """What a method of `TilePlan` does for every tile.

    Attributes
    ----------
    tiles : {"tiles", "checks"}
        The attribute of the plan with its tiles.
    reads : tuple of {"x", "box", "core", "b"}
        Which of a tile's runs each of its arrays is read by.
    writes : int
        The number of arrays like x that it returns, before what adds up over tiles.
    """

    tiles: str
    reads: tuple[str, ...]
    writes: int


PASSES = {
    "sweep": Pass("tiles", ("x", "b"), 1),
    "measure": Pass("checks", ("x", "b"), 0),
    "gradient": Pass("checks", ("x", "b"), 1),
    "preconditioned": Pass("tiles", ("box", "core"), 1),
    "direction": Pass("checks", ("x", "x", "core"), 2),
    "zero": Pass("checks", (), 1),
    "step": Pass("checks", ("core", "core", "core", "core"), 2),
}


class TilePlan:
    """A problem on one large image, cut into tiles.

    Parameters
    ----------
    op : ConvLinearOperator or StackedOperator of these
        ``A``, or ``[A; w L]`` with penalties whose data are zero.
    damp : float
    dtype : dtype
        Of x and of the sweeps.
    batch : int
        Images that a sweep takes at a time.
    tile, halo : int or tuple of int, optional
        In samples along each spatial axis; by default the least work.
    memory : float, optional
        Bytes that a sweep of a tile may take.
    rtol : float
        The normal residual, relative to that of ``x = 0``, that sweeps are to reach.
    units : tuple of int, optional
        Samples along each axis, multiples of which edges of tiles are where those are
        larger: the chunks that x is kept in.

    Attributes
    ----------
    tiles : list of Tile
        Whose cores make up the image; in C order over `grid`.
    checks : list of Tile
        The same without halos, for `measure`.
    cuts : list of list of (start, stop)
        The ends of the cores along each axis.
    grid : tuple of int
        The number of these.
    layout : Layout
    decay : Decay or None
        None where the interior is singular: nothing preconditions then, and conjugate
        gradients from zero find the solution of least norm.
    krylov : bool
        Whether the inverse decays so slowly that tiles are a preconditioner only.
    """

    def __init__(
        self, op, damp=0.0, *, dtype, batch=1, tile=None, halo=None, memory=None,
        rtol=1e-6, units=None,
    ):  # fmt: skip
        self.dtype, self.batch, self.rtol = np.dtype(dtype), batch, rtol
        largest = max(float(abs(c.kernel).max()) for c in op.convolutions)
        power = int(np.frexp(largest)[1])
        power = power if abs(power) > MODERATE else 0
        self.op = op.scaled(float(np.ldexp(1.0, -power))) if power else op
        self.damp = float(np.ldexp(float(damp), -power))
        self.units = Units(power, np.zeros(batch, int))
        self.take_units(1.0)
        convolutions = self.op.convolutions
        self.parts = [
            BoxProducts(part.astype(self.dtype), number)
            for number, part in enumerate(convolutions)
        ]
        geometries = [part.geometry for part in convolutions]
        self.ndim = geometries[0].ndim
        self.axes = [Axis(geometries, a) for a in range(3 - self.ndim, 3)]
        self.memory = memory
        self.decay = self._decay()
        self.layout = self._layout(tile, halo)
        self._cut(units or (1,) * self.ndim)

    def without_inverses(self) -> None:
        """Let conjugate gradients run by themselves."""
        self.decay, self.krylov = None, True

    @property
    def xp(self) -> Any:
        """The library of the arrays."""
        return self.op.xp

    def _decay(self) -> Decay | None:
        """The decay of the inverse; none of a problem without a unique solution."""
        m, n = self.op.shape
        if m < n and not self.damp:
            return None
        try:
            return measured_decay(self.parts, self.axes, self.damp)
        except (Singular, np.linalg.LinAlgError):
            return None

    def _layout(self, tile, halo) -> Layout:
        cost = self.bytes_per_cell, self.memory
        found = None
        if self.decay is not None:
            found = best_layout(self.axes, self.decay, self.rtol, *cost)
        self.krylov = found is None
        if found is None:
            found = preconditioning_layout(self.axes, *cost)
        if tile is None and halo is None:
            return found
        if halo is None:
            halo = tuple(found.halo)
            if not any(halo) and self.decay is not None:  # it was not to be cut
                most = max(axis.size for axis in self.axes)
                halo = int(min(self.decay.reach(self.rtol), most))
        tile = _each_axis(found.tile if tile is None else tile, "tile", self.ndim, 1)
        halo = _each_axis(halo, "halo", self.ndim, 0)
        cut = [h for h, t, axis in zip(halo, tile, self.axes) if t < axis.size]
        expected = MANY
        if self.decay is not None:
            expected = sweeps_of(self.decay, min(cut), self.rtol) if cut else 1
        self.krylov = expected > SWEEPS
        return Layout(tile, halo, int(min(expected, MANY)))

    def _cut(self, units):
        cuts = [
            axis.cuts(*sizes)
            for axis, *sizes in zip(self.axes, self.layout.tile, units, strict=True)
        ]
        self.cuts, self.grid = cuts, tuple(len(along) for along in cuts)
        halos = self.layout.halo
        lengths = [
            (
                axis.length(max(stop - start for start, stop in along) + 2 * h)
                if len(along) > 1
                else 0
            )
            for axis, along, h in zip(self.axes, cuts, halos)
        ]
        self.tiles = self._made(cuts, halos, lengths)
        self.checks = self._made(cuts, [0] * self.ndim, [0] * self.ndim)

    def _made(self, cuts, halos, lengths):
        segments = [
            [axis.segment(core, h, length) for core in along]
            for axis, along, h, length in zip(self.axes, cuts, halos, lengths)
        ]
        places = itertools.product(*(range(len(along)) for along in cuts))
        return [
            Tile.of(place, [s[i] for s, i in zip(segments, place)], self.axes)
            for place in places
        ]

    @cached_property
    def least_norm(self) -> float:
        """A lower bound of the norm of the operator: that of a row."""
        sizes = (size_of(part.op, part.op.kernel) for part in self.parts)
        return max(float(np.ldexp(norm, power)) for power, norm in sizes)

    @property
    def bytes_per_cell(self) -> float:
        """Bytes of a sweep for each sample of a box, about."""
        rows = sum(math.prod(p.op.output_shape) for p in self.parts)
        image = math.prod(axis.size for axis in self.axes)
        channels = self.parts[0].op.input_shape[0]
        groups = math.gcd(*(p.op.groups for p in self.parts))
        pairs = channels**2 / groups * math.prod(axis.step for axis in self.axes)
        numbers = PER_UNKNOWN * channels + PER_ROW * rows / image
        found = self.dtype.itemsize * (self.batch * numbers + PER_PAIR * pairs)
        if are_embedded(self.parts):
            filters = sum(p.op.output_shape[0] for p in self.parts) / groups
            found += PER_FILTERS * filters**2 * groups
        return found

    @cached_property
    def token(self) -> str:
        """What distinguishes the local inverses of this plan from others."""
        kernels_ = [(p.op.kernel, sorted(p.op.options.items())) for p in self.parts]
        if self.xp is not np:
            kernels_ = [(k.get(), options) for k, options in kernels_]
        given = kernels_, self.op.input_shape, self.damp, self.dtype.str, self.batch
        cut = self.cuts, self.layout, self.rtol
        return hashlib.sha256(pickle.dumps((given, cut, str(self.xp)))).hexdigest()

    @property
    def inverses(self) -> LocalInverses:
        """The local inverses, which a process shares among equal plans."""
        return shared_inverses(self)

    def __getstate__(self) -> dict[str, Any]:
        self.token  # noqa: B018  before it travels: the kernels are at hand here
        return self.__dict__

    def sweep(self, tile: Tile, x: Any, b: Any) -> tuple[Any, Norms]:
        """The new x on the core of a tile, and the norms of the old one there.

        Parameters
        ----------
        tile : Tile
        x : array, shape (B, C, *box of x_runs), or None
            What `read` makes of the old x; None for zero.
        b : array, shape (B, C_out, *box of b_runs)

        Returns
        -------
        core : array, shape (B, C, *core)
        norms : Norms
        """
        x, b = self._scaled_x(x, self.dtype), self._scaled_b(b, self.dtype)
        g, norms = self._normal_residual(self.parts, tile, x, b)
        d = self.inverses.of(tile).apply(g)[(..., *tile.inner)]
        if x is not None:
            d = d + x[(..., *tile.in_read)][(..., *tile.inner)]
        return self._unscaled_x(d), norms

    def measure(self, tile: Tile, x: Any, b: Any) -> Norms:
        """The norms of an x on the core of a tile of `checks`.

        The residual is computed in double precision: it is a small difference. Its
        product with the adjoint has the precision of the data.
        """
        wide = np.result_type(self.dtype, np.float64)
        x, b = self._scaled_x(x, wide), self._scaled_b(b, wide)
        return self._normal_residual(self._wide, tile, x, b)[1]

    def gradient(self, tile: Tile, x: Any, b: Any) -> tuple[Any, Norms]:
        """The normal residual on the core of a tile of `checks`, and its norms."""
        x, b = self._scaled_x(x, self.dtype), self._scaled_b(b, self.dtype)
        g, norms = self._normal_residual(self.parts, tile, x, b)
        return self.xp.ascontiguousarray(g[(..., *tile.inner)]), norms

    def zero(self, tile: Tile) -> tuple[Any, Dots]:
        """Zeros on the core of a tile."""
        shape = (self.batch, self.op.input_shape[0])
        shape += tuple(along.stop - along.start for along in tile.core)
        place = placement(self.parts[0].op.kernel)
        zeros = self.xp.zeros(shape, dtype=self.dtype, **place)
        return zeros, Dots(np.zeros(self.batch))

    def preconditioned(
        self, tile: Tile, g: Any, q: Any, symmetric: bool = False
    ) -> tuple[Any, Dots]:
        """The local inverse of g on the box of a tile, there on its core.

        q, on the core, is the product of the search direction before, or None. Where it
        is to be `symmetric`, g counts on the core only.
        """
        if self.decay is None:
            z = self.xp.ascontiguousarray(g[(..., *tile.inner)])
            return z, Dots(np.zeros(len(z)) if q is None else dots(z, q))
        if symmetric:
            whole, g = g, self.xp.zeros_like(g)
            g[(..., *tile.inner)] = whole[(..., *tile.inner)]
        z = self.inverses.of(tile).apply(self.xp.ascontiguousarray(g))
        z = self.xp.ascontiguousarray(z[(..., *tile.inner)])
        return z, Dots(np.zeros(len(z)) if q is None else dots(z, q))

    def direction(self, tile: Tile, z: Any, p: Any, g: Any, beta: Any):
        """The search direction ``z - beta p`` on a core, and its product with N there.

        z and p, or None, are on what the tile of `checks` reads of x, g is on the core.
        Returns the two arrays, and their dot products with each other and with g.
        """
        if p is not None:
            z = z - _column(self.xp, beta, z) * p
        q: Any = 0.0
        for part in self.parts:
            q = q + part.adjoint(tile, part.forward(tile, z))
        if self.damp:
            q = q + self.damp**2 * z[(..., *tile.in_read)]
        z = self.xp.ascontiguousarray(z[(..., *tile.in_read)][(..., *tile.inner)])
        q = self.xp.ascontiguousarray(q[(..., *tile.inner)])
        return z, q, Dots(dots(z, q), dots(z, g))

    def step(self, tile: Tile, x: Any, p: Any, g: Any, q: Any, alpha: Any):
        """``x + alpha p`` and ``g - alpha q`` on a core, and the square of the latter.

        x is in the units of the data, the others are not.
        """
        moved = _column(self.xp, alpha, p) * p
        if x is not None:
            moved = moved + self._scaled_x(x, self.dtype)
        g = g - _column(self.xp, alpha, q) * q
        return self._unscaled_x(moved), g, Dots(squares(g))

    @cached_property
    def _wide(self):
        wide = np.result_type(self.dtype, np.float64)
        return [BoxProducts(p.op.astype(wide), p.number) for p in self.parts]

    def _scaled_b(self, b, dtype):
        if self.b_scale == 1 and b.dtype == self.dtype:  # it is widened in passing
            return self.xp.ascontiguousarray(b)
        b = self.xp.ascontiguousarray(b.astype(dtype, copy=False))
        return b if self.b_scale == 1 else b * dtype.type(self.b_scale)

    def _scaled_x(self, x, dtype):
        if x is None:
            return None
        x = self.xp.ascontiguousarray(x.astype(dtype, copy=False))
        return x if self.x_scale == 1 else x * dtype.type(self.x_scale)

    def _unscaled_x(self, x):
        x = x if self.x_scale == 1 else x * self.dtype.type(1 / self.x_scale)
        return self.xp.ascontiguousarray(x)

    def _refuse_nonfinite(self, data, tile):
        if not np.isfinite(data).all():
            where = ", ".join(f"{s.start}:{s.stop}" for s in tile.core)
            raise ValueError(
                f"b holds NaN or infinity where it shows x[..., {where}]; replace these"
                " entries, or solve in memory with mask=isfinite(b)"
            )

    def _normal_residual(self, parts, tile, x, b):
        """The normal residual on the box, and the norms on the core.

        Those of b and of its gradient are found where x is None, and zero elsewhere.
        """
        g: Any = 0.0
        whole: Any = None
        penalty = np.zeros((len(parts) - 1, len(b)))
        for part in parts:
            if part.number == 0:
                r = b
                if x is not None:
                    product = part.forward(tile, x)
                    r = self.xp.subtract(b, product, out=product)
                whole = squares(r[(..., *part.owned(tile))])
            elif x is None:
                continue
            else:
                product = part.forward(tile, x)
                r = self.xp.negative(product, out=product)
                penalty[part.number - 1] = squares(r[(..., *part.owned(tile))])
            adjoint = self.parts[part.number].adjoint
            g = g + adjoint(tile, r.astype(self.dtype, copy=False))
        solution = np.zeros(len(b))
        if x is not None:
            inside = x[(..., *tile.in_read)]
            solution = squares(inside[(..., *tile.inner)])
            if self.damp:
                g = g - self.damp**2 * inside
        normal, data = squares(g[(..., *tile.inner)]), np.zeros(len(b))
        gradient = np.zeros(len(b))
        if x is None:
            data, gradient = whole, normal
            self._refuse_nonfinite(data, tile)
        return g, Norms(data, whole, penalty, normal, gradient, solution)

    def take_units(self, largest: float) -> None:
        """Let sweeps scale data of this magnitude, by a power of two, to about 1."""
        power = int(np.frexp(largest)[1]) if 0 < largest < math.inf else 0
        power = power if abs(power) > MODERATE else 0
        self.units = Units(self.units.operator, np.full(self.batch, power))
        self.b_scale = float(np.ldexp(1.0, -power))
        self.x_scale = float(np.ldexp(1.0, self.units.operator - power))


def _column(xp, values, like):
    """``(B,)`` on the host as factors of the items of a batch."""
    values = np.asarray(values).astype(like.dtype)
    shape = (-1,) + (1,) * (like.ndim - 1)
    return xp.asarray(values, **placement(like)).reshape(shape)


def _each_axis(value, name, ndim, least):
    values = tuple(value) if np.iterable(value) else (value,) * ndim
    if len(values) != ndim or any(int(v) != v or v < least for v in values):
        raise ValueError(
            f"{name} must be an integer of at least {least}, or one for each of {ndim} "
            f"spatial axes, got {value!r}"
        )
    return tuple(int(v) for v in values)
