"""Transforms of tiles to the points of ``winograd.py`` and back, vectors at a time.

Along a row of an image a tile begins at every fourth sample, so that rows are first
split into four phases, in which neighboring tiles are neighbors. Points are numbered
``6 i + j``, with i along columns of the image and j along rows.
"""

import functools
from fractions import Fraction

import llvmlite.ir as ir
from numba import types
from numba.extending import intrinsic

from ..pointers import c_function, called
from .llvm_vectors import REGISTER_BYTES, Vectors
from .winograd import OUT, RESULTS, SAMPLES, SIZE

HALF = Fraction(1, 2)
INDEX = types.int64


def _paired(values, plus, minus):
    """Sums and differences for each pair of opposite points, the others unchanged."""
    zero, a, b, c, d, infinity = values
    return [zero, plus(a, b), minus(a, b), plus(c, d), minus(c, d), infinity]


def _half_paired(row):
    return _paired(row, lambda a, b: (a + b) * HALF, lambda a, b: (a - b) * HALF)


# A^T = RESULTS_OF_PAIRS P and B^T = P SAMPLES_OF_PAIRS, P being `_paired`.
RESULTS_OF_PAIRS = [_half_paired(row) for row in RESULTS]
SAMPLES_OF_PAIRS = [list(row) for row in zip(*map(_half_paired, zip(*SAMPLES)))]


