"""The neighborhood of a matrix that contains no singular matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from .._core.arrays import to_numpy
from .._core.blas_threads import one_blas_thread
from .._core.typing import AnyArray, ArrayInput
from .._linalg.matrix_norms import named_norm, same_library, stack
from ._certify import certify
from ._neumann import LocalInverse
from ._picture import picture

EXACT = 20  # the largest matrices whose sign vectors are all tried
CHUNK = 1 << 14  # sign vectors at once
STARTS = 64  # starts of the search among them if they are too many


class FeasibleRegion:
    """The matrices around `A0` that certainly have an inverse.

    Parameters
    ----------
    A0 : array_like, shape (n, n)
        A nonsingular matrix, on the host.

    Attributes
    ----------
    exact : bool
        Whether ``distance("max")`` is the distance itself, as for real matrices up to
        20 x 20; if not, it is a lower bound.

    Raises
    ------
    ValueError
        If A0 is not one square matrix.
    numpy.linalg.LinAlgError
        If A0 is singular to working precision.

    Notes
    -----
    The distance to the nearest singular matrix in an operator norm is ``1 / ||A0^-1||``
    in the norm for the inverse's direction (Gastinel; Kahan 1966). The largest entry is
    the norm from ``l1`` to ``linf``, so that this distance is ``1 / max s^T A0^-1 t``
    over all vectors s, t of signs (Rohn, Linear Algebra Appl. 126, 1989). Finding it is
    NP-hard (Poljak and Rohn 1993): up to n = 20, ``2^(n - 1)`` products are computed,
    which takes at most half a second; for larger n the better of ``1 / sum |A0^-1|``
    and ``s_n / n`` is used.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.local_inverse import FeasibleRegion
    >>> region = FeasibleRegion(np.diag([2.0, 1.0]))
    >>> region.distance("spectral"), round(region.distance("max"), 4)
    (1.0, 0.6667)
    >>> bool(region.contains(region.A0 + 0.6)), bool(region.contains(region.A0 + 0.7))
    (True, False)
    """

    def __init__(self, A0: ArrayInput):
        self.A0 = to_numpy(stack(A0, "A0"))
        if self.A0.ndim != 2:
            raise ValueError(f"A0 must have shape (n, n), got {self.A0.shape}")
        self.inverse = LocalInverse(self.A0).inverse
        self._left, self._values, self._right = np.linalg.svd(self.A0)
        n = len(self.A0)
        self.exact = n <= EXACT and not np.iscomplexobj(self.A0)
        self._signs = _largest_signs(self.inverse) if self.exact else None

    def __repr__(self) -> str:
        n = len(self.A0)
        return (
            f"<FeasibleRegion of a {n} x {n} matrix: distance "
            f"{self.distance('spectral'):.4g}, box {self.box():.4g}>"
        )

    def distance(
        self, norm: Literal["spectral", "frobenius", "max"] = "spectral"
    ) -> float:
        """The distance of A0 to the nearest singular matrix.

        Parameters
        ----------
        norm : {"spectral", "frobenius", "max"}
            For the 2-norm and the Frobenius norm the distance is the smallest singular
            value. "max" is the largest entry, see `exact`.

        Returns
        -------
        float
        """
        if named_norm(norm) != "max":
            return float(self._values[-1])
        if self._signs is not None:
            left, right = self._signs
            return float(1 / (left @ self.inverse @ right))
        entries = float(1 / np.abs(self.inverse).sum())
        return max(entries, float(self._values[-1]) / len(self.A0))

    def box(self, margin: float = 0.0) -> float:
        """The largest half width of a box around A0 that avoids singular matrices.

        Every matrix with ``|a_ij - a0_ij| < box(margin)`` has a distance of at least
        `margin`, in the 2-norm, from the singular matrices. Exact for ``margin=0`` if
        `exact`; with a margin the better of ``distance("max") - margin`` and
        ``(s_n - margin) / n``, since entries up to d give a 2-norm up to ``n d``. 0 if
        there is no such box.

        Parameters
        ----------
        margin : float

        Returns
        -------
        float
        """
        if not 0 <= margin < float("inf"):
            raise ValueError(f"margin must be finite and not negative, got {margin!r}")
        by_entries = self.distance("max") - margin
        by_norm = (float(self._values[-1]) - margin) / len(self.A0)
        return max(by_entries, by_norm, 0.0)

    def contains(self, A: ArrayInput, half_width: float | None = None) -> AnyArray:
        """Whether each A of a stack (..., n, n) is in a box, by default the largest."""
        D = self._difference(A)
        if half_width is None:
            return np.abs(D).max(axis=(-2, -1)) < self.box()
        return np.abs(D).max(axis=(-2, -1)) <= half_width

    def proves(self, A: ArrayInput) -> AnyArray:
        """Whether ``||I - A0^-1 A|| < 1`` is certain, so that A has an inverse.

        By `convinv.local_inverse.certify`, for each matrix of a stack (..., n, n).
        Where it is true, the series of `LocalInverse` converges. False does not mean
        that A is singular.
        """
        return certify(A, self.inverse).proven

    def nearest_singular(
        self, norm: Literal["spectral", "frobenius", "max"] = "spectral"
    ) -> np.ndarray:
        """A singular matrix at ``distance(norm)``.

        If that is only a lower bound, the nearest one that a search finds.
        """
        if named_norm(norm) != "max":
            step = np.outer(self._left[:, -1], self._right[-1])
            return self.A0 - self._values[-1] * step
        signs = self._signs
        if signs is None:
            signs = _search_signs(self.inverse)
        left, right = signs
        # det(A0 - d y z^H) = det A0 (1 - d z^H A0^-1 y)
        return self.A0 - np.outer(right, left) / (left @ self.inverse @ right)

    def picture(
        self,
        entries: Sequence[tuple[int, int]] = ((0, 0), (1, 1)),
        *,
        span: float | None = None,
        margin: float = 0.0,
        size: int = 201,
        ax: Any = None,
    ) -> Any:
        """Draw the singular set, its neighborhood and the box on a plane through A0.

        Parameters
        ----------
        entries : pair of (int, int)
            The two entries that vary; the others are A0's.
        span : float, optional
            The range of the two entries, by default four times the distance to
            singularity.
        margin : float
            Matrices closer than this to a singular one are shaded.
        size : int
            Points along each axis.
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        return picture(self, entries, span, margin, size, ax)

    def _difference(self, A):
        A = stack(A, "A")
        same_library(self.A0, A, "A")
        return A - self.A0


