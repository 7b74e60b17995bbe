"""The singular system of an unknown operator, from pairs of inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

from .._core.arrays import namespace, working_dtype
from .._core.blas_threads import one_blas_thread
from .._core.typing import AnyArray, ArrayInput, Orthonormalization
from .._core.validation import choice, integer
from ..operators._base import ShapedOperator
from ..operators._batches import shaped_product
from ..operators._singular_system import LearnedOperator
from ._diagnostics import SpectralDiagnostics, diagnose
from ._orthonormalize import METHODS, default_tol
from ._pairs import Side, blocks, library_arrays, times
from ._state import State


class SpectralOperator:
    """A linear operator F, learned from pairs ``(x_i, y_i = F x_i)`` alone.

    The images are orthonormalized, ``x_i = sum_j c_ij q_j``, and the same combinations
    of the data give ``p_j = F q_j``. The singular value decomposition of P then gives
    ``u_k, s_k, v_k`` with ``F u_k = s_k v_k``, both families orthonormal.

    `fit` learns from all pairs at once, `partial_fit` block by block.

    Parameters
    ----------
    orthonormalization : str
        "householder" (reflections, the most accurate), "gram-schmidt" (classical),
        "modified" (Gram-Schmidt), "pivoted" (in each step the image with the largest
        remainder) or "smooth" (classical with a smooth activation, see Notes).
    rank : int, optional
        Largest number of singular values to keep; the largest are kept.
    tol : float, optional
        An image depends on earlier ones if its remainder is at most `tol` times its
        norm ("pivoted": times the largest norm). Default ``20 sqrt(n) eps``, for
        "gram-schmidt" ``sqrt(eps)``. With "smooth" it is the width of the activation,
        by default ``eps^(1/3)``.
    weights : tuple of two arrays or None, optional
        Positive weights of the inner products of images and of data, with the shapes of
        an x and a y or broadcast to them: ``<a, b> = sum(w a conj(b))``.

    Attributes
    ----------
    u : array, shape (k, *x.shape)
        Singular functions in the space of images, orthonormal.
    s : array, shape (k,)
        Singular values, descending.
    v : array, shape (k, *y.shape)
        Singular functions in the space of data, orthonormal.
    input_shape, output_shape : tuple of int
    pairs : int
        Pairs seen.

    Raises
    ------
    ValueError
        If an option is wrong.

    Notes
    -----
    The class learns F restricted to the span of the images: with U the projection onto
    it, the singular values of ``F U``. Hence ``s_k <= sigma_k(F)``, and
    ``F^* v_k = s_k u_k`` up to a part orthogonal to all images (Rayleigh and Ritz).
    They are singular values of F itself if ``F^* F`` maps the span of the images to
    itself (in particular if the span is the whole space), but not in general: Theorem
    2.6 of [1]_, which claims it for all images, is wrong. `diagnostics` estimates the
    errors.

    Pairs whose image depends on others also contribute: P is the least-squares solution
    for all pairs, so that noise averages out, and the contradictions between the pairs
    give the level of the noise.

    The smooth activation divides the remainder v of an image x by
    ``sqrt(|v|^2 + (tol |x|)^2)`` instead of ``|v|``, the data likewise. Images that
    nearly depend on others get short basis vectors, u is no longer orthonormal, and
    predictions shrink along them: a `tol` of the size of the noise limits its
    amplification. Reconstructions of data from images in the span stay exact.

    N pairs take about ``(4 n + 6 m) N^2`` operations. Pairs are not kept: with r
    independent images among them, ``2 (n + m) r`` numbers are stored.

    References
    ----------
    .. [1] A. Aspri, L. Frischauf, O. Scherzer, "Spectral function space learning and
       numerical linear algebra networks for solving linear inverse problems".

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.learning import SpectralOperator
    >>> rng = np.random.default_rng(0)
    >>> F = rng.standard_normal((30, 8))
    >>> X = rng.standard_normal((20, 8))
    >>> learned = SpectralOperator.fit(X, X @ F.T)
    >>> bool(np.allclose(learned.s, np.linalg.svd(F)[1]))
    True
    >>> x = rng.standard_normal(8)
    >>> bool(np.allclose(learned.reconstruct(F @ x), x))
    True
    """

    def __init__(
        self,
        *,
        orthonormalization: Orthonormalization = "householder",
        rank: int | None = None,
        tol: float | None = None,
        weights: Sequence[Any] | None = None,
    ):
        choice(orthonormalization, "orthonormalization", METHODS)
        if tol is not None and not 0 <= tol < 1:
            raise ValueError(f"tol must be at least 0 and less than 1, got {tol!r}")
        if weights is not None and len(weights) != 2:
            raise ValueError("weights must be two arrays or None: of images, of data")
        self.orthonormalization = orthonormalization
        self.tol = tol
        self.weights = (None, None) if weights is None else tuple(weights)
        self._rank = _rank(rank)
        self._state: Any = None
        self._sides: Any = None
        self._system: Any = None

    @classmethod
    def fit(
        cls,
        X: ArrayInput | Iterable[tuple[Any, Any]],
        Y: ArrayInput | None = None,
        *,
        orthonormalization: Orthonormalization = "householder",
        rank: int | None = None,
        tol: float | None = None,
        weights: Sequence[Any] | None = None,
    ) -> Self:
        """Learn from training pairs.

        Parameters
        ----------
        X : array_like, shape (N, ...), or iterable of pairs
            Images of any shape, NumPy or CuPy. An iterable of pairs ``(x, y)``, or a
            file mapped into memory (`numpy.memmap`), is read 64 pairs at a time.
        Y : array_like, shape (N, ...), optional
            Data, if `X` is an array.
        orthonormalization, rank, tol, weights
            See the class.

        Returns
        -------
        SpectralOperator

        Raises
        ------
        ValueError
            If the numbers of images and data differ or are zero, or entries are not
            finite.
        TypeError
            If they are arrays of different libraries, or are not numbers.
        """
        self = cls(
            orthonormalization=orthonormalization, rank=rank, tol=tol, weights=weights
        )
        for block in blocks(X, Y):
            self.partial_fit(*block)
        if self._state is None:
            raise ValueError("X must hold at least one pair")
        return self

    def partial_fit(self, X: ArrayInput, Y: ArrayInput) -> Self:
        """Learn from more pairs, which are not kept.

        Parameters
        ----------
        X, Y : array_like, shapes (N, ...)
            Images and data, with the pairs along the first axis.

        Returns
        -------
        SpectralOperator
            Itself.

        Notes
        -----
        "householder", "modified" and "pivoted" bases stay orthonormal to rounding over
        all blocks; "pivoted" chooses within a block.
        """
        X, Y = library_arrays(X, Y)
        if X.ndim < 1 or Y.ndim < 1 or X.shape[0] != Y.shape[0] or not X.shape[0]:
            raise ValueError(
                "X and Y must hold equally many pairs along their first axis, at least "
                f"one, got shapes {X.shape} and {Y.shape}"
            )
        if self._state is None:
            sides = Side(X, "X", self.weights[0]), Side(Y, "Y", self.weights[1])
        else:
            sides = self._sides
        X, Y = sides[0].rows(X), sides[1].rows(Y)
        state = State(X, Y) if self._state is None else self._state
        if namespace(state.Q) is not namespace(X):
            raise TypeError(f"X must be a {namespace(state.Q).__name__} array")
        tol, method = self.tol, self.orthonormalization
        if tol is None:
            tol = default_tol(method, X.shape[1], float(np.finfo(X.dtype).eps))
        state.add(X, Y, method, tol)
        self._state, self._sides, self._system = state, sides, None
        return self

    def __repr__(self) -> str:
        if self._state is None:
            return f"<SpectralOperator, {self.orthonormalization}, no pairs yet>"
        return (
            f"<SpectralOperator {self.input_shape} -> {self.output_shape}, "
            f"{self.orthonormalization}, {len(self.s)} singular values from "
            f"{self.pairs} pairs>"
        )

    @property
    def _known(self):
        if self._state is None:
            raise ValueError("no pairs were given yet: call fit or partial_fit first")
        return self._state

    def _svd(self):
        """``(a, s, u, v)`` of weighted, scaled rows; a has u's basis coefficients."""
        state = self._known
        if self._system is None:
            xp = namespace(state.P)
            with one_blas_thread:
                a, s, v = xp.linalg.svd(state.P, full_matrices=False)
                a, s, v = a[:, : self._rank], s[: self._rank], v[: self._rank]
                self._system = a, s, a.conj().T @ state.Q, v
        return self._system

    @property
    def _scale(self):
        """The scale of singular values, from scaled pairs to the original ones."""
        return self._sides[0].scale / self._sides[1].scale

    @property
    def pairs(self) -> int:
        return self._known.pairs

    @property
    def input_shape(self) -> tuple[int, ...]:
        self._known
        return self._sides[0].shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        self._known
        return self._sides[1].shape

    @property
    def s(self) -> AnyArray:
        return self._svd()[1] * self._scale

    @property
    def u(self) -> AnyArray:
        u = self._svd()[2]
        return self._sides[0].unweighted(u).reshape((-1, *self.input_shape))

    @property
    def v(self) -> AnyArray:
        v = self._svd()[3]
        return self._sides[1].unweighted(v).reshape((-1, *self.output_shape))

    def predict(self, X: ArrayInput) -> AnyArray:
        """Predict the data of images: exact for those in the training span.

        Parameters
        ----------
        X : array_like, shape ``input_shape`` or ``(..., *input_shape)``

        Returns
        -------
        array, shape ``output_shape`` or ``(..., *output_shape)``
        """
        return self.as_linear_operator().forward(X)

    def as_linear_operator(self, rank: int | None = None) -> ShapedOperator:
        """The learned operator, for `convinv.solve` and users of SciPy's operators.

        Parameters
        ----------
        rank : int, optional
            Number of singular values to use, the largest; by default all.

        Returns
        -------
        LinearOperator
            With ``forward`` and ``adjoint`` on shaped arrays. Its adjoint is the one
            for plain inner products, without weights.
        """
        _, s, u, v = self._svd()
        rank = _rank(rank)
        return LearnedOperator(
            self._sides[0].weighted(u[:rank]),
            s[:rank] * self._scale,
            self._sides[1].unweighted(v[:rank]),
            self.input_shape,
            self.output_shape,
        )

    def reconstruct(
        self, Y: ArrayInput, *, rank: int | None = None, damp: float = 0.0
    ) -> AnyArray:
        """Decode data: ``x = sum_k f_k <y, v_k> u_k`` with ``f = s / (s^2 + damp^2)``.

        Parameters
        ----------
        Y : array_like, shape ``output_shape`` or ``(..., *output_shape)``
        rank : int, optional
            Number of singular values to use, the largest. By default all that are not
            zero up to rounding: those above ``max(r, m) eps s_1``.
        damp : float, optional
            As in `convinv.solve`, in the units of the singular values.

        Returns
        -------
        array, shape ``input_shape`` or ``(..., *input_shape)``
            In the span of the training images, and there the minimizer of least norm of
            ``||y - F x||^2 + damp^2 ||x||^2``. Exact without a damp for data of images
            in the span, if F is injective on it.

        Raises
        ------
        ValueError
            If the shape does not fit, or an option is wrong.

        Notes
        -----
        A projection onto few images is not a regularization. Using few singular values
        is one (as is a damp): with noise of level d, those above about d.
        """
        if not 0 <= damp < np.inf:
            raise ValueError(f"damp must be finite and not negative, got {damp!r}")
        _, s, u, v = self._svd()
        count, rank = int((s > self._floor(s)).sum()), _rank(rank)
        count = count if rank is None else min(count, rank)
        s, u, v = s[:count], u[:count], v[:count]
        images, data = self._sides
        xp, values = namespace(s), s.astype(np.float64)
        # of scaled pairs, like s: their squares stay within the range of the dtype
        size = xp.hypot(values, damp / self._scale)
        decoder = LearnedOperator(
            data.weighted(v),
            (values / size / size).astype(s.dtype),
            images.unweighted(u),
            self.output_shape,
            self.input_shape,
        )

        def decode(Y):
            Y = Y.astype(np.result_type(working_dtype(Y.dtype, "Y"), s), copy=False)
            return times(decoder.apply(times(Y, data.scale)), 1 / images.scale)

        Y = decoder.own_array(Y, "Y")
        shapes = self.output_shape, self.input_shape
        return shaped_product(Y, "Y", *shapes, decode)

    def _floor(self, s):
        eps = float(np.finfo(s.dtype).eps)
        return s[0] * (eps * max(self._state.P.shape)) if len(s) else 0.0

    def diagnostics(
        self, adjoint: Any = None, *, noise: float | None = None, rtol: float = 0.01
    ) -> SpectralDiagnostics:
        """Estimate the errors of the singular values.

        Parameters
        ----------
        adjoint : operator or callable, optional
            The adjoint of F for plain inner products: the operator F itself, any that
            has ``rmatmat``, or a function of a batch ``(k, *output_shape)``.
        noise : float, optional
            Standard deviation of the noise in an entry of the training data. By default
            estimated from pairs with dependent images, if there are any.
        rtol : float, optional
            The relative error that a trusted singular value may have.

        Returns
        -------
        SpectralDiagnostics
        """
        state = self._known
        return diagnose(state, self._svd(), self._sides, adjoint, noise, rtol)


def _rank(rank):
    if rank is None:
        return None
    return integer(rank, "rank", 1)