class _Transforms(Vectors):
    """Vectors that matrices multiply, and rows that are split into phases."""

    def pairs(self, values):
        return _paired(values, self.builder.fadd, self.builder.fsub)

    def samples(self, values):
        """The values at the points, from six samples."""
        return self.pairs(self._product(SAMPLES_OF_PAIRS, values))

    def results(self, values):
        """Four results, from the values at the points."""
        return self._product(RESULTS_OF_PAIRS, self.pairs(values))

    def _product(self, matrix, values):
        return [self._combination(row, values) for row in matrix]

    def _combination(self, coefficients, values):
        terms = [(c, v) for c, v in zip(coefficients, values) if c]
        terms.sort(key=lambda term: term[0] != 1)
        total = None
        for c, v in terms:
            if total is None:
                total = v if c == 1 else self.builder.fmul(self.constant(c), v)
            elif c == 1:
                total = self.builder.fadd(total, v)
            else:
                total = self.multiply_add(self.constant(c), v, total)
        return total

    def split(self, vectors):
        """The four phases of four vectors in a row."""
        n = self.lanes
        even, odd = range(0, 2 * n, 2), range(1, 2 * n, 2)
        (a, b), (c, d) = (
            [self.shuffle(one, other, places) for places in (even, odd)]
            for one, other in (vectors[:2], vectors[2:])
        )
        return [
            self.shuffle(one, other, places)
            for places in (even, odd)
            for one, other in ((a, c), (b, d))
        ]

    def join(self, phases):
        """The inverse of `split`."""
        n = self.lanes
        halves = [
            [k for i in range(first, first + n // 2) for k in (i, n + i)]
            for first in (0, n // 2)
        ]
        found = []
        for half in halves:
            even = self.shuffle(phases[0], phases[2], half)
            odd = self.shuffle(phases[1], phases[3], half)
            found += [self.shuffle(even, odd, places) for places in halves]
        return found


@intrinsic
def _columns_to_points(typing, lines, at, pitch, phases, to, length):
    """Six lines -> points along columns, each split into four phases.

    A vector of tiles; lines are `pitch` apart, phases `length`.
    """
    signature = types.void(lines, INDEX, INDEX, phases, INDEX, INDEX)

    def generate(context, builder, signature, args):
        lines, at, pitch, phases, to, length = args
        v = _Transforms(context, builder, signature.args[0].dtype)
        starts = _steps(builder, at, pitch, SIZE)
        vectors = [[v.load(lines, v.after(p, k)) for k in range(OUT)] for p in starts]
        points = zip(*(v.samples(column) for column in zip(*vectors)))
        places = iter(_steps(builder, to, length, SIZE * OUT))
        for point in points:
            for phase in v.split(point):
                v.store(phase, phases, next(places))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _last_columns(typing, lines, at, pitch, phases, to, length):
    """The first two phases alone, of one tile."""
    signature = types.void(lines, INDEX, INDEX, phases, INDEX, INDEX)

    def generate(context, builder, signature, args):
        lines, at, pitch, phases, to, length = args
        v = _Transforms(context, builder, signature.args[0].dtype)
        vectors = [v.load(lines, p) for p in _steps(builder, at, pitch, SIZE)]
        places = _steps(builder, to, length, SIZE * OUT)
        for i, point in enumerate(v.samples(vectors)):
            for phase in range(SIZE - OUT):
                lane = ir.Constant(ir.IntType(32), phase)
                number = builder.extract_element(point, lane)
                where = builder.gep(phases, [places[OUT * i + phase]])
                builder.store(number, where)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _rows_to_points(typing, phases, at, length, points, to, plane):
    """Four phases of a row -> points along the row, `plane` apart."""
    signature = types.void(phases, INDEX, INDEX, points, INDEX, INDEX)

    def generate(context, builder, signature, args):
        phases, at, length, points, to, plane = args
        v = _Transforms(context, builder, signature.args[0].dtype)
        starts = _steps(builder, at, length, OUT)
        starts += [builder.add(p, v.index(1)) for p in starts[: SIZE - OUT]]
        values = v.samples([v.load(phases, p) for p in starts])
        for value, place in zip(values, _steps(builder, to, plane, SIZE)):
            v.store(value, points, place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _points_to_lines(typing, points, at, plane, lines, to, pitch):
    """The results of a vector of tiles, four lines that are `pitch` apart."""
    signature = types.void(points, INDEX, INDEX, lines, INDEX, INDEX)

    def generate(context, builder, signature, args):
        points, at, plane, lines, to, pitch = args
        v = _Transforms(context, builder, signature.args[0].dtype)
        places = _steps(builder, at, plane, SIZE**2)
        columns = [
            v.results([v.load(points, p) for p in places[j::SIZE]]) for j in range(SIZE)
        ]
        for row, place in zip(zip(*columns), _steps(builder, to, pitch, OUT)):
            for k, vector in enumerate(v.join(v.results(row))):
                v.store(vector, lines, v.after(place, k))
        return context.get_dummy_value()

    return signature, generate


def _steps(builder, first, step, count):
    """``first + i step`` for ``i < count``."""
    found = [first]
    for _ in range(count - 1):
        found.append(builder.add(found[-1], step))
    return found


def _to_points(lines, pitch, tiles, lanes, phases, length, points, to, plane):
    """A row of tiles -> their values at the points, from six lines of samples.

    Writes whole vectors: up to ``lanes - 1`` values past the tiles.
    """
    for t in range(0, tiles, lanes):
        _columns_to_points(lines, 4 * t, pitch, phases, t, length)
    if tiles % lanes == 0:
        _last_columns(lines, 4 * tiles, pitch, phases, tiles, length)
    for i in range(6):
        for t in range(0, tiles, lanes):
            here, there = 4 * i * length + t, to + 6 * i * plane + t
            _rows_to_points(phases, here, length, points, there, plane)


def _to_lines(points, at, plane, tiles, lanes, lines, pitch):
    """The results of a row of tiles, four lines, from their values at the points."""
    for t in range(0, tiles, lanes):
        _points_to_lines(points, at + t, plane, lines, 4 * t, pitch)


@functools.cache
def _compiled(name):
    numbers = types.CPointer(getattr(types, name))
    forth = types.void(numbers, *[INDEX] * 3, numbers, INDEX, numbers, INDEX, INDEX)
    back = types.void(numbers, *[INDEX] * 4, numbers, INDEX)
    return c_function(forth, _to_points), c_function(back, _to_lines)


def addresses(dtype):
    """The addresses of `_to_points` and `_to_lines` for a dtype."""
    return tuple(function.address for function in _compiled(dtype.name))


def lanes_of(dtype):
    """Numbers in a vector."""
    return REGISTER_BYTES // dtype.itemsize


@intrinsic
def to_points(
    typing, address, lines, pitch, tiles, lanes, phases, length, points, to, plane
):
    """Call `_to_points` at an address with arrays."""
    arrays = lines, INDEX, INDEX, INDEX, phases, INDEX, points, INDEX, INDEX
    return types.void(INDEX, *arrays), called


@intrinsic
def to_lines(typing, address, points, at, plane, tiles, lanes, lines, pitch):
    """Call `_to_lines` at an address with arrays."""
    return types.void(INDEX, points, *[INDEX] * 4, lines, INDEX), called
