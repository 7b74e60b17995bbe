"""Block Cholesky factorization of a Hermitian matrix that repeats itself.

N is ordered into blocks of a few cells along one axis. It is block banded, and block
Toeplitz away from the ends, so that the recursion ``N = (I + L) D (I + L)^H`` becomes
stationary: its blocks converge geometrically, and then one block row serves all others
except those at the far end. A solve is two sweeps over the block rows, each step one
matrix product for the whole batch.
"""

import math

import numpy as np

from .. import kernels
from .._core.arrays import namespace
from .._core.blas_threads import one_blas_thread
from .._core.errors import MemoryLimit
from .._core.pulse import pulse
from .._core.threads import parallel_map, thread_count
from ..kernels.sweeps.block_rows import BlockRow
from ..kernels.sweeps.cpu import OFTEN
from .recursion import WIDE, Recursion, norm, peak, stored
from .settling import Settling

LEAST_ITEMS = 8  # of a batch that a thread takes together
LARGE_BLOCK = 1024  # size above which the BLAS may use its threads
SETTLES = 40  # cells after which a recursion usually repeats itself
SMALL_BLOCK = 48  # below it a matrix product costs less than the call
# Entries smaller than this, relative to the largest, are dropped in single precision:
# as subnormal numbers they would make products several times slower.
TINY = 1e-12


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
    widen : float, optional
        With an `rcond` up to this one the factor stays in the precision of the
        recursion, if it fits into `memory` there and no block row serves two.
    xp : module, optional
        Library of the arrays that it is for. Wide factors are computed there.

    Attributes
    ----------
    rows : list of BlockRow
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
        widen=0.0,
        xp=np,
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
        self.memory, self.xp = memory, xp if self.width > WIDE else np
        fits = self._bytes(self.count, self.compute) <= memory
        self.widen = widen if fits and self.compute != self.dtype else 0.0
        self._refuse(min(self.count, 2))
        self.rows, self.which = self._factored()
        self.plans: dict = {}

    @property
    def rcond(self):
        return float(np.min(self.rconds))

    @property
    def nbytes(self):
        rows = {id(part): part.nbytes for row in self.rows for part in row}
        return sum(rows.values()) + sum(plan.nbytes for plan in self.plans.values())

    def _refuse_early(self, rows, settling):
        """Raise MemoryLimit as soon as the rate of convergence predicts it."""
        if len(rows) % 8 == 0:
            self._refuse(min(len(rows) + settling.rows_to_come(), self.count))

    def _bytes(self, rows, dtype):
        """What the factor takes in a precision if so many block rows are distinct."""
        matrices = stored_matrices(rows, self.count, self.band)
        return matrices * self.gram.groups * self.width**2 * dtype.itemsize

    def _refuse(self, rows):
        size = self._bytes(rows, self.dtype)
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
        size = peak(found[-1]) or 1.0  # of N's entries, which may be tiny or huge
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
        rows, which, pivots, done = [], [], [], 0
        state = Recursion(self.band, rows, which, self.xp)
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
                entries = [self.xp.asarray(e) for e in self._entries(block)]
                settling = Settling(self.band, self.settle, rounding)
            lower, pivot, inverse = state.advance(block, entries)
            if same:
                settling.take(state.change)
            rows.append(BlockRow(lower, inverse))
            which.append(len(rows) - 1)
            if not self.widen:
                done = self._store(rows, done, self._unneeded(rows, which, block))
            pivots.append((norm(pivot), norm(rows[-1].inverse)))
            self._refuse_early(rows, settling)
        largest, smallest = np.max(pivots, axis=0)
        self.rconds, self.least = 1 / (largest * smallest), 1 / float(smallest.max())
        if self.rcond <= self.widen and len(rows) == self.count:
            self.dtype = self.compute
        self._store(rows, done, len(rows))
        return rows, which

    def _unneeded(self, rows, which, block):
        """How many of the first rows the recursion needs no more in its precision."""
        if self.compute == self.dtype:
            return len(rows)
        return which[max(block - self.band, 0)]

    def _store(self, rows, first, last):
        """Convert rows that the recursion no longer needs to the factor's dtype."""
        for i in range(first, last):
            rows[i] = stored(rows[i], self.dtype, TINY)
        return max(first, last)

    def plan(self, xp):
        """The factor as the kernel of the sweeps takes it, for arrays of `xp`."""
        if xp.__name__ not in self.plans:
            kernel = kernels.load("sweeps", xp)
            self.plans[xp.__name__] = kernel.prepare(self.rows, self.which, self.band)
        return self.plans[xp.__name__]

    def solve(self, v):
        """``N^-1 v`` for `v` of shape ``(B, groups, channels, *window)``."""
        return solve_all([(self, v)])[0]

    def _numbers(self, batch):
        """Numbers of the values of so many items, with those that fill up blocks."""
        return batch * self.gram.groups * self.count * self.width

    def _order(self):
        """The axes of `v`, as blocks of the axis of the recursion need them."""
        axis = 3 + self.axis
        return [1, 0, axis, 2] + [a for a in (3, 4, 5) if a != axis]

    def _write(self, v, z):
        """The values of `v` into the blocks of `z`, both of the same batch."""
        moved = v.transpose(self._order())
        shape = (*moved.shape[:2], self.count * self.step, *moved.shape[3:])
        z = z.reshape(shape)
        z[:, :, : self.length] = moved
        if self.count * self.step > self.length:
            z[:, :, self.length :] = 0

    def _read(self, z, like):
        """An array as `like` is, with the values of the blocks of `z`."""
        order = self._order()
        shape = [like.shape[a] for a in order]
        shape[2] = self.count * self.step
        back = [order.index(a) for a in range(6)]
        x = z.reshape(shape)[:, :, : self.length].transpose(back)
        return x.astype(like.dtype, copy=False)


