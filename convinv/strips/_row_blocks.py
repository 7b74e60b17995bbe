"""Blocks of rows of an operator, and steps of block Kaczmarz with them."""

import hashlib
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from .._core.arrays import to_numpy
from .._linalg.pseudoinverse import pseudoinverse
from .._linalg.sparse_pseudoinverse import entries, pays, wide_inverse
from ..operators._sparse_rows import sparse_rows

MEMORY = 2**30  # most bytes of the blocks' matrices and inverses


class RowBlocks:
    """Blocks of rows, each with its trimmed matrix and the pseudoinverse of it.

    A block T changes ``x += A_T^+ (b_T - A_T x)`` on the columns in which A_T is not
    zero; blocks with equal trimmed matrices share them. The operator's matrix is never
    formed, only the rows of one block at a time. Large blocks that are sparse, far
    wider than high and well-conditioned stay sparse: see `wide_inverse`.

    Parameters
    ----------
    op : ConvLinearOperator or GeneralOperator
        A GeneralOperator needs a matrix.
    rows : list of int arrays
        See `row_lists`, which checks them.
    factorization, rcond
        See `pseudoinverse`. With "svd" no block stays sparse.
    damp : float
        The blocks are those of ``[A, damp I]``: see `step`.
    normalize : bool
        Scale rows to norm one. This changes the blocks' least-squares solutions.
    dtype : dtype, optional
        Precision of the stored matrices, by default double; they are computed in
        double.
    xp : module
        Library of the arrays to work on.
    memory : float
        Limit in bytes of the matrices and inverses.

    Attributes
    ----------
    shape : tuple of int
        ``(m, n)`` of the operator.
    dtype : numpy.dtype
    columns : list of int arrays
        Those of every block.
    labels : list of int
        The number of the matrix of every block.
    ranks : list of int
        Of every block.
    nbytes : int
        Of all matrices and inverses.
    used : tuple of str
        The factorizations that were used.

    Raises
    ------
    ValueError
        If they would need more than `memory`: before any of them is computed, or when a
        block turns out not to stay sparse.
    """

    def __init__(
        self,
        op,
        rows,
        *,
        factorization="qr",
        damp=0.0,
        rcond=None,
        normalize=False,
        dtype=None,
        xp=np,
        memory=MEMORY,
    ):
        read = RowReader(op)
        dtype = np.result_type(op.dtype, np.float64) if dtype is None else dtype
        self.shape, self.dtype, self.damp = op.shape, np.dtype(dtype), damp
        self.labels, firsts, columns, sizes = _classes(read, rows)
        slim = [xp is np and factorization != "svd" and pays(*size) for size in sizes]
        budget = _Budget(memory, self.dtype.itemsize, len(sizes), len(rows))
        budget.keep(
            sum(entries(*z) if is_slim else _all(*z) for z, is_slim in zip(sizes, slim))
        )
        self.rows = list(map(xp.asarray, rows))
        self.columns = list(map(xp.asarray, columns))
        made, options = [], (factorization, damp, rcond, normalize)
        for first, size, is_slim in zip(firsts, sizes, slim):
            A, _ = read(rows[first])
            found = _slim(A, damp, rcond, dtype) if is_slim else None
            if found is None:
                if is_slim:
                    budget.keep(_all(*size) - entries(*size))
                found = _dense(A, options, dtype, xp)
            made.append(found)
        self.nbytes = budget.nbytes
        self.matrices, self.inverses, ranks, used = zip(*made)
        self.ranks = [ranks[label] for label in self.labels]
        self.used = tuple(sorted(set(used)))

    def __len__(self):
        return len(self.rows)

    def step(self, x, rest, block):
        """Solve the equations of one block, in place.

        x is (B, n) and `rest` (B, m), or None for zeros. Without damp `rest` is b. With
        damp it is ``b - damp z``, where z are the unknowns of ``damp I``, which change
        with x; it is b at first, and overwritten.
        """
        rows, columns = self.rows[block], self.columns[block]
        A = self.matrices[self.labels[block]]
        old = x[:, columns]
        part = -(old @ A.T) if rest is None else rest[:, rows] - old @ A.T
        new = old + self.inverses[self.labels[block]](part)
        x[:, columns] = new
        if self.damp:  # the block's equations hold now
            rest[:, rows] = new @ A.T

    def sweep(self, x, rest=None):
        """All blocks in order, in place; returns x."""
        for block in range(len(self)):
            self.step(x, rest, block)
        return x

    def projections(self, x):
        """The sum of the projections of x, shape (B, n), on the blocks' row spaces."""
        total = np.zeros_like(x)
        for label, columns in zip(self.labels, self.columns):
            part = x[:, columns] @ self.matrices[label].T
            total[:, columns] += self.inverses[label](part)
        return total

    def bases(self):
        """Orthonormal bases of the row spaces of the different matrices, as rows."""
        ranks = dict(zip(self.labels, self.ranks))
        matrices = (A.toarray() if sparse.issparse(A) else A for A in self.matrices)
        return [
            np.linalg.svd(A, full_matrices=False)[2][: ranks[label]]
            for label, A in enumerate(matrices)
        ]


