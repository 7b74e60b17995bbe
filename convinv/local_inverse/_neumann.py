"""The Neumann series about a reference matrix, on matrices and as an operator."""

from __future__ import annotations

import time
from functools import cached_property

import numpy as np
from scipy.sparse.linalg import LinearOperator

from .._core.arrays import namespace
from .._core.result import OnFailure, check_on_failure
from .._core.typing import AnyArray, ArrayInput, OperatorInput
from .._core.validation import integer
from .._linalg.matrix_norms import rounding, same_library, stack
from ..operators._base import ShapedOperator
from ..operators._foreign import as_operator
from ._certify import InverseResult, certify, proven_result


class LocalInverse:
    """Inverses of all matrices near `A0`, without factorizing them.

    With ``D = A - A0`` it is the Neumann series ``sum_{k <= order} (-A0^-1 D)^k
    A0^-1``; order 1, ``A0^-1 - A0^-1 D A0^-1``, is the linear approximation.

    Parameters
    ----------
    A0 : array_like, shape (..., n, n)
        Nonsingular matrices, real or complex; a stack goes with stacks of A as NumPy
        broadcasts them.
    order : int
        The highest power of the series.

    Attributes
    ----------
    inverse : array, shape (..., n, n)
        ``A0^-1``.
    inverse_norm : array, shape (...)
        Upper bound of its spectral norm; ``1 / inverse_norm`` is the largest distance
        of A from A0 in that norm.

    Raises
    ------
    ValueError
        For shapes that are not square, or a negative order.
    numpy.linalg.LinAlgError
        If an A0 is singular, or too close to it for its inverse to be proven right.

    Notes
    -----
    The series has an error of ``(A0^-1 D)^(order + 1) A^-1`` and converges where
    ``||A0^-1 D|| < 1``. Set-up costs an inverse and a product, an approximation
    ``2 order`` products of matrices. An LU factorization and the inverse from it take
    as many multiplications as one product, so the series is useful where products are
    cheap: on stacks of small matrices, on a GPU, or applied to vectors, see `operator`.
    A network can learn its first `order` terms (Ji, Wu and Xi, "Rethinking neural-based
    matrix inversion"), see `relu_realization`.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.local_inverse import LocalInverse
    >>> near = LocalInverse(np.array([[2.0, 1.0], [1.0, 3.0]]), order=3)
    >>> A = near.A0 + 0.05
    >>> found = near(A)
    >>> error = np.linalg.norm(found.x - np.linalg.inv(A), 2)
    >>> found.success, bool(error <= found.bound < 1e-4)
    (True, True)
    """

    def __init__(self, A0: ArrayInput, order: int = 1):
        self.A0 = stack(A0, "A0")
        self.order = integer(order, "order")
        xp = namespace(self.A0)
        try:
            self.inverse = xp.linalg.inv(self.A0)
        except np.linalg.LinAlgError:
            raise np.linalg.LinAlgError("A0 is singular") from None
        found = certify(self.A0, self.inverse)
        if not bool(xp.all(found.proven)):
            raise np.linalg.LinAlgError(
                "A0 is singular to working precision: no bound of its inverse's error "
                "could be proven"
            )
        self.inverse_norm = spectral(self.inverse) + found.bound

    def __repr__(self) -> str:
        return f"<LocalInverse of order {self.order} about A0 of {self.A0.shape}>"

    def __call__(
        self, A: ArrayInput, *, on_failure: OnFailure = "warn"
    ) -> InverseResult:
        """The approximate inverses of `A` with a proven bound of their error.

        Parameters
        ----------
        A : array_like, shape (..., n, n)
        on_failure : {"warn", "raise", "ignore"}
            What to do where an item has no bound, as in `solve`.

        Returns
        -------
        InverseResult
            Its `success` tells whether every item has a finite bound by `certify`.

        Warns
        -----
        ConvergenceWarning
            If an item has none: the returned matrix may not be its inverse.
        """
        started = time.perf_counter()
        check_on_failure(on_failure)
        A = self._matrices(A)
        return proven_result(
            A,
            self.approximate(A),
            nit=self.order,
            method="LocalInverse",
            advice="they are too far from A0, or singular; invert them exactly",
            started=started,
            on_failure=on_failure,
        )

    def approximate(self, A: ArrayInput) -> AnyArray:
        """The series alone, of shape (..., n, n): no check, no warning."""
        A = self._matrices(A)
        step = self.inverse @ (A - self.A0)
        x = self.inverse + 0 * step
        for _ in range(self.order):
            x = self.inverse - step @ x
        return x

    def remainder_bound(self, A: ArrayInput) -> AnyArray:
        """Upper bound of the spectral norm of the series' remainder, from D alone.

        ``q^(order + 1) ||A0^-1|| / (1 - q)`` with ``q = ||A0^-1 D||``, infinite where q
        is not below 1. It holds for the series in exact arithmetic; `certify` includes
        rounding errors and is sharper, but needs the result. Returns an array of shape
        (...), at the cost of a product and the singular values of every matrix.
        """
        A = self._matrices(A)
        xp, D = namespace(A), A - self.A0
        q = spectral(self.inverse @ D) * (1 + 8 * A.shape[-1] * rounding(D))
        inside = q < 1
        rest = xp.where(inside, 1 - q, xp.ones_like(q))
        bound = q ** (self.order + 1) * self.inverse_norm / rest
        return xp.where(inside, bound, xp.full_like(bound, xp.inf))

    def operator(self, A: OperatorInput) -> NeumannOperator:
        """The series for one A as an operator: products with A and A0^-1 only.

        Takes a matrix or a LinearOperator of shape (n, n); returns `NeumannOperator`.
        """
        if self.inverse.ndim != 2:
            raise ValueError(
                f"operator needs a single A0 of shape (n, n), got {self.A0.shape}"
            )
        return NeumannOperator(self.inverse, A, self.order)

    def _matrices(self, A):
        A = stack(A, "A")
        same_library(self.A0, A, "A")
        return A


