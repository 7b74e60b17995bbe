"""Circulant preconditioning: the layer inverted on a torus."""

from __future__ import annotations

from .._core.declarations import Use
from .._inverse.border_correction import BorderCorrectedCirculant
from .._inverse.storage import application_numbers
from ._base import preconditioner
from ._gram import GramPreconditioner


@preconditioner("circulant")
class Circulant(GramPreconditioner):
    """The inverse of the layer's interior on a torus, by FFT.

    At each frequency the channels (with stride also the phases) are coupled by one
    small matrix, which is inverted: T. Chan's idea for Toeplitz matrices (SIAM J. Sci.
    Stat. Comput. 9, 1988) with blocks. It is Hermitian positive definite. It ignores
    the borders, whose effect the Krylov method has to correct; see `Schwarz` for a
    correction.

    Parameters
    ----------
    op : ConvLinearOperator
    damp : float
        Approximates the inverse of ``A^H A + damp^2 I``.
    equations : {"normal", "hermitian", "plain"}
        See Notes.
    shifted : bool
        If the matrix is singular (for example that of a layer that sums to zero, on the
        torus of its interior), add a small multiple of its size to the diagonal before
        inverting, as `convinv.solve` does with a preconditioner by name. The attribute
        ``shift`` is the number added.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix of a frequency is singular to working precision (with `shifted`
        only if the kernel is zero), or not positive definite with "hermitian".

    Notes
    -----
    "normal" approximates ``(A^H A + damp^2 I)^-1``; "hermitian" and "plain"
    approximate ``A^-1`` of a square layer, Hermitian positive definite or not.

    An application costs one FFT and its inverse, of the input (of the output, twice,
    for wide layers), and stores ``C^2`` complex numbers per frequency, C being the
    channels of a group.

    Examples
    --------
    >>> import numpy as np
    >>> import convinv
    >>> kernel = np.random.default_rng(0).standard_normal((8, 3, 3, 3))
    >>> op = convinv.ConvLinearOperator(kernel, (3, 32, 32))
    >>> b = op.forward(np.ones((3, 32, 32)))
    >>> M = convinv.precondition.Circulant(op)
    >>> convinv.solve(op, b, "cgls", preconditioner=M).success
    True
    """

    SHARE = 1e-4  # with a smaller shift the borders would converge slowly

    @staticmethod
    def numbers(use: Use) -> float:
        """Numbers that an application holds for an item of a batch."""
        return application_numbers(use, 2)

    def _make(self, gram, damp, dtype):
        return BorderCorrectedCirculant(
            gram, damp=damp, xp=self.xp, dtype=dtype, bands=False
        )
