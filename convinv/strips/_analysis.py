"""The operator of one sweep of block Kaczmarz, and its measures."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator, gmres

from .._core.blas_threads import one_blas_thread
from .._core.result import ConvergenceWarning
from .._core.typing import ArrayInput, FloatIfAsked, OperatorInput, Seed
from .._core.validation import integer
from ..operators._foreign import as_operator
from ._arrangement import row_lists
from ._measures import NULL, Measure, estimated, exactly, span
from ._row_blocks import MEMORY, RowBlocks

EXACT = 3000  # unknowns up to which the matrix of a sweep is formed


@dataclass(frozen=True, repr=False, eq=False)
class SweepAnalysis:
    """The analysis of a sweep over blocks of rows; see `sweep_analysis`.

    One sweep of ``x <- x + A_T^+ (b_T - A_T x)``, over the blocks T in order, is the
    map ``x <- K x + B``. With P_T the orthogonal projection onto the row space of A_T,
    K is the product of the ``I - P_T``, the last one leftmost.

    Attributes
    ----------
    arrangement : str
        "strip", ..., or "given" for row lists.
    input_shape, output_shape : tuple of int
        Of the operator.
    strips : int
        Number of blocks.
    ranks : tuple of int
        Of the blocks.
    exact : bool
        Whether the matrix of the sweep was formed. If not, measures are estimates.
    idempotency : Measure
        ``||K - K^2||_F``: 0 if a second sweep changes nothing.
    distance : Measure
        ``||K - K_perp||_F^2`` with ``K_perp = I - sum P_T``: 0 if the row spaces are
        orthogonal to each other (D in the paper).
    spectral_radius : Measure
        Of K on the row space of the blocks: the factor by which a sweep shrinks errors
        in the long run. Below 1 for all blocks. The error of an estimate is unknown.
    rank : int or None
        Dimension of that row space; None if not exact.
    I_c, I_d : float or None
        For two blocks the paper's indicators. With orthonormal bases V_1 and V_2 of the
        row spaces (right singular vectors) and ``G = C C^H``, ``C = V_2^H V_1``: the
        largest sum of absolute values in a row of G, and the smallest difference of a
        diagonal entry and the other absolute values in its row. They bound the
        eigenvalues of G, squares of cosines, from both sides (Gershgorin), and depend
        on the bases. The paper defines them for two blocks only; for more, these are
        the largest I_c and the largest I_d of all pairs. None if not exact.
    sweep_matrix : ndarray, shape (n, n), or None
        K; None if not exact.
    blocks : RowBlocks
        The blocks' matrices and pseudoinverses, as used by sweeps.
    """

    arrangement: str
    input_shape: tuple
    output_shape: tuple
    strips: int
    ranks: tuple
    exact: bool
    idempotency: Measure
    distance: Measure
    spectral_radius: Measure
    rank: int | None
    I_c: FloatIfAsked
    I_d: FloatIfAsked
    sweep_matrix: np.ndarray | None
    blocks: RowBlocks

    @property
    def shape(self) -> tuple[int, int]:
        """``(m, n)``."""
        return math.prod(self.output_shape), math.prod(self.input_shape)

    def fixed_point(self, b: ArrayInput) -> np.ndarray:
        """The limit of the sweeps from ``x = 0``, ``(I - K)^+ B``.

        For consistent data this is ``A^+ b``, otherwise in general another point.

        Parameters
        ----------
        b : array_like
            Of shape ``(..., *op.output_shape)`` or ``(..., m)``.

        Returns
        -------
        ndarray
            Of shape ``(..., *op.input_shape)`` or ``(..., n)``, in double precision.

        Raises
        ------
        ValueError
            If b has another shape.

        Warns
        -----
        ConvergenceWarning
            If GMRES, which computes the limit if K is not known, did not converge.
        """
        taken, given = self.output_shape, self.input_shape
        b = np.asarray(b)
        shaped = b.shape[max(b.ndim - len(taken), 0) :] == taken
        if not shaped and b.shape[-1:] != (self.shape[0],):
            raise ValueError(
                f"b must have shape (..., {', '.join(map(str, taken))}) or "
                f"(..., {self.shape[0]}), got {b.shape}"
            )
        batch = b.shape[: b.ndim - (len(taken) if shaped else 1)]
        dtype = np.result_type(self.blocks.dtype, b.dtype, np.float64)
        flat = b.reshape(math.prod(batch), -1).astype(dtype)
        right = self.blocks.sweep(np.zeros((len(flat), self.shape[1]), dtype), flat)
        x = self._solve_exactly(right) if self.exact else self._solve(right)
        return x.reshape(*batch, *(given if shaped else self.shape[1:]))

    def _solve_exactly(self, right):
        matrix = np.eye(self.shape[1]) - self.sweep_matrix
        if self.rank == self.shape[1]:
            return np.linalg.solve(matrix, right.T).T
        return np.linalg.lstsq(matrix, right.T, rcond=NULL)[0].T

    def _solve(self, right):
        """By GMRES, which stays in the row space, where ``I - K`` has an inverse."""
        n = self.shape[1]

        def apply(v):
            v = v.reshape(1, n)
            return (v - self.blocks.sweep(v.copy())).ravel()

        matrix, x = LinearOperator((n, n), apply, dtype=right.dtype), []
        for item in right:
            found, failed = gmres(matrix, item, rtol=1e-12, restart=50, maxiter=40)
            if failed:
                warnings.warn(
                    "GMRES did not reach the fixed point of the sweeps",
                    ConvergenceWarning,
                    stacklevel=3,
                )
            x.append(found)
        return np.array(x)

    def __repr__(self) -> str:
        m, n = self.shape
        name = {"given": "as given"}.get(self.arrangement, self.arrangement)
        how = "exact" if self.exact else "estimates"
        on = "" if self.rank is None else f" on a row space of dimension {self.rank}"
        lines = [
            f"Sweep over {self.strips} blocks ({name}) of {m} x {n} ({how})",
            f"  ranks:              {span(self.ranks)}",
            f"  ||K - K^2||_F:      {self.idempotency}",
            f"  ||K - K_perp||_F^2: {self.distance}",
            f"  spectral radius:    {self.spectral_radius}{on}",
        ]
        if self.I_c is not None:
            of = "" if self.strips == 2 else ", the largest of all pairs"
            lines.append(f"  I_c, I_d:           {self.I_c:.3g}, {self.I_d:.3g}{of}")
        return "\n".join(lines)


def sweep_analysis(
    op: OperatorInput,
    blocks: str | Sequence[ArrayInput] = "strip",
    *,
    h_b: int | None = None,
    strips: int | None = None,
    exact: bool | None = None,
    samples: int = 32,
    rng: Seed = None,
    memory: float = MEMORY,
) -> SweepAnalysis:
    """Analyze a sweep of block Kaczmarz over blocks of an operator's rows.

    Parameters
    ----------
    op : ConvLinearOperator, sparse or dense matrix
        Of either library; the kernel is copied to the host.
    blocks : str or list of int arrays
        An arrangement, or the rows of every block. They need not cover all rows.
    h_b, strips : int, optional
        Sizes of an arrangement, as for `arrangement`.
    exact : bool, optional
        Whether to form the sweep's matrix K. By default for up to 3000 unknowns.
    samples : int
        If not exact, the number of random vectors for the estimates: the mean of
        ``||M g||^2`` over standard normal g estimates ``||M||_F^2`` (Hutchinson), with
        a standard error.
    rng : None, int or numpy.random.Generator
        Source of random permutations and of these vectors.
    memory : float
        Limit in bytes of the blocks' matrices and pseudoinverses.

    Returns
    -------
    SweepAnalysis It can be printed.

    Raises
    ------
    TypeError, ValueError
        If the arguments don't fit, or the blocks don't fit `memory`.

    Notes
    -----
    The cost is a factorization of each different block, a sweep of n vectors (`samples`
    if not exact) and some more, and if exact the n eigenvalues of K. Then the spectral
    radius is the largest eigenvalue that is not within 1e-10 of one, since those belong
    to the null space of A; otherwise it comes from a power iteration in the row space.
    The measures are those of "Fast and scalable inversion of convolution layers",
    section 5 and appendix E.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator
    >>> from convinv.strips import sweep_analysis
    >>> kernel = np.random.default_rng(0).standard_normal((8, 1, 3, 3))
    >>> op = ConvLinearOperator(kernel, (1, 10, 10))
    >>> found = sweep_analysis(op)  # tall strips: K is zero
    >>> found.strips, set(found.ranks), found.idempotency.value < 1e-10
    (8, {30}, True)
    >>> round(found.distance.value)  # but the strips are not orthogonal
    260
    """
    op = as_operator(op)
    if not op.has_rows:
        raise TypeError(
            "op must be a ConvLinearOperator or a sparse or dense matrix of NumPy or "
            "SciPy, got an operator that only has products"
        )
    samples = integer(samples, "samples", 2)
    rng = np.random.default_rng(rng)
    names = {"kind": "blocks", "strips": "strips"}
    rows = row_lists(op, blocks, h_b=h_b, strips=strips, rng=rng, names=names)
    exact = op.shape[1] <= EXACT if exact is None else bool(exact)
    with one_blas_thread:
        engine = RowBlocks(op, rows, memory=memory)
        measured = exactly(engine) if exact else estimated(engine, samples, rng)
    return SweepAnalysis(
        arrangement=blocks if isinstance(blocks, str) else "given",
        input_shape=op.input_shape,
        output_shape=op.output_shape,
        strips=len(rows),
        ranks=tuple(engine.ranks),
        exact=exact,
        **measured,
        blocks=engine,
    )
