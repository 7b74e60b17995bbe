"""Circulant preconditioning: the layer inverted on a torus."""

from .._tori import NestedTori
from ._gram import GramPreconditioner


class Circulant(GramPreconditioner):
    """The inverse of the layer's interior on a torus, by FFT.

    At each frequency the channels (with stride also the phases) are coupled by one
    small matrix, which is inverted: T. Chan's idea for Toeplitz matrices (SIAM J. Sci.
    Stat. Comput. 9, 1988) with blocks. It is Hermitian positive definite. What happens
    at the borders is left to the Krylov method, see `Schwarz` for the correction.

    Parameters
    ----------
    op : ConvLinearOperator
    damp : float
        Approximates the inverse of ``A^H A + damp^2 I``.
    equations : {"normal", "hermitian", "plain"}
        See Notes.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix of a frequency is singular.

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

    def _make(self, gram):
        return NestedTori(
            gram, damp=self.damp, xp=self.xp, dtype=self.dtype, bands=False
        )