def solve_all(pairs):
    """``factor.solve(v)`` of several ``(factor, v)`` at once.

    On the CPU, threads divide the pairs and, since items of a batch are independent,
    pieces of batches.
    """
    xp = namespace(pairs[0][1])
    if xp is not np:
        return _solve_on_device(xp, pairs)
    for factor, _ in pairs:  # computed once, not by two threads
        factor.plan(np)
    pieces = -(-2 * thread_count() // len(pairs))
    tasks = []
    for number, (factor, v) in enumerate(pairs):
        count = max(min(pieces, v.shape[0] // LEAST_ITEMS), 1)
        tasks += [(number, factor, part) for part in np.array_split(v, count)]
    with one_blas_thread:
        parts = parallel_map(lambda task: _solve_together(np, [task[1:]])[0], tasks)
    found: list[list] = [[] for _ in pairs]
    for (number, *_), part in zip(tasks, parts):
        found[number].append(part)
    return [part[0] if len(part) == 1 else np.concatenate(part) for part in found]


def _solve_on_device(xp, pairs):
    """All factors together; a real factor takes the parts of complex numbers."""
    if pairs[0][1].dtype.kind != "c" or pairs[0][0].dtype.kind == "c":
        return _solve_together(xp, pairs)
    parts = [(factor, xp.concatenate([v.real, v.imag])) for factor, v in pairs]
    found = _solve_together(xp, parts)
    return [
        (x[: len(v)] + 1j * x[len(v) :]).astype(v.dtype, copy=False)
        for x, (_, v) in zip(found, pairs)
    ]


def _solve_together(xp, pairs):
    """Solutions for pairs of factors of one dtype and arrays of one batch."""
    batch, dtype = pairs[0][1].shape[0], pairs[0][0].dtype
    if pairs[0][1].dtype.kind == "c" and dtype.kind != "c":
        dtype = np.result_type(dtype, np.complex64)
    ends = np.cumsum([factor._numbers(batch) for factor, _ in pairs]).tolist()
    z = xp.empty(ends[-1], dtype=dtype)
    parts = [z[start:stop] for start, stop in zip([0, *ends], ends)]
    for part, (factor, v) in zip(parts, pairs):
        factor._write(v, part)
    plans = [factor.plan(xp) for factor, _ in pairs]
    kernels.load("sweeps", xp).solve(plans, batch, z)
    return [factor._read(part, v) for part, (factor, v) in zip(parts, pairs)]


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


def _tolerance(dtype):
    eps = np.finfo(dtype).eps
    return eps / 8 if eps > 1e-10 else 8 * eps
