"""The linear approximation of an inverse as a network with one hidden layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._core.arrays import to_numpy
from .._core.typing import AnyArray, ArrayInput
from .._core.validation import integer
from .._linalg.matrix_norms import stack
from ._neumann import LocalInverse


@dataclass(frozen=True, repr=False, eq=False)
class ReLUInverse:
    """A network ``W2 relu(W1 vec(A) + b1) + b2`` whose output is ``vec(X)``.

    Matrices are laid out row by row. Calling it applies it to ``(..., n, n)``.

    Attributes
    ----------
    W1 : ndarray, shape (hidden, n * n)
        Weights of the hidden layer.
    b1 : ndarray, shape (hidden,)
        Its bias.
    W2 : ndarray, shape (n * n, hidden)
        Weights of the output.
    b2 : ndarray, shape (n * n,)
        Its bias.
    """

    W1: np.ndarray
    b1: np.ndarray
    W2: np.ndarray
    b2: np.ndarray

    @property
    def hidden(self) -> int:
        """The number of hidden units."""
        return len(self.b1)

    def __call__(self, A: ArrayInput) -> AnyArray:
        A = stack(A, "A")
        flat = A.reshape((*A.shape[:-2], -1))
        if flat.shape[-1] != self.W1.shape[1]:
            n = round(self.W1.shape[1] ** 0.5)
            raise ValueError(f"A must have shape (..., {n}, {n}), got {A.shape}")
        active = np.maximum(flat @ self.W1.T + self.b1, 0)
        return (active @ self.W2.T + self.b2).reshape(A.shape)

    def __repr__(self) -> str:
        inputs = self.W1.shape[1]
        return f"<ReLUInverse {inputs} -> {self.hidden} -> {inputs}>"


def relu_realization(
    A0: ArrayInput, half_width: float | None = None, *, hidden: int | None = None
) -> ReLUInverse:
    """Weights of a two-layer ReLU network that equals the linear approximation exactly.

    Trained networks are compared with the linear approximation of an inverse
    (`LocalInverse` of order 1). This network is equal to it, so a network of its size
    need not be worse. In the box ``|a_ij - a0_ij| <= half_width`` the units
    ``relu(vec(A) - vec(A0) + half_width)`` never switch off, so ``n^2`` of them
    suffice. Without a box, pairs ``relu(+-(vec(A) - vec(A0)))`` work everywhere, with
    twice as many units.

    Parameters
    ----------
    A0 : array_like, shape (n, n)
        A real nonsingular matrix.
    half_width : float, optional
        Half width of the box; None for a network that is right everywhere.
    hidden : int, optional
        Total number of units; surplus ones are connected to nothing.

    Returns
    -------
    ReLUInverse
        With ``n^2``, without a box ``2 n^2``, or `hidden` units.

    Raises
    ------
    ValueError
        If A0 is not one real square matrix, the half width is not positive, or `hidden`
        is too small.
    numpy.linalg.LinAlgError
        If A0 is singular.

    Notes
    -----
    The Jacobian of ``vec(A^-1)`` at A0 is ``-kron(A0^-1, A0^-T)`` for vectors row by
    row. Two matrices of ``n^2 hidden`` numbers are stored.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.local_inverse import LocalInverse, relu_realization
    >>> A0 = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> network = relu_realization(A0, 0.1, hidden=32)
    >>> A = A0 + np.random.default_rng(0).uniform(-0.1, 0.1, (100, 2, 2))
    >>> bool(np.allclose(network(A), LocalInverse(A0).approximate(A), atol=1e-15))
    True
    """
    A0 = to_numpy(stack(A0, "A0"))
    if A0.ndim != 2 or np.iscomplexobj(A0):
        raise ValueError(
            f"A0 must be one real matrix (n, n), got {A0.dtype} of shape {A0.shape}"
        )
    if half_width is not None and not 0 < half_width < float("inf"):
        raise ValueError(f"half_width must be finite and positive, got {half_width!r}")
    X0 = LocalInverse(A0).inverse
    center, jacobian = A0.ravel(), -np.kron(X0, X0.T)
    one = np.eye(len(center), dtype=A0.dtype)
    if half_width is None:
        W1, b1 = np.vstack([one, -one]), np.concatenate([-center, center])
        W2, b2 = np.hstack([jacobian, -jacobian]), X0.ravel()
    else:
        half_width = A0.dtype.type(half_width)
        W1, b1 = one, half_width - center
        W2, b2 = jacobian, X0.ravel() - half_width * jacobian.sum(axis=1)
    W1, b1, W2 = _padded(W1, b1, W2, hidden)
    return ReLUInverse(W1, b1, W2, b2)


def _padded(W1, b1, W2, hidden):
    """The hidden layer with units that are connected to nothing."""
    units = len(b1)
    extra = 0 if hidden is None else integer(hidden, "hidden") - units
    if extra < 0:
        raise ValueError(f"hidden must be at least {units}, got {hidden!r}")
    return (
        np.pad(W1, ((0, extra), (0, 0))),
        np.pad(b1, (0, extra)),
        np.pad(W2, ((0, 0), (0, extra))),
    )
