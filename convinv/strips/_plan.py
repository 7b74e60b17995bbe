"""The division of a convolution into strips, and the matrices of strips."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._core.adapters import way_out
from .._core.arrays import to_numpy
from .._core.geometry import Geometry, folds, tap_samples
from .._core.typing import AnyArray, OperatorInput
from .._core.validation import integer
from ..operators._convolution import ConvLinearOperator

# Most entries of the matrices of default strips: 256 MiB in double precision.
ENTRIES = 2**25


class AxisWindows(NamedTuple):
    """The windows on one axis.

    A pattern says which of a window's samples lies under every tap of every output, -1
    where there is none; windows with the same pattern have the same matrix.
    """

    outputs: np.ndarray  # (S, p): the outputs of every window
    samples: np.ndarray  # (S, n): the samples it reaches, padded with -1
    kind: np.ndarray  # (S,): the pattern of every window
    patterns: tuple  # of (p, k) arrays
    cover: tuple  # (start, window, position): the windows that hold each sample


@dataclass(frozen=True, repr=False)
class StripPlan:
    """The division of an operator into strips; see :func:`strip_plan`.

    Attributes
    ----------
    h_b : int
        Outputs of a strip per output channel.
    window : tuple of int
        Its extent on every spatial axis.
    strips : int
        Number of strips.
    counts : tuple of int
        Number of strips along every spatial axis.
    shape : tuple of int
        Shape of the largest matrix of a strip (of one group of channels).
    groups : int
        Groups of channels, each with its own matrices.
    classes : int
        Number of different matrices per group.
    class_sizes : tuple of int
        Number of strips in every class.
    memory : dict
        Bytes: "factors" for all local inverses as dense matrices, and per right-hand
        side "windows" for the local solutions and "x" for the solution.
    admissible : tuple of int
        The values that `h_b` can take.
    axes : tuple of AxisWindows
        The index tables, of three axes.
    geometry : Geometry
        The geometry of the operator.
    """

    h_b: int
    window: tuple[int, ...]
    strips: int
    counts: tuple[int, ...]
    shape: tuple[int, int]
    groups: int
    classes: int
    class_sizes: tuple[int, ...]
    memory: dict
    admissible: tuple[int, ...]
    axes: tuple
    geometry: Geometry

    def __repr__(self) -> str:
        size, classes = " x ".join(map(str, self.window)), self.classes
        tall = "tall" if self.shape[0] >= self.shape[1] else "wide"
        several = f", {self.groups} groups" if self.groups > 1 else ""
        lines = [
            f"{self.strips} strips of {size} outputs in each of {self.geometry.c_out} "
            f"channels (h_b = {self.h_b})",
            f"  matrices: {self.shape[0]} x {self.shape[1]} ({tall}), "
            f"{classes} class{'es' if classes > 1 else ''}{several}",
            f"  memory:   {_bytes(self.memory['factors'])}; per right-hand side "
            f"{_bytes(self.memory['windows'])} (windows) and "
            f"{_bytes(self.memory['x'])} (x)",
        ]
        return "\n".join(lines)

    @property
    def labels(self) -> np.ndarray:
        """The class of every strip, shape ``(strips,)``."""
        d, h, w = (axis.kind for axis in self.axes)
        _, n_h, n_w = (len(axis.patterns) for axis in self.axes)
        return ((d[:, None, None] * n_h + h[:, None]) * n_w + w).ravel()

    def rows(self, strip: int, group: int = 0) -> np.ndarray:
        """The rows of the operator's matrix in a strip, in the strip's order."""
        g = self.geometry
        outputs = [axis.outputs for axis in self.axes]
        return _flat_index(outputs, strip, g.output, g.c_out // g.groups, group)

    def columns(self, strip: int, group: int = 0) -> np.ndarray:
        """The active columns of a strip: the unknowns that its rows reach."""
        g = self.geometry
        samples = [axis.samples for axis in self.axes]
        return _flat_index(samples, strip, g.input, g.c_in // g.groups, group)

    def matrix(
        self, op: OperatorInput, label: int, group: int = 0, xp: Any = np
    ) -> AnyArray:
        """The trimmed matrix of a class, of ``rows(strip)`` and ``columns(strip)``.

        As an array of the library `xp`.
        """
        patterns = self.patterns(label)
        counts = [int(pattern.max(initial=-1)) + 1 for pattern in patterns]
        return window_matrix(group_weights(op, group), patterns, counts, xp)

    def matrix_shape(self, label: int) -> tuple[int, int]:
        """The shape of `matrix`."""
        patterns, g = self.patterns(label), self.geometry
        counts = [int(pattern.max(initial=-1)) + 1 for pattern in patterns]
        rows = g.c_out // self.groups * math.prod(map(len, patterns))
        return rows, g.c_in // self.groups * math.prod(counts)

    def patterns(self, label: int) -> list:
        """The pattern on every axis of a class."""
        kinds = np.unravel_index(label, [len(axis.patterns) for axis in self.axes])
        return [axis.patterns[kind] for axis, kind in zip(self.axes, kinds)]

    def active(self, label: int) -> np.ndarray:
        """The elements of a full window that a class has, for one channel; bool."""
        n = [axis.samples.shape[1] for axis in self.axes]
        d, h, w = (
            np.arange(size) <= pattern.max(initial=-1)
            for size, pattern in zip(n, self.patterns(label))
        )
        return (d[:, None, None] & h[:, None] & w).ravel()


def strip_plan(
    op: OperatorInput, h_b: int | None = None, *, window: Sequence[int] | None = None
) -> StripPlan:
    """Cut a convolution operator into strips.

    Parameters
    ----------
    op : ConvLinearOperator
    h_b : int, optional
        Outputs of a strip per output channel, a run of them in row-major order that
        forms a rectangle: with ``l`` the last axis of the output and ``r`` the outputs
        of one channel, a divisor of ``r`` that divides ``l`` or is a multiple of it (of
        a 3-D output also whole planes). By default the admissible value nearest to ``r
        / C_out`` (the smaller of two), so that a strip has about ``r`` rows, but small
        enough for matrices of at most 2**25 entries; groups count by themselves.
    window : sequence of int, optional
        Instead of `h_b`: the extent of a strip on every spatial axis. If it does not
        divide the output, the last strip is shifted back over its neighbor.

    Returns
    -------
    StripPlan
        Sizes, classes, memory and index tables; print it.

    Raises
    ------
    TypeError
        If `op` is no ConvLinearOperator or a size is no integer.
    ValueError
        If `h_b` is not admissible (the message names the values that are), `window`
        does not fit the output, or both are given.

    Notes
    -----
    The cost is a few integers per strip and axis; no matrix is formed. The rule is that
    of "Fast and scalable inversion of convolution layers", section 4 and Algorithm 1:
    its constraints on `h_b` mean that a strip is a rectangle.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator
    >>> from convinv.strips import strip_plan
    >>> kernel = np.random.default_rng(0).standard_normal((8, 1, 3, 3))
    >>> plan = strip_plan(ConvLinearOperator(kernel, (1, 28, 28)))
    >>> print(plan)
    13 strips of 2 x 26 outputs in each of 8 channels (h_b = 52)
      matrices: 416 x 112 (tall), 1 class
      memory:   372.7 kB; per right-hand side 11.6 kB (windows) and 6.3 kB (x)
    >>> plan.admissible
    (1, 2, 13, 26, 52, 338, 676)
    """
    if not isinstance(op, ConvLinearOperator):
        raise TypeError(
            f"op must be a ConvLinearOperator, got {type(op).__name__}{way_out(op)}"
        )
    g = op.geometry
    admissible = _admissible(g.output)
    if window is not None:
        if h_b is not None:
            raise ValueError("give h_b or window, not both")
        extent = _window(window, g)
    else:
        extent = _extent(_choose(h_b, g, admissible), g.output)
    axes = tuple(_axis_windows(g, axis, extent[axis]) for axis in range(3))
    counts = [len(axis.outputs) for axis in axes]
    sizes = [np.bincount(axis.kind, minlength=len(axis.patterns)) for axis in axes]
    per_class = np.einsum("i,j,k->ijk", *sizes).ravel()
    elements = math.prod(axis.samples.shape[1] for axis in axes)
    rows = g.c_out // g.groups * math.prod(extent)
    columns = g.c_in // g.groups * elements
    factor = rows * columns + (columns**2 if rows < columns else 0)
    size = op.dtype.itemsize
    return StripPlan(
        h_b=math.prod(extent),
        window=tuple(extent[3 - g.ndim :]),
        strips=math.prod(counts),
        counts=tuple(counts[3 - g.ndim :]),
        shape=(rows, columns),
        groups=g.groups,
        classes=len(per_class),
        class_sizes=tuple(int(n) for n in per_class),
        memory={
            "factors": len(per_class) * g.groups * factor * size,
            "windows": math.prod(counts) * g.c_in * elements * size,
            "x": math.prod(g.input_shape) * size,
        },
        admissible=admissible,
        axes=axes,
        geometry=g,
    )


def window_matrix(weights, patterns, counts, xp=np):
    """The matrix of a window from its pattern on every axis.

    Parameters
    ----------
    weights : ndarray, shape (C_out, C_in, *k)
        With three spatial axes.
    patterns : three int arrays of shape (p, k)
        The sample under every tap of every output, -1 for none. Samples that several
        taps of one output reach get the sum of their weights.
    counts : three ints
        Number of samples n on every axis.
    xp : module
        Library of the result.

    Returns
    -------
    array, shape (C_out * prod(p), C_in * prod(n))
    """
    sizes = [len(pattern) for pattern in patterns]
    c_out, c_in = weights.shape[:2]
    matrix = xp.zeros((c_out, *sizes, c_in, *counts), dtype=weights.dtype)
    weights = xp.asarray(weights)
    for taps in np.ndindex(weights.shape[2:]):
        under = [pattern[:, tap] for pattern, tap in zip(patterns, taps)]
        rows = np.ix_(*(np.flatnonzero(sample >= 0) for sample in under))
        columns = np.ix_(*(sample[sample >= 0] for sample in under))
        rows, columns = (map(xp.asarray, indices) for indices in (rows, columns))
        matrix[(slice(None), *rows, slice(None), *columns)] += weights[(..., *taps)]
    return matrix.reshape(c_out * math.prod(sizes), c_in * math.prod(counts))


def group_weights(op, group: int) -> np.ndarray:
    """The correlation kernel of one group, on the host in double precision."""
    g = op.geometry
    outputs = g.c_out // g.groups
    weights = to_numpy(op.weights)[group * outputs : (group + 1) * outputs]
    return weights.astype(np.result_type(weights.dtype, np.float64))


def touching_patterns(geometry: Geometry, axis: int, samples):
    """(kind of each window, patterns) with all outputs that reach its samples.

    `samples` is the (S, n) table of the windows. The matrix with these patterns
    contains every row of the operator in which the window's columns are not all zero.
    """
    under = tap_samples(geometry, axis)
    patterns = []
    for row in samples:
        slot = np.full(geometry.input[axis] + 1, -1)
        row = row[row >= 0]
        slot[row] = np.arange(row.size)  # the last entry serves under == -1
        pattern = slot[under]
        patterns.append(pattern[(pattern >= 0).any(1)])
    return _classify(patterns)


def _divisors(n):
    small = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    return sorted({*small, *(n // d for d in small)})


def _admissible(output):
    """Sizes of the row-major runs that are rectangles and tile the output."""
    sizes, tail = set(), 1
    for n in reversed(output):
        sizes.update(tail * d for d in _divisors(n))
        tail *= n
    return tuple(sorted(sizes))


def _choose(h_b, g: Geometry, admissible):
    if h_b is None:
        target = math.prod(g.output) * g.groups / g.c_out
        fitting = [h for h in admissible if _entries(h, g) <= ENTRIES]
        return min(fitting or admissible[:1], key=lambda h: (abs(h - target), h))
    h_b = integer(h_b, "h_b")
    if h_b not in admissible:
        raise ValueError(
            f"h_b must be one of {', '.join(map(str, admissible))} for an output of "
            f"shape {g.output_shape}, got {h_b}"
        )
    return h_b


def _entries(h_b, g: Geometry):
    """Upper bound on the entries of a strip's matrix, over all groups."""
    columns = g.c_in
    for axis, p in enumerate(_extent(h_b, g.output)):
        reach = g.dilation[axis] * (g.kernel[axis] - 1) + 1
        columns *= min((p - 1) * g.stride[axis] + reach, g.input[axis])
    return g.c_out // g.groups * h_b * columns


