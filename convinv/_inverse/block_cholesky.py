"""Block Cholesky factorization of a Hermitian matrix that repeats itself.

N is ordered into blocks of a few cells along one axis. It is block banded, and block
Toeplitz away from the ends, so that the recursion ``N = (I + L) D (I + L)^H`` becomes
stationary: its blocks converge geometrically, and then one block row serves all others
except those at the far end. A solve is two sweeps over the block rows, each step one
matrix product for the whole batch.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from .._core.arrays import namespace
from .._core.blas_threads import one_blas_thread
from .._core.errors import MemoryLimit, Singular
from .._core.pulse import pulse
from .._core.threads import parallel_map, thread_count
from .settling import Settling

LEAST_ITEMS = 8  # of a batch that a thread takes together
LARGE_BLOCK = 1024  # size above which the BLAS may use its threads
SETTLES = 40  # cells after which a recursion usually repeats itself
SMALL_BLOCK = 48  # below it a matrix product costs less than the call
OFTEN = 4  # blocks that a row serves, above which its backward step is one product
# Entries smaller than this, relative to the largest, are dropped in single precision:
# as subnormal numbers they would make products several times slower.
TINY = 1e-12


class _Row(NamedTuple):
    """One block row: ``L[i, i - p .. i - 1]`` side by side and ``D[i]^-1``."""

    lower: np.ndarray  # (groups, w, p w)
    inverse: np.ndarray  # (groups, w, w)


class BlockCholesky:
    """The factor of a window of N (by default all of N) along one axis.

    Parameters
    ----------
    gram : Gram
    axis : int
        The axis of the recursion, of the three.
    window : sequence of (start, stop), optional
        Cells per axis that the matrix is restricted to.
    damp : float
        ``damp^2`` is added to the diagonal.
    dtype : dtype
        Precision in which the factor is stored and applied.
    memory : float
        Bytes that the factor may take.
    settle : float, optional
        The relative change of block rows at which the recursion ends, by default the
        level of rounding.
    compute : dtype, optional
        Precision of the recursion, by default double.

    Attributes
    ----------
    rows : list of _Row
        The distinct block rows; ``which[i]`` is the one that serves block row i.
    width : int
        Unknowns in a block (of one group).
    rconds : ndarray, shape (groups,)
        For each group, the smallest over the largest eigenvalue of the pivot blocks: an
        upper estimate of the reciprocal condition number of N.
    rcond : float
        The least of them.
    least : float
        The least eigenvalue among the pivot blocks, about.
    nbytes : int
    """

    def __init__(
        self,
        gram,
        axis,
        *,
        window=None,
        damp=0.0,
        dtype=None,
        memory=math.inf,
        settle=None,
        compute=None,
    ):
        self.gram, self.axis, self.damp = gram, axis, damp
        self.window = [(0, n) for n in gram.grid] if window is None else window
        self.dtype = np.dtype(gram.dtype if dtype is None else dtype)
        wide = np.result_type(self.dtype, np.float64)
        self.compute = np.dtype(wide if compute is None else compute)
        self.settle = _tolerance(self.dtype) if settle is None else settle
        self.start, stop = self.window[axis]
        self.length = stop - self.start
        self.others = [np.arange(*w) for a, w in enumerate(self.window) if a != axis]
        line = gram.channels * math.prod(map(len, self.others))
        self.step = block_cells(line, gram.reach[axis], self.length)
        self.count = -(-self.length // self.step)
        self.band = min(-(-gram.reach[axis] // self.step), self.count - 1)
        self.width = line * self.step
        stands = np.full(self.count * self.step, -1)
        stands[: self.length] = gram.place(axis, np.arange(self.start, stop))
        self.stands = stands.reshape(self.count, self.step)
        self.memory = memory
        self._refuse(min(self.count, 2))
        self.rows, self.which = self._factored()
        self.sweeps: dict = {}

    @property
    def rcond(self):
        return float(np.min(self.rconds))

    @property
    def nbytes(self):
        rows = [part for row in self.rows for part in row]
        for lowers, inverses, joined in self.sweeps.values():
            rows += [*lowers, *inverses, *joined.values()]
        return sum({id(matrix): matrix.nbytes for matrix in rows}.values())

    def _refuse_early(self, rows, settling):
        """Raise MemoryLimit as soon as the rate of convergence predicts it."""
        if len(rows) % 8 == 0:
            self._refuse(min(len(rows) + settling.rows_to_come(), self.count))

    def _refuse(self, rows):
        matrices = stored_matrices(rows, self.count, self.band)
        size = matrices * self.gram.groups * self.width**2 * self.dtype.itemsize
        if size > self.memory:
            raise MemoryLimit.of(self.width, size, self.memory)

    def _cells(self, block):
        first = self.start + block * self.step
        return np.arange(first, first + self.step)

    def _key(self, block):
        """The positions of a block row's cells, which determine its entries."""
        return (*self.stands[block].tolist(), min(self.band, block))

    def _entries(self, block):
        """``N[i, i - band .. i]``, one array (groups, w, w) each, with damping."""
        rows, ghosts = self._box(block)
        found = []
        for other in range(max(block - self.band, 0), block + 1):
            entries = self.gram.dense(rows, self._box(other)[0])
            entries = np.moveaxis(entries, (2 + self.axis, 6 + self.axis), (1, 5))
            entries = np.ascontiguousarray(entries)
            entries = entries.reshape(-1, self.width, self.width)
            if ghosts:  # cells that complete the last block
                entries[:, -ghosts:, :] = 0
            found.append(entries.astype(self.compute, copy=False))
        diagonal = np.arange(self.width)
        extra = diagonal[self.width - ghosts :]
        found[-1][:, :, extra] = 0
        found[-1][:, diagonal, diagonal] += self.damp**2
        size = _peak(found[-1]) or 1.0  # of N's entries, which may be tiny or huge
        if not self.damp:  # unknowns without influence on the output
            unseen = found[-1][:, diagonal, diagonal] == 0
            found[-1][:, diagonal, diagonal] += np.where(unseen, size, 0)
        found[-1][:, extra, extra] = size
        return found

    def _box(self, block):
        """A block's cells on each axis, and the number of its surplus unknowns."""
        cells, last = self._cells(block), self.start + self.length - 1
        box = list(self.others)
        box.insert(self.axis, np.minimum(cells, last))
        return box, int(np.sum(cells > last)) * (self.width // self.step)

    def _factored(self):
        if self.width > LARGE_BLOCK:
            return self._factor()
        with one_blas_thread:
            return self._factor()

    def _factor(self):
        """The recursion, until its blocks stop changing or the far end is near."""
        rows, which, pivots, stored = [], [], [], 0
        state = _Recursion(self.band, rows, which)
        rounding = 64 * float(np.finfo(self.compute).eps)
        settling, key = Settling(self.band, self.settle, rounding), None
        for block in range(self.count):
            pulse()
            previous, key = key, self._key(block)
            same = key == previous
            if same and settling.done:
                which.append(which[-1])
                continue
            if not same:
                entries = self._entries(block)
                settling = Settling(self.band, self.settle, rounding)
            lower, pivot, inverse = state.advance(block, entries)
            if same:
                settling.take(state.change)
            if self.compute == self.dtype:  # rows can be stored at once
                lower, inverse = self._stored(lower), self._stored(inverse)
                stored = len(rows) + 1
            rows.append(_Row(lower, inverse))
            which.append(len(rows) - 1)
            pivots.append((_norm(pivot), _norm(inverse)))
            stored = self._store(rows, stored, which[max(block - self.band, 0)])
            self._refuse_early(rows, settling)
        self._store(rows, stored, len(rows))
        largest, smallest = np.max(pivots, axis=0)
        self.rconds, self.least = 1 / (largest * smallest), 1 / float(smallest.max())
        return rows, which

    def _store(self, rows, first, last):
        """Convert rows that the recursion no longer needs to the factor's dtype."""
        for i in range(first, last):
            rows[i] = _Row(*map(self._stored, rows[i]))
        return max(first, last)

    def _stored(self, matrices):
        """Matrices in the factor's dtype; in single precision without tiny entries."""
        matrices = matrices.astype(self.dtype, copy=False)
        if np.finfo(self.dtype).eps > TINY:
            size = np.abs(matrices)
            matrices[size < TINY * size.max(initial=0)] = 0
        return matrices

    def sweep(self, z):
        """Solve in place for `z`, ``(groups, batch, count * width)``, contiguous."""
        xp, w, p, which = namespace(z), self.width, self.band, self.which
        lowers, inverses, joined = self._matrices(xp)
        product, another = (_products(xp, z, w) for _ in range(2))
        for i in range(1, self.count):
            before = slice(max(i - p, 0) * w, i * w)
            lower = lowers[which[i]].transpose(0, 2, 1)
            z[:, :, i * w : (i + 1) * w] -= product(z[:, :, before], lower)
        for i in reversed(range(self.count)):
            last = min(i + p + 1, self.count)
            own = z[:, :, i * w : (i + 1) * w]
            after = tuple(which[i:last])
            if after in joined:
                own[...] = product(z[:, :, i * w : last * w], joined[after])
                continue
            new = product(own, inverses[which[i]].transpose(0, 2, 1))
            for j in range(i + 1, last):
                new -= _times_conjugate(
                    another, z[:, :, j * w : (j + 1) * w], self._part(lowers, j, i)
                )
            own[...] = new

    def _part(self, lowers, row, column):
        """The part of block row `row` in block column `column`."""
        matrix = lowers[self.which[row]]
        start = matrix.shape[2] - (row - column) * self.width
        return matrix[:, :, start : start + self.width]

    def _matrices(self, xp):
        """The block rows on a device, and those whose backward step is one product.

        One product for a whole row is faster, but needs a second copy of its entries:
        on the host only rows that serve many blocks have one.
        """
        if xp.__name__ not in self.sweeps:
            lowers = [xp.asarray(row.lower) for row in self.rows]
            inverses = [xp.asarray(row.inverse) for row in self.rows]
            often = 1 if xp is not np else OFTEN
            counts: dict = {}
            for i in range(self.count):
                after = tuple(self.which[i : i + self.band + 1])
                counts.setdefault(after, []).append(i)
            joined = {
                after: xp.asarray(self._back(blocks[0]))
                for after, blocks in counts.items()
                if len(blocks) >= often
            }
            self.sweeps[xp.__name__] = lowers, inverses, joined
        return self.sweeps[xp.__name__]

    def _back(self, i):
        """The matrices that give block i from itself and the blocks after it."""
        parts = [self.rows[self.which[i]].inverse.transpose(0, 2, 1)]
        lowers = [row.lower for row in self.rows]
        for j in range(i + 1, min(i + self.band + 1, self.count)):
            parts.append(-self._part(lowers, j, i).conj())
        return np.ascontiguousarray(np.concatenate(parts, axis=1))

    def solve(self, v):
        """``N^-1 v`` for `v` of shape ``(B, groups, channels, *window)``."""
        return solve_all([(self, v)])[0]

    def _solve(self, v):
        xp, axis = namespace(v), 3 + self.axis
        order = [1, 0, axis, 2] + [a for a in (3, 4, 5) if a != axis]
        moved = xp.transpose(v, order)
        shape = moved.shape
        whole = self.count * self.step
        dtype = self.dtype
        if v.dtype.kind == "c" and dtype.kind != "c":
            dtype = np.result_type(dtype, np.complex64)
        z = xp.empty((*shape[:2], whole, *shape[3:]), dtype=dtype)
        z[:, :, : self.length] = moved
        z[:, :, self.length :] = 0
        self.sweep(z.reshape((*shape[:2], -1)))
        back = [order.index(a) for a in range(6)]
        x = xp.transpose(z[:, :, : self.length], back)
        return x.astype(v.dtype, copy=False)


def solve_all(pairs):
    """``factor.solve(v)`` of several ``(factor, v)`` at once.

    On the CPU, threads divide the pairs and, since items of a batch are independent,
    pieces of batches.
    """
    if namespace(pairs[0][1]) is not np:
        return [factor._solve(v) for factor, v in pairs]
    for factor, _ in pairs:  # computed once, not by two threads
        factor._matrices(np)
    pieces = -(-2 * thread_count() // len(pairs))
    tasks = []
    for number, (factor, v) in enumerate(pairs):
        count = max(min(pieces, v.shape[0] // LEAST_ITEMS), 1)
        tasks += [(number, factor, part) for part in np.array_split(v, count)]
    with one_blas_thread:
        parts = parallel_map(lambda task: task[1]._solve(task[2]), tasks)
    found: list[list] = [[] for _ in pairs]
    for (number, *_), part in zip(tasks, parts):
        found[number].append(part)
    return [part[0] if len(part) == 1 else np.concatenate(part) for part in found]


class _Recursion:
    """Computes block rows of L and D from the previous ones."""

    def __init__(self, band, rows, which):
        self.band, self.rows, self.which = band, rows, which
        self.last = None

    def advance(self, block, entries):
        """``(L[i, i - p ..], D[i], D[i]^-1)`` of one block row."""
        *lower, pivot = (e.copy() for e in entries)
        first = block - len(lower)
        scaled = []
        for a, target in enumerate(lower):
            for k in range(a):
                earlier = self._lower(first + a, first + k)
                if earlier is not None:
                    target -= lower[k] @ earlier.conj().transpose(0, 2, 1)
            scaled.append(target @ self.rows[self.which[first + a]].inverse)
        for target, part in zip(lower, scaled):
            pivot -= target @ part.conj().transpose(0, 2, 1)
        pivot = (pivot + pivot.conj().transpose(0, 2, 1)) / 2
        made = np.concatenate([*lower, pivot], axis=2)  # L D and D, of one size
        if self.last is not None and self.last.shape == made.shape:
            self.change = np.max(np.abs(made - self.last)) / _peak(pivot)
        self.last = made
        empty = np.zeros((*pivot.shape[:2], 0), pivot.dtype)
        return np.concatenate([empty, *scaled], axis=2), pivot, _inverse(pivot)

    def _lower(self, row, column):
        """L[row, column], None where it is zero."""
        lower = self.rows[self.which[row]].lower
        w = lower.shape[1]
        have = lower.shape[2] // w
        slot = column - (row - have)
        return lower[:, :, slot * w : (slot + 1) * w] if slot >= 0 else None


def block_cells(line, reach, length):
    """Cells in a block: one, or more if lines are so short that calls dominate."""
    if line >= SMALL_BLOCK:
        return 1
    return max(1, min(max(reach, -(-SMALL_BLOCK // line)), length))


def stored_matrices(rows, count, band):
    """Most matrices of a block's size that so many distinct rows of `count` keep.

    Those of a row and, on the host, of a second copy of rows that serve `OFTEN` blocks.
    """
    copies = min(rows, max(count - rows, 0) // (OFTEN - 1))
    return (rows + copies) * (band + 1)


def factor_work(line, reach, length):
    """Multiplications of a factorization whose recursion settles as usual."""
    step = block_cells(line, reach, length)
    rows = min(-(-length // step), SETTLES // step + 2)
    band = -(-reach // step)
    return rows * (band**2 + 2 * band + 3) * (line * step) ** 3


def _products(xp, z, width):
    """Products with parts of z, of so many columns, that all lie in one place.

    Only on the host, where memory for each would be taken from the system anew.
    """
    if xp is not np:
        return xp.matmul
    return partial(np.matmul, out=np.empty((*z.shape[:2], width), z.dtype))


def _times_conjugate(product, z, matrices):
    """``z @ matrices.conj()`` without a copy of the matrices."""
    if z.dtype.kind == "c":
        return product(z.conj(), matrices).conj()
    return product(z, matrices)


def _tolerance(dtype):
    eps = np.finfo(dtype).eps
    return eps / 8 if eps > 1e-10 else 8 * eps


def _peak(matrices):
    return np.max(np.abs(matrices[:, *[np.arange(matrices.shape[1])] * 2]))


def _norm(matrices):
    return np.max(np.sum(np.abs(matrices), axis=2), axis=1)


def _inverse(pivots):
    """Inverses of Hermitian positive definite matrices (groups, w, w)."""
    potrf, potri = lapack.get_lapack_funcs(("potrf", "potri"), (pivots,))
    result, bad = np.empty_like(pivots), []
    for group, (pivot, out) in enumerate(zip(pivots, result)):
        factor, info = potrf(pivot, lower=True)  # zero above the diagonal
        if info == 0:
            inverse, info = potri(factor, lower=True, overwrite_c=True)
        if info or not np.all(np.isfinite(inverse)):
            bad.append(group)
            continue
        np.add(inverse, inverse.conj().T, out=out)
        diagonal = np.arange(len(out))
        out[diagonal, diagonal] /= 2
    if bad:
        raise Singular(
            "the layer is rank-deficient to working precision: a pivot block is not "
            "definite",
            bad,
        )
    return result
