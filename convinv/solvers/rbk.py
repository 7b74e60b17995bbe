"""RBK: block Kaczmarz with blocks drawn at random."""

import contextlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .._core.blas_threads import one_blas_thread
from .._core.declarations import Products, Storage
from .._core.options import Fraction, Positive
from .._linalg.pseudoinverse import Factorization
from ..strips._arrangement import row_lists
from ..strips._row_blocks import MEMORY, RowBlocks
from ._block_sweeps import block_sweeps
from ._registry import solver
from ._stagnation import StagnationTest

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
    r"""Randomized block Kaczmarz.

    Block Kaczmarz on any partition of the rows, for consistent data or with `damp`.
    `strip` is the faster one on convolutions whose strips determine their unknowns.

    Parameters
    ----------
    partition : {"strip", "interleaved", "standard", "randomized"} or list, optional
        An arrangement of `convinv.strips.arrangement`, or a list of integer arrays of
        row numbers that holds every row. By default the default strips of a
        convolution, and "randomized" for a matrix.
    blocks : int, optional
        The number of blocks of a named partition, by default that of the arrangement.
    order : {"random", "cyclic"}
        Whether blocks are drawn, each with the same probability, or take turns.
    normalize : bool
        Whether rows are scaled to norm one first, as the theory has them. It makes a
        difference only in blocks with more rows than unknowns, whose data contradict
        each other.
    factorization : {"qr", "svd", "normal"}
        What pseudoinverses are made by; see `convinv.strips.pseudoinverse`. Unless it
        is "svd", large blocks that are sparse, far wider than high and well-conditioned
        stay sparse, with the inverse of their Gram matrix ("normal").
    rcond : float, optional
        Singular values of a block up to this times its largest one count as zero, at
        least 0 and below 1, by default those that rounding may have made.
    memory : float
        Bytes that the blocks' matrices and inverses may take together, by default 1
        GiB.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        ``blocks``, their number, and ``factorization``, a tuple of the factorizations
        that were used.

    Raises
    ------
    ValueError
        If the matrices and inverses would take more than `memory`, or a row is in no
        block or twice in one.

    Notes
    -----
    A step with block T is [1]_, [2]_

    .. math::

        x \leftarrow x + A_T^+ (b_T - A_T x) ,

    and an iteration is as many steps as there are blocks. One pseudoinverse is made at
    the start for every different block; most strips share one. All items of a batch
    have the same blocks, drawn from `rng`.

    - *Cost:* a step multiplies with the block's matrix and its inverse. One product
      with A and one with :math:`A^H` per iteration serve the stopping test.
    - *Storage:* three vectors of length m and four of length n beside b and x, and the
      blocks' inverses.
    - *Convergence:* on consistent data, with rows of norm one and p blocks whose
      largest singular value is at most :math:`\sqrt\beta`, the expected squared error
      of x falls in every random step by the factor :math:`1 - \sigma_{\min}^2 / (\beta
      p)`, with the smallest nonzero singular value of A [1]_. In cyclic order
      convergence is linear, too. The history holds the norm of the residual.
    - *Inconsistent systems:* the blocks contradict each other and x keeps moving about
      the solution. The method ends with the status STALLED when the residual falls by
      less than 1 % in 100 iterations.
    - *Singular systems:* x converges to the solution of least norm, or to the one
      nearest to x0.
    - *Damping:* the blocks are those of :math:`[A, \mathrm{damp}\, I]`, a consistent
      system, and x converges to the damped solution, slowly where `damp` is small. The
      sweeps start at zero then, and x0 makes no difference.
    - *Departures from* [1]_: rows are not normalized by default.

    References
    ----------
    .. [1] D. Needell and J. A. Tropp, "Paved with good intentions: Analysis of a
       randomized block Kaczmarz method", Linear Algebra and its Applications 441
       (2014), 199-221.
    .. [2] T. Elfving, "Block-iterative methods for consistent and inconsistent linear
       equations", Numerische Mathematik 35 (1980), 1-12.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "rbk", partition="standard", blocks=5, rng=0)
    >>> result.success, result.extra["blocks"]
    (True, 5)
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
    sweeps = _BlockSweeps(blocks, rng if order == "random" else None)
    stagnation = StagnationTest(problem, monitor)

    def stopping_test(x, change, residual, normal):
        if not problem.damp:  # a damped system is consistent
            stagnation(residual)

    x = block_sweeps(problem, monitor, sweeps, stopping_test)
    notes = {"blocks": len(rows), "factorization": blocks.used}
    return x, {**stagnation.notes(), **notes}


@dataclass
class _BlockSweeps:
    """As many steps as there are blocks, in order or drawn from `rng`.

    The theory draws blocks of rows of norm one. Unless `normalize` says so rows are
    left as they are: the projections on consistent blocks are the same.
    """

    blocks: RowBlocks
    rng: Any  # None for the order of the blocks
    rest: Any = None  # b, or with damp what is left of it

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
        strips = op.is_convolution
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
