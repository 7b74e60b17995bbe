"""Block Cholesky factorisation of a Hermitian matrix that repeats itself.

N is ordered into blocks of a few cells along one axis. It is block banded, and block
Toeplitz away from the ends, so that the recursion ``N = (I + L) D (I + L)^H`` becomes
stationary: its blocks converge geometrically, and from then on one block row serves all
others but those at the far end. Solving is two sweeps over the block rows, each one
matrix product for the whole batch.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from ._array import namespace
from ._settling import Settling

LEAST_ITEMS = 8  # of a batch that a thread takes at a time
LARGE_BLOCK = 1024  # from here on a BLAS may use its threads
SETTLES = 40  # cells after which a recursion repeats itself, as a rule
SMALL_BLOCK = 48  # below it a matrix product costs less than the call


class Singular(np.linalg.LinAlgError):
    """The matrix is not positive definite to working precision.

    `groups` are the layer's groups where it is not, as an array of their numbers.
    """

    def __init__(self, text, groups):
        super().__init__(text)
        self.groups = np.asarray(groups)


class MemoryLimit(ValueError):
    """The factor would not fit the memory allowed."""


class _Row(NamedTuple):
    """One block row: ``L[i, i - p .. i - 1]`` side by side and ``D[i]^-1``."""

    lower: np.ndarray  # (groups, w, p w)
    inverse: np.ndarray  # (groups, w, w)


class BlockCholesky:
    """The factor of a window of N (all of it by default) along one axis.

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
        What the factor is stored in. It is computed in double precision.
    memory : float
        Bytes that the factor may take.

    Attributes
    ----------
    rows : list of _Row
        The distinct block rows; `which` says which serves block row i.
    width : int
        Unknowns in a block (of one group).
    rconds : ndarray, shape (groups,)
        Smallest over largest eigenvalue among the pivot blocks, an estimate from above
        of the reciprocal condition number of N, of each group.
    rcond : float
        The least of them.
    least : float
        The least eigenvalue among the pivot blocks, about.
    nbytes : int
    """

    def __init__(
        self, gram, axis, *, window=None, damp=0.0, dtype=None, memory=math.inf
    ):
        self.gram, self.axis, self.damp = gram, axis, damp
        self.window = [(0, n) for n in gram.grid] if window is None else window
        self.dtype = np.dtype(gram.dtype if dtype is None else dtype)
        self.start, stop = self.window[axis]
        self.length = stop - self.start
        self.others = [
            np.arange(*w) for a, w in enumerate(self.window) if a != axis
        ]
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
        kept = sum(row.lower.nbytes + row.inverse.nbytes for row in self.rows)
        for forward, backward in self.sweeps.values():
            different = {id(matrix): matrix.nbytes for matrix in forward + backward}
            kept += sum(different.values())
        return kept

    def _refuse_early(self, rows, settling):
        """Raise MemoryLimit as soon as the rate of convergence tells it is coming."""
        if len(rows) % 8 == 0:
            self._refuse(min(len(rows) + settling.rows_to_come(), self.count))

    def _refuse(self, rows):
        size = rows * self.gram.groups * (2 * self.band + 1) * self.width**2
        size *= self.dtype.itemsize
        if size > self.memory:
            raise MemoryLimit(
                f"the factor's blocks of {self.width} x {self.width} need at least "
                f"{size / 2**20:.0f} MiB, more than the {self.memory / 2**20:.0f} MiB "
                "allowed"
            )

    def _cells(self, block):
        first = self.start + block * self.step
        return np.arange(first, first + self.step)

    def _key(self, block):
        """What the entries of a block row depend on: where its cells stand."""
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
            found.append(entries)
        diagonal = np.arange(self.width)
        extra = diagonal[self.width - ghosts :]
        found[-1][:, :, extra] = 0
        found[-1][:, extra, extra] = 1
        found[-1][:, diagonal, diagonal] += self.damp**2
        return found

    def _box(self, block):
        """A block's cells on each axis, and how many unknowns it has too many."""
        cells, last = self._cells(block), self.start + self.length - 1
        box = list(self.others)
        box.insert(self.axis, np.minimum(cells, last))
        return box, int(np.sum(cells > last)) * (self.width // self.step)

    def _factored(self):
        if self.width > LARGE_BLOCK:
            return self._factor()
        from .kernels._blas import one_blas_thread

        with one_blas_thread:
            return self._factor()

    def _factor(self):
        """The recursion, until its blocks stop changing or the far end is near."""
        rows, which, pivots = [], [], []
        state = _Recursion(self.band, rows, which)
        settling, key = Settling(self.band, _tolerance(self.dtype)), None
        for block in range(self.count):
            previous, key = key, self._key(block)
            same = key == previous
            if same and settling.done:
                which.append(which[-1])
                continue
            if not same:
                entries = self._entries(block)
                settling = Settling(self.band, settling.tolerance)
            lower, pivot, inverse = state.advance(block, entries)
            if same:
                settling.take(state.change)
            rows.append(_Row(lower, inverse))
            which.append(len(rows) - 1)
            pivots.append((_norm(pivot), _norm(inverse)))
            self._refuse_early(rows, settling)
        largest, smallest = np.max(pivots, axis=0)
        self.rconds, self.least = 1 / (largest * smallest), 1 / float(smallest.max())
        kept = np.result_type(rows[0].inverse.dtype, self.dtype)
        if self.dtype.itemsize < kept.itemsize:
            rows = [_Row(*(part.astype(self.dtype) for part in row)) for row in rows]
        return rows, which

    def sweep(self, z):
        """Solve in place for `z`, ``(groups, batch, count * width)``, contiguous."""
        xp, w, p = namespace(z), self.width, self.band
        forward, backward = self._matrices(xp, z.dtype)
        for i in range(1, self.count):
            first = max(i - p, 0)
            z[:, :, i * w : (i + 1) * w] += xp.matmul(
                z[:, :, first * w : i * w], forward[self.which[i]]
            )
        for i in reversed(range(self.count)):
            last = min(i + p + 1, self.count)
            z[:, :, i * w : (i + 1) * w] = xp.matmul(
                z[:, :, i * w : last * w], backward[i]
            )

    def _matrices(self, xp, dtype):
        """What block rows are multiplied by from the right, on the device of z."""
        key = (xp.__name__, str(dtype))
        if key not in self.sweeps:

            def put(matrix):
                return xp.asarray(np.ascontiguousarray(matrix, dtype=dtype))

            forward = [put(-row.lower.transpose(0, 2, 1)) for row in self.rows]
            found, backward = {}, []
            for i in range(self.count):
                after = tuple(self.which[i : i + self.band + 1])
                if after not in found:
                    found[after] = put(self._back(after, i))
                backward.append(found[after])
            self.sweeps[key] = forward, backward
        return self.sweeps[key]

    def _back(self, after, i):
        parts = [self.rows[after[0]].inverse.transpose(0, 2, 1)]
        w = self.width
        for further, row in enumerate(after[1:], start=1):
            lower = self.rows[row].lower
            column = lower.shape[2] - further * w
            parts.append(-lower[:, :, column : column + w].conj())
        return np.concatenate(parts, axis=1)

    def solve(self, v):
        """``N^-1 v`` for `v` of shape ``(B, groups, channels, *window)``."""
        return solve_all([(self, v)])[0]

    def _solve(self, v):
        xp, axis = namespace(v), 3 + self.axis
        order = [1, 0, axis, 2] + [a for a in (3, 4, 5) if a != axis]
        moved = xp.transpose(v, order)
        shape = moved.shape
        whole = self.count * self.step
        z = xp.empty((*shape[:2], whole, *shape[3:]), dtype=v.dtype)
        z[:, :, : self.length] = moved
        z[:, :, self.length :] = 0
        self.sweep(z.reshape((*shape[:2], -1)))
        back = [order.index(a) for a in range(6)]
        return xp.transpose(z[:, :, : self.length], back)


def solve_all(pairs):
    """``factor.solve(v)`` of several ``(factor, v)`` at once.

    On the CPU, threads share out the pairs and, since items of a batch are independent,
    pieces of batches.
    """
    if namespace(pairs[0][1]) is not np:
        return [factor._solve(v) for factor, v in pairs]
    from .kernels._blas import one_blas_thread
    from .kernels._numba import each, thread_count

    for factor, v in pairs:  # made once, not by two threads
        factor._matrices(np, v.dtype)
    pieces = -(-2 * thread_count() // len(pairs))
    tasks = []
    for number, (factor, v) in enumerate(pairs):
        count = max(min(pieces, v.shape[0] // LEAST_ITEMS), 1)
        tasks += [(number, factor, part) for part in np.array_split(v, count)]
    with one_blas_thread:
        parts = each(lambda task: task[1]._solve(task[2]), tasks)
    found: list[list] = [[] for _ in pairs]
    for (number, *_), part in zip(tasks, parts):
        found[number].append(part)
    return [part[0] if len(part) == 1 else np.concatenate(part) for part in found]


class _Recursion:
    """Block rows of L and D from those before."""

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
    """Cells in a block: one, or more where lines are so short that calls dominate."""
    if line >= SMALL_BLOCK:
        return 1
    return max(1, min(max(reach, -(-SMALL_BLOCK // line)), length))


def factor_work(line, reach, length):
    """Multiplications of a factorisation, whose recursion settles as a rule."""
    step = block_cells(line, reach, length)
    rows = min(-(-length // step), SETTLES // step + 2)
    band = -(-reach // step)
    return rows * (band**2 + 2 * band + 3) * (line * step) ** 3


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
