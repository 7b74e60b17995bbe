"""The Hermitian matrix N that an exact inverse of a layer needs, as a local stencil.

With full column rank (or damping) it is ``A^H A`` between cells of the input, otherwise
``A A^H`` between outputs. N couples cells up to `reach` apart, and is invariant under
shifts except within `border` cells of the image's ends. The entries of its interior are
the autocorrelation of the kernel. Those at the borders are found on a small image, the
template, with the same borders and a little interior. That takes many products and is
done only for methods that invert N at the borders.

N of a stack of convolutions is the sum of theirs. Its cells are those of the least
common stride, its groups those that no convolution couples.
"""

import functools
import itertools
import math

import numpy as np
import scipy.fft

from .._core.arrays import namespace, to_numpy
from .._core.pulse import pulse
from ..operators._batches import batch_of
from ..operators._cells import cells_of, coarsened, parts_of
from ..operators._convolution import ConvLinearOperator
from ..operators._polyphase import Polyphase
from ..operators._stacked import StackedOperator
from ..operators._symbol import whole_symbol

PROBES = 2**22  # numbers in a batch of probes


def is_banded(op) -> bool:
    """Whether N couples near samples only: none wraps around the image."""
    return not any(part.geometry.wraps for part in parts_of(op))


class Gram:
    """N of one layer or of a stack of convolutions, without damping.

    Attributes
    ----------
    op : ConvLinearOperator or StackedOperator
    side : {"input", "output", "self"}
        "input" for ``A^H A``, "output" for ``A A^H``, "self" for a Hermitian A.
    groups, channels : int
        N is block diagonal over `groups`; a cell has `channels` unknowns in each.
    grid, reach, border : tuple of three ints
    spread : tuple of three ints
        The reach in the interior of an image that is large enough.
    local : bool
        False if samples wrap around the image: the stencil does not represent that.
    stencil : ndarray, shape (groups, channels, channels, *template, *(2 reach + 1))
        ``stencil[g, c, e, i, t]`` is the entry between channel c of template cell i and
        channel e of template cell ``i + t - reach``. Computed on first use.
    """

    def __init__(self, op, side):
        self.op, self.side, self.layer = op, side, cells_of(op)
        self.geometries = [part.geometry for part in parts_of(op)]
        self.groups, self.dtype = self.layer.groups, op.dtype
        self.banded = is_banded(op)
        if side == "self" and op.input_shape != op.output_shape:
            raise ValueError(
                "the preconditioner needs an operator whose input and output shapes "
                f"agree, got {op.input_shape} and {op.output_shape}"
            )
        if side == "input":
            self.grid, self.channels = self.layer.cells, self.layer.channels
        else:
            (g,) = self.geometries
            self.grid, self.channels = g.output, self.layer.filters
        self.spread = self._each_axis(self._largest(self._spread))
        self.reach = self._each_axis(self._largest(self._reach))
        self.border = self._each_axis(self._largest(self._border))
        self.template = self._each_axis(
            lambda a: min(self.grid[a], 2 * (self.border[a] + self.reach[a]) + 1)
        )
        self.looks: dict = {}  # by damp, see `_inverse.circulant.look`

    def _each_axis(self, function):
        d, h, w = (int(function(axis)) for axis in range(3))
        return d, h, w

    @property
    def ndim(self):
        """The number of spatial axes."""
        return self.geometries[0].ndim

    def _largest(self, function):
        """Of ``function(geometry, axis)`` the largest of all convolutions."""
        return lambda axis: max(function(g, axis) for g in self.geometries)

    def _extent(self, g, axis):
        """Span of the taps less one, a cell's samples, and the wider padding."""
        span = g.dilation[axis] * (g.kernel[axis] - 1)
        stride = self.layer.geometry.stride[axis]
        return span, stride, max(g.before[axis], g.after[axis])

    def _spread(self, g, axis):
        span, stride, _ = self._extent(g, axis)
        return (span + stride - 1 if self.side == "input" else span) // stride

    def _reach(self, g, axis):
        span, stride, pad = self._extent(g, axis)
        if self.side == "input":
            reach = self._spread(g, axis)
        else:  # windows that are folded back at an end overlap more windows
            folded = g.boundary not in ("zero", "periodic")
            reach = (max(span, 2 * pad) if folded else span) // stride
            if folded and g.input[axis] <= g.before[axis] + g.after[axis] + 1:
                reach = self.grid[axis] - 1  # windows folded back at both ends overlap
        return min(reach, self.grid[axis] - 1)

    def _border(self, g, axis):
        span, stride, pad = self._extent(g, axis)
        if self.side == "input":
            return -(-(max(span, pad) + 1) // stride) + 1
        if self.side == "self":
            return pad + span + 1
        return -(-pad // stride) + self._reach(g, axis) + 1

    def pack(self, v):
        """``(B, n)`` or ``(B, m)`` -> ``(B, groups, channels, *grid)``."""
        if self.side == "input":
            return self.layer.pack(v)
        return v.reshape((v.shape[0], self.groups, self.channels, *self.grid))

    def unpack(self, v):
        """The inverse of `pack`."""
        if self.side == "input":
            return self.layer.unpack(v)
        return v.reshape((v.shape[0], -1))

    def place(self, axis, cells):
        """The template's cells that represent cells of the grid (an int array)."""
        size, template = self.grid[axis], self.template[axis]
        if size == template:
            return cells
        border = self.border[axis]
        tail = cells - (size - template)
        return np.where(cells < size - border, np.minimum(cells, border), tail)

    @property
    def bound(self):
        """An upper bound of N's largest eigenvalue, about: the largest row sum."""
        return float(np.max(np.sum(np.abs(self.interior), axis=(2, 3, 4, 5))))

    @functools.cached_property
    def interior(self):
        """N far from any end: ``(groups, channels, channels, *(2 spread + 1))``.

        Offsets run from ``-spread`` to `spread` on each axis, as those of `stencil` do.
        """
        torus = [2 * n + 1 for n in self.spread]
        matrices, axes = normal_symbol(self, torus), (3, 4, 5)
        if self.dtype.kind != "c":
            entries = scipy.fft.irfftn(matrices, s=torus, axes=axes)
        else:
            entries = scipy.fft.ifftn(matrices, axes=axes)
        offsets = (np.arange(n, -n - 1, -1) % (2 * n + 1) for n in self.spread)
        return np.ascontiguousarray(entries[(..., *np.ix_(*offsets))])

    def dense(self, rows, columns):
        """The entries between two boxes of cells.

        `rows` and `columns` are one int array of cells per axis. Returns an array
        ``(groups, channels, *rows, channels, *columns)``.
        """
        index, keep = [], np.True_
        for axis in range(3):
            offset = columns[axis][None, :] - rows[axis][:, None] + self.reach[axis]
            inside = (offset >= 0) & (offset <= 2 * self.reach[axis])
            shape = [1] * 6
            shape[axis], shape[axis + 3] = inside.shape
            place = np.broadcast_to(self.place(axis, rows[axis])[:, None], inside.shape)
            offset = np.where(inside, offset, 0)
            index.append((place.reshape(shape), offset.reshape(shape)))
            keep = keep & inside.reshape(shape)
        where, offset = zip(*index)
        entries = self.stencil[(slice(None),) * 3 + where + offset]
        entries = np.where(keep, entries, 0)
        return np.moveaxis(entries, 2, 5)

    @functools.cached_property
    def stencil(self):
        """Probe the template with impulses that are too far apart to interact."""
        op = self.operator(self.template)
        template = cells_of(op)
        colors = [min(2 * r + 1, n) for r, n in zip(self.reach, self.template)]
        probes = np.arange(math.prod(colors) * self.channels)
        answers = []
        size = self.groups * self.channels * math.prod(self.template)
        parts = min(-(-probes.size * size // PROBES), probes.size)
        for part in np.array_split(probes, parts):
            pulse()
            answers.append(self._probe(op, template, part, colors))
        answers = np.concatenate(answers).reshape(
            *colors, self.channels, self.groups, self.channels, *self.template
        )
        return self._sorted(answers, colors) + self._ghosts(template)

    def operator(self, grid, xp=np, dtype=None):
        """The layer or the stack on a smaller image, with N on the cells of `grid`."""
        g = self.layer.geometry
        smaller = [
            n - s * (whole - small)
            for n, s, whole, small in zip(g.input, g.stride, self.grid, grid)
        ]
        shape = (g.c_in, *smaller[3 - g.ndim :])
        parts = [_resized(part, shape, xp, dtype) for part in parts_of(self.op)]
        return parts[0] if len(parts) == 1 else StackedOperator(parts)

    def _probe(self, op, template, probes, colors):
        """Columns of N, summed over all impulses of a color."""
        count = len(probes)
        shape = (count, self.groups, self.channels, *self.template)
        v = np.zeros(shape, op.dtype)
        *color, channel = np.unravel_index(probes, (*colors, self.channels))
        for probe in range(count):
            cells = (slice(c[probe], None, n) for c, n in zip(color, colors))
            v[(probe, slice(None), channel[probe], *cells)] = 1
        return product(self.side, op, template, v)

    def _sorted(self, answers, colors):
        """Sort answers by color into entries by offset."""
        index, keep = [], np.True_
        for axis in range(3):
            here = np.arange(self.template[axis])[:, None]
            there = here + np.arange(-self.reach[axis], self.reach[axis] + 1)
            inside = (there >= 0) & (there < self.template[axis])
            shape = [1] * 6
            shape[axis], shape[axis + 3] = there.shape
            index.append((here.reshape(shape[:3] + [1] * 3), there.reshape(shape)))
            keep = keep & inside.reshape(shape)
        here, there = zip(*index)
        color = tuple(t % c for t, c in zip(there, colors))
        # answers are (*colors, e, groups, c, *template): (groups, c, e) go to the front
        answers = answers.transpose(4, 5, 3, 0, 1, 2, 6, 7, 8)
        entries = answers[(slice(None),) * 3 + color + here]
        return np.where(keep, entries, 0)

    def _ghosts(self, template):
        """An identity for the samples of the last cells that lie outside the image."""
        stencil = np.zeros(
            (self.groups, self.channels, self.channels, *self.template)
            + tuple(2 * r + 1 for r in self.reach)
        )
        if self.side == "input":
            g = template.geometry
            samples = template.pack(np.ones((1, g.c_in * math.prod(g.input))))[0]
            here = stencil[(..., *self.reach)]
            for channel in range(self.channels):
                here[:, channel, channel] = 1 - samples[:, channel]
        return stencil


def _resized(op, shape, xp, dtype):
    """A convolution on images of another shape, with nothing around the image."""
    options = {**op.options}
    if op.geometry.boundary == "periodic":
        options["boundary"] = "zero"
    kernel = op.kernel if xp is not np else to_numpy(op.kernel)
    wide = np.result_type(kernel.dtype, np.float64) if dtype is None else dtype
    return ConvLinearOperator(kernel.astype(wide), shape, **options)


def normal_symbol(gram, torus):
    """N's interior at the frequencies of a torus, from the symbols of the layers."""
    total = None
    for part in parts_of(gram.op):
        matrices = _normal_symbol(gram, part, torus)
        total = matrices if total is None else total + matrices
    return total


def _normal_symbol(gram, op, torus):
    """The part of one convolution in N's interior."""
    g, cells = op.geometry, gram.layer.geometry
    steps = [whole // own for whole, own in zip(cells.stride, g.stride)]
    total = 0.0
    for step in itertools.product(*map(range, steps)):
        # every so many outputs, as a layer of the stride of a cell
        before = tuple(p - k * s for p, k, s in zip(g.before, step, g.stride))
        layer = Polyphase(g._replace(stride=cells.stride, before=before))
        taps = op.weights.astype(gram.dtype, copy=False)
        matrices = whole_symbol(layer, taps, torus)
        matrices = np.moveaxis(matrices, (1, 2), (4, 5))
        if gram.side != "self":
            adjoint = matrices.conj().swapaxes(4, 5)
            inside = gram.side == "input"
            matrices = adjoint @ matrices if inside else matrices @ adjoint
        total = total + np.moveaxis(matrices, (4, 5), (1, 2))
    return np.ascontiguousarray(coarsened(total, gram.groups))


class Patch:
    """N restricted to a window at the start or end of the image.

    The products run on a small image: the window, and enough beyond it to keep the
    other end out of reach. `window` is ``(start, stop)`` per axis.
    """

    def __init__(self, gram, window, xp, dtype):
        self.gram = gram
        grid, self.inside = [], [slice(None)] * 3
        for axis, ((start, stop), size) in enumerate(zip(window, gram.grid)):
            need = stop - start + gram.reach[axis] + gram.border[axis]
            whole = (start, stop) == (0, size) or need >= size
            grid.append(size if whole else need)
            if whole:
                self.inside[axis] = slice(start, stop)
            elif start == 0:
                self.inside[axis] = slice(0, stop)
            elif stop == size:
                self.inside[axis] = slice(need - (stop - start), need)
            else:
                raise ValueError(f"window {window} lies inside the grid {gram.grid}")
        self.grid = tuple(grid)
        self.op = gram.operator(self.grid, xp, dtype)
        self.layer = cells_of(self.op)

    def apply(self, v):
        """``N v`` for `v` of shape ``(B, groups, channels, *window)``."""
        inside = (slice(None),) * 3 + tuple(self.inside)
        shape = (*v.shape[:3], *self.grid)
        if tuple(v.shape) != shape:
            wide = namespace(v).zeros(shape, dtype=v.dtype)
            wide[inside] = v
            v = wide
        return product(self.gram.side, self.op, self.layer, v)[inside]


def product(side, op, layer, v):
    """``A^H A v`` or ``A A^H v`` for `v` of shape ``(B, groups, channels, *grid)``."""
    if side == "input":
        y = op.apply_adjoint(op.apply(batch_of(layer.unpack(v), op.input_shape)))
        return layer.pack(y)
    if side == "self":
        return op.apply(batch_of(v, op.input_shape)).reshape(v.shape)
    x = op.apply_adjoint(batch_of(v, op.output_shape))
    return op.apply(x).reshape(v.shape)