def _extent(h_b, output):
    extent = []
    for n in reversed(output):
        extent.append(math.gcd(h_b, n) if h_b % n else n)
        h_b //= extent[-1]
    return tuple(reversed(extent))


def _window(window, g: Geometry):
    try:
        window = tuple(operator.index(n) for n in window)
    except TypeError:
        raise TypeError(
            f"window must be a sequence of {g.ndim} integers, got {window!r}"
        ) from None
    output = g.output[3 - g.ndim :]
    if len(window) != g.ndim or any(not 1 <= p <= n for p, n in zip(window, output)):
        raise ValueError(
            f"window must have {g.ndim} entries between 1 and the output's "
            f"{output}, got {window}"
        )
    return (1,) * (3 - g.ndim) + window


def _axis_windows(g: Geometry, axis, p):
    n = g.output[axis]
    first = np.minimum(np.arange(0, n, p), n - p)
    outputs = first[:, None] + np.arange(p)
    under = tap_samples(g, axis)[outputs]
    # Samples are numbered by their order along the padded axis, so that a window that
    # wraps around has the pattern of one that does not.
    offset = np.arange(p)[:, None] * g.stride[axis]
    order = np.argsort((offset + np.arange(g.kernel[axis]) * g.dilation[axis]).ravel())
    reached, patterns = [], []
    for window in under:
        ordered = window.ravel()[order]
        known, at, inverse = np.unique(ordered, return_index=True, return_inverse=True)
        rank = np.argsort(np.where(known < 0, ordered.size, at))
        slot = np.empty(known.size, np.int64)
        slot[rank] = np.arange(known.size)
        slot[known < 0] = -1
        pattern = np.empty(ordered.size, np.int64)
        pattern[order] = slot[inverse]
        patterns.append(pattern.reshape(window.shape))
        reached.append(known[rank][known[rank] >= 0])
    samples = np.full((len(first), max(map(len, reached))), -1, np.int64)
    for row, window in zip(samples, reached):
        row[: window.size] = window
    kind, distinct = _classify(patterns)
    return AxisWindows(outputs, samples, kind, distinct, cover(samples, g.input[axis]))


def cover(table, length):
    """``(start, window, position)``: the windows of an (S, n) table by sample."""
    start, where = folds(table.ravel(), length)
    width = max(table.shape[1], 1)
    return start, where // width, where % width


def _classify(patterns):
    """(kind of each, the different patterns)."""
    numbers: dict = {}
    kind = [numbers.setdefault((p.shape, p.tobytes()), len(numbers)) for p in patterns]
    distinct = [patterns[kind.index(i)] for i in range(len(numbers))]
    return np.array(kind), tuple(distinct)


def _flat_index(tables, strip, size, channels, group):
    at = np.unravel_index(strip, [len(table) for table in tables])
    rows = [table[i][table[i] >= 0] for table, i in zip(tables, at)]
    place = np.ravel_multi_index(np.ix_(*rows), size).ravel()
    channel = np.arange(group * channels, (group + 1) * channels)
    return (channel[:, None] * math.prod(size) + place).ravel()


def _bytes(count):
    power = min(int(math.log10(max(count, 1)) / 3), 3)
    return f"{count / 1000**power:.{min(power, 1)}f} {('B', 'kB', 'MB', 'GB')[power]}"
