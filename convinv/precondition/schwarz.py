"""The circulant preconditioner, corrected along the borders."""

from __future__ import annotations

from typing import Any

from .._core.declarations import Use
from .._core.typing import Equations, OperatorInput
from .._inverse.border_correction import BorderCorrectedCirculant, check_depth
from .._inverse.gram import is_banded
from .._inverse.storage import application_numbers
from ._base import preconditioner
from ._gram import GramPreconditioner

SYMMETRIC = 4  # vectors more that its stages before and after the interior hold


@preconditioner("schwarz")
class Schwarz(GramPreconditioner):
    """The layer inverted by FFT, and again on bands along its borders.

    The residual of a torus's inverse lies within a kernel's reach of the borders, and
    the inverse of ``N = A^H A + damp^2 I`` decays geometrically from there: bands of
    `depth` cells, each inverted exactly, remove it. The stages are bands, interior,
    bands in reverse order, each on the residual of the previous ones: a symmetric
    multiplicative Schwarz method. Since the bands' solves are projections in the inner
    product of N, it is positive definite for every depth.

    Parameters
    ----------
    op : ConvLinearOperator
    damp : float
        Approximates the inverse of ``A^H A + damp^2 I``.
    equations : {"normal", "hermitian", "plain"}
        "normal" approximates ``(A^H A + damp^2 I)^-1``; "hermitian" and "plain"
        approximate ``A^-1`` of a square layer, Hermitian positive definite or not.
    depth : int, optional
        Depth of the bands, by default the distance at which the inverse of N has
        decayed to 3e-6.
    shifted : bool
        If the matrix is singular (for example that of a layer that sums to zero, on the
        torus of its interior), add a small multiple of its size to the diagonal before
        inverting, as `convinv.solve` does with a preconditioner by name. The attribute
        ``shift`` is the number added.

    Raises
    ------
    numpy.linalg.LinAlgError
        If N is singular in its interior or on a band to working precision (with
        `shifted` only if the kernel is zero).

    Notes
    -----
    An application costs an FFT and its inverse, two solves on every band, and two
    operator products on the image and on the bands. It stores ``C^2`` complex numbers
    per frequency, C being the channels of a group, and on each band some 20 to 50
    blocks of ``(C depth)^2``.

    Examples
    --------
    >>> import numpy as np
    >>> import convinv
    >>> from scipy.sparse.linalg import cg
    >>> kernel = np.random.default_rng(0).standard_normal((8, 3, 3, 3))
    >>> op = convinv.ConvLinearOperator(kernel, (3, 32, 32))
    >>> b = op.forward(np.ones((3, 32, 32)))
    >>> M = convinv.precondition.Schwarz(op)
    >>> x, info = cg(op.H @ op, op.H @ b.ravel(), M=M, rtol=1e-8, maxiter=10)
    >>> info, bool(np.allclose(x, 1))
    (0, True)
    """

    limits = ("rank-deficient", "both")  # N has no inverse

    def __init__(
        self,
        op: OperatorInput,
        damp: float = 0.0,
        equations: Equations = "normal",
        depth: int | None = None,
        shifted: bool = False,
    ):
        self.depth = check_depth(depth)
        super().__init__(op, damp, equations, shifted)

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self.op, self.damp, self.equations, self.depth, self.shifted)
        return type(self), arguments

    def _anew(self, equations):
        return type(self)(self.op, self.damp, equations, self.depth, shifted=True)

    @staticmethod
    def takes(op: OperatorInput) -> bool:
        """Whether the layer does not wrap around the image."""
        return is_banded(op)

    @staticmethod
    def numbers(use: Use) -> float:
        """Numbers that an application holds for an item of a batch."""
        # bands on either side of the interior, and residuals between them
        return application_numbers(use, 1) + SYMMETRIC * max(use.op.shape)

    def _make(self, gram, damp, dtype):
        return BorderCorrectedCirculant(
            gram, damp=damp, xp=self.xp, dtype=dtype, depth=self.depth
        )