class RowReader:
    """Reads blocks of rows of an operator without their zero columns.

    ``read(rows)`` returns ``(matrix, columns)``: the matrix in double precision, dense
    or a csr_array like the operator's (a convolution: csr), and its columns in
    increasing order.
    """

    def __init__(self, op):
        if op.is_convolution:
            weights = to_numpy(op.weights)
            self.dtype = np.result_type(weights.dtype, np.float64)
            weights = weights.astype(self.dtype)
            self.take = lambda rows: sparse_rows(op.geometry, weights, rows)
        else:
            self.dtype = np.result_type(op.dtype, np.float64)
            matrix = op.matrix
            is_sparse = sparse.issparse(matrix)
            matrix = sparse.csr_array(matrix) if is_sparse else np.asarray(matrix)
            self.take = lambda rows: matrix[rows].astype(self.dtype)

    def __call__(self, rows):
        block = self.take(rows)
        if not sparse.issparse(block):
            columns = np.flatnonzero(block.any(axis=0))
            return block[:, columns], columns
        block.sum_duplicates()
        block.eliminate_zeros()
        columns, at = np.unique(block.indices, return_inverse=True)
        shape = (len(rows), columns.size)
        return sparse.csr_array((block.data, at, block.indptr), shape=shape), columns


def _classes(read, rows):
    """(label of each block, a block of each class, columns of each, sizes).

    A size is the shape of a class's matrix and the number of its stored entries.
    """
    numbers: dict = {}
    labels, firsts, columns, sizes = [], [], [], []
    for block, chosen in enumerate(rows):
        matrix, reached = read(chosen)
        parts = (matrix,)
        if sparse.issparse(matrix):
            parts = (matrix.indptr, matrix.indices, matrix.data)
        digest = hashlib.blake2b(repr(matrix.shape).encode())
        for part in parts:
            digest.update(np.ascontiguousarray(part))
        label = numbers.setdefault(digest.digest(), len(numbers))
        if label == len(firsts):
            firsts.append(block)
            sizes.append((matrix.shape, matrix.nnz if len(parts) > 1 else matrix.size))
        labels.append(label)
        columns.append(reached)
    return labels, firsts, columns, sizes


class _Budget:
    """Counts the stored bytes, up to a limit."""

    def __init__(self, memory, itemsize, matrices, blocks):
        self.memory, self.itemsize, self.nbytes = memory, itemsize, 0
        self.what = f"the {matrices} different matrices and inverses of {blocks} blocks"

    def keep(self, numbers):
        self.nbytes += numbers * self.itemsize
        if self.nbytes > self.memory:
            raise ValueError(
                f"{self.what} need {self.nbytes / 2**20:.0f} MiB, more than the memory "
                f"of {self.memory / 2**20:.0f} MiB that is allowed; take more blocks, "
                "or strips"
            )


def _all(shape, stored):
    """The entries of a dense matrix and its inverse."""
    return 2 * shape[0] * shape[1]


def _slim(A, damp, rcond, dtype):
    """``(matrix, inverse, rank, factorization)`` of a block that stays sparse.

    None if that is not safe.
    """
    inverse = wide_inverse(A, damp, rcond, dtype)
    if inverse is None:
        return None
    return A.astype(dtype), inverse, A.shape[0], "normal"


def _dense(A, options, dtype, xp):
    """The same for any block, as a dense matrix."""
    A = A.toarray() if sparse.issparse(A) else A
    P, rank, name = _inverse(A, *options)
    inverse = _DenseInverse(xp.asarray(P.astype(dtype)))
    return xp.asarray(A.astype(dtype)), inverse, rank, name


class _DenseInverse(NamedTuple):
    P: Any

    def __call__(self, part):
        """The product with every row of `part`."""
        return part @ self.P.T


def _inverse(A, factorization, damp, rcond, normalize):
    """`pseudoinverse` of A; with `normalize`, of A with rows of norm one, for b of
    A."""
    if not normalize or damp:  # [A, damp I] has full row rank: row norms have no effect
        return pseudoinverse(A, factorization, damp, rcond)
    norms = np.linalg.norm(A, axis=1)
    scale = 1 / np.where(norms > 0, norms, 1)
    found = pseudoinverse(A * scale[:, None], factorization, 0.0, rcond)
    return found._replace(P=found.P * scale)
