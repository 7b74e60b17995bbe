"""RBK: block Kaczmarz with blocks drawn at random."""

import contextlib
from typing import Literal

import numpy as np

from .._core.blas_threads import one_blas_thread
from .._core.declarations import Products, Storage
from .._core.options import Fraction, Positive
from .._linalg.pseudoinverse import Factorization
from ..operators._convolution import ConvLinearOperator
from ..strips._arrangement import row_lists
from ..strips._row_blocks import MEMORY, RowBlocks
from ._block_iteration import iterate
from ._registry import solver
from ._surrogate import Horizon

SMALL = 2**24  # multiplications of a step that one thread makes faster


@solver(
    "rbk",
    needs_rows=True,
    consistent_only=True,
    start_with_damp=False,
    rate="blocks",
    storage=Storage(m=3, n=4, set_up="the inverses of the strips or other blocks"),
    products=Products(besides="the blocks"),
    by_setting={("order", "cyclic"): {"limits": ()}},
    variants={"cyclic": {"order": "cyclic", "partition": "interleaved"}},
    limits=("damped torus",),  # more than 5000 iterations
)
def rbk(
    problem,
    monitor,
    *,
    partition=None,
    blocks: int | None = None,
    order: Literal["random", "cyclic"] = "random",
    normalize: bool = False,
    factorization: Factorization = "qr",
    rcond: Fraction | None = None,
    memory: Positive = MEMORY,
):
    """Randomized block Kaczmarz.

    Needell and Tropp (2014): ``x += A_T^+ (b_T - A_T x)`` with a block of rows T that
    is drawn from a partition, each with the same probability; with ``order="cyclic"``
    the blocks take turns, as in Elfving's block Kaczmarz (1980). An iteration is as
    many steps as there are blocks. On consistent systems it converges linearly to the
    solution of least norm.

    `partition` is an arrangement of `convinv.strips.arrangement` ("strip",
    "interleaved", "standard" or "randomized") of as many blocks as `blocks` says, or a
    list of arrays of row numbers that holds every row. The default is the default
    strips of a convolution, and "randomized" for a matrix. Pseudoinverses are made of
    every different block at the start by `factorization` ("qr", "svd" or "normal",
    singular values below `rcond` times the largest count as zero), strips mostly share
    one; those that need more than `memory` bytes together are refused with ValueError.
    Unless it is "svd", large blocks that are sparse, far wider than high and
    well-conditioned stay sparse, with the inverse of their Gram matrix ("normal").
    ``normalize=True`` scales rows to norm one first, as the theory has them: it changes
    what blocks with more rows than unknowns make of data that contradict each other.

    On an inconsistent system the blocks disagree and x keeps moving about the
    solution: the method ends when the residual no longer falls. With `damp` the blocks
    are those of ``[A, damp I]``, a consistent system, and x converges to the damped
    solution, slowly where damp is small; a starting point is of no use then.
    """
    rows = _partition(problem, partition, blocks)
    options = {
        "factorization": factorization,
        "rcond": rcond,
        "normalize": normalize,
        "memory": memory,
    }
    with _threads(problem, rows):
        return _solve(problem, monitor, rows, order, options)


def _solve(problem, monitor, rows, order, options):
    blocks = RowBlocks(
        problem.op,
        rows,
        damp=problem.damp,
        dtype=problem.b.dtype,
        xp=problem.xp,
        **options,
    )
    # one number of the generator for each start, however many iterations it takes
    rng = np.random.default_rng(problem.rng.integers(2**63))
    turns = _Turns(blocks, rng if order == "random" else None)
    horizon = Horizon(problem, monitor)

    def ended(x, change, residual, normal):
        if not problem.damp:  # a damped system is consistent
            horizon(residual)

    x = iterate(problem, monitor, turns, ended)
    return x, {**horizon.notes(), "blocks": len(rows), "factorization": blocks.used}


class _Turns:
    """As many steps as there are blocks, in order or drawn from `rng`."""

    def __init__(self, blocks, rng):
        self.blocks, self.rng, self.rest = blocks, rng, None

    def load(self, b):
        self.rest = b

    def __call__(self, x):
        count = len(self.blocks)
        order = self.rng.integers(count, size=count) if self.rng else range(count)
        for block in order:
            self.blocks.step(x, self.rest, block)
        return x


def _threads(problem, rows):
    """One BLAS thread where products are small; see `convinv._core.blas_threads`."""
    height = max(map(len, rows))
    small = height * problem.shape[1] * problem.batch <= SMALL
    return one_blas_thread if small else contextlib.nullcontext()


def _partition(problem, partition, blocks):
    """The row lists, in which every row has to be."""
    op = problem.op
    if partition is None:
        strips = isinstance(op, ConvLinearOperator)
        partition = "strip" if strips else "randomized"
    names = {"kind": "partition", "strips": "blocks"}
    rows = row_lists(op, partition, strips=blocks, rng=problem.rng, names=names)
    missing = op.shape[0] - np.unique(np.concatenate(rows)).size
    if missing:
        raise ValueError(
            f"partition must hold every row, but {missing} of {op.shape[0]} are in no "
            "block"
        )
    return rows