def _largest_signs(X):
    """The signs ``(s, t)`` of the largest ``s^T X t``; t and -t need only one trial."""
    n = len(X)
    best, found = -1.0, None
    powers = np.arange(n - 1)
    for start in range(0, 1 << (n - 1), CHUNK):
        code = np.arange(start, min(start + CHUNK, 1 << (n - 1)))
        signs = np.ones((len(code), n), dtype=X.dtype)
        signs[:, 1:] -= 2 * ((code[:, None] >> powers) & 1)
        with one_blas_thread:
            sums = np.abs(signs @ X.T).sum(axis=1)
        k = int(np.argmax(sums))
        if sums[k] > best:
            best, found = sums[k], signs[k]
    return np.where(X @ found >= 0, 1.0, -1.0).astype(X.dtype), found


def _search_signs(X):
    """Unit numbers ``(s, t)`` with a large ``s^T X t``, by an alternating search."""
    rng = np.random.default_rng(0)
    t = _phases(rng.standard_normal((STARTS, len(X))).astype(X.dtype))
    for _ in range(100):
        s = _phases(t @ X.T).conj()
        before, t = t, _phases(s @ X).conj()
        if np.allclose(before, t):
            break
    values = np.abs(np.einsum("ki,ij,kj->k", s, X, t))
    best = int(np.argmax(values))
    return s[best], t[best]


def _phases(x):
    size = np.abs(x)
    return np.where(size > 0, x / np.where(size > 0, size, 1), 1).astype(x.dtype)