class NeumannOperator(ShapedOperator):
    """The approximate inverse ``sum_{k <= order} (I - X0 A)^k X0``, as an operator.

    Its error is ``(I - X0 A)^(order + 1) A^-1``. It takes `order` products with A and
    one more with X0. It is linear, so that it can precondition every Krylov method.

    Parameters
    ----------
    X0 : matrix or LinearOperator, shape (n, n)
        An approximate inverse, such as ``LocalInverse.inverse`` or a preconditioner of
        `convinv.precondition` that was set up for a nearby operator with
        ``equations="plain"`` or "hermitian".
    A : ConvLinearOperator, LinearOperator or matrix, shape (n, n)
    order : int

    Raises
    ------
    ValueError
        If the operators are not square, or of two sizes.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.local_inverse import NeumannOperator
    >>> A = np.diag([2.0, 4.0])
    >>> M = NeumannOperator(np.diag([0.5, 0.2]), A, order=2)
    >>> M @ np.ones(2)
    array([0.5  , 0.248])
    """

    def __init__(self, X0: OperatorInput, A: OperatorInput, order: int = 1):
        self.order = integer(order, "order")
        self.start, self.op = _as_operator(X0), _as_operator(A)
        n = self.op.shape[0]
        for name, op in (("A", self.op), ("X0", self.start)):
            if op.shape != (n, n):
                raise ValueError(
                    f"{name} must have shape {(n, n)}, as both must be square and of "
                    f"one size, got {op.shape}"
                )
        self.xp = self.op.xp
        dtype = np.result_type(self.start.dtype, self.op.dtype)
        super().__init__(dtype, self.op.output_shape, self.op.input_shape)

    @cached_property
    def has_adjoint(self) -> bool:
        return self.start.has_adjoint and self.op.has_adjoint

    def _apply(self, X):
        return self._series(X, "apply").reshape((X.shape[0], *self.output_shape))

    def _apply_adjoint(self, Y):
        found = self._series(Y, "apply_adjoint")
        return found.reshape((Y.shape[0], *self.input_shape))

    def _series(self, b, way):
        """``x <- x + X0 (b - A x)``, or the same with both adjoints."""
        op, start = self.op, self.start
        given = op.output_shape if way == "apply" else op.input_shape
        taken = op.input_shape if way == "apply" else op.output_shape
        own = start.input_shape if way == "apply" else start.output_shape
        batch = b.shape[0]

        def approximate(r):
            x = getattr(start, way)(r.reshape((batch, *own)))
            return x.reshape((batch, *taken))

        x = approximate(b)
        for _ in range(self.order):
            product = getattr(op, way)(x).reshape((batch, *given))
            x = x + approximate(b.reshape((batch, *given)) - product)
        return x


def _as_operator(op):
    if not isinstance(op, LinearOperator) and namespace(op) is None:
        op = np.asarray(op) if isinstance(op, (list, tuple)) else op
    return as_operator(op)


def spectral(M):
    """The 2-norm of each matrix."""
    return namespace(M).linalg.svd(M)[1][..., 0]
