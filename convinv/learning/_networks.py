"""The paper's two networks, whose layers are steps of numerical linear algebra."""

from __future__ import annotations

import numpy as np

from .._core.arrays import namespace
from .._core.typing import Activation, AnyArray, ArrayInput
from .._core.validation import choice
from ._orthonormalize import CORRECT, activation, default_tol, project
from ._pairs import library_arrays

ACTIVATIONS = ("signum", "smooth")
EPS = 2.0**-52


class GramSchmidtLayer:
    """Layer j: orthogonalizes image j against earlier images, and activates it.

    All vectors except the j-th pass unchanged. The activation acts on the vector as a
    whole, so that the output is still a combination of the images. The data undergo the
    same combination.

    Parameters
    ----------
    index : int
        j, from 0.
    activation : {"signum", "smooth"}
        ``v / |v|`` (0 where ``|v| <= tol |x|``), or ``v / sqrt(|v|^2 + (tol |x|)^2)``
        (0 where v has no correct digits).
    tol : float
        Relative to the norm of the incoming image j.
    passes : int
        Projections, one after the other; the paper's layer has one.
    """

    def __init__(
        self,
        index: int,
        activation: Activation = "signum",
        tol: float = 0.0,
        passes: int = 1,
    ):
        self.index, self.activation = index, activation
        self.tol, self.passes = tol, passes

    def __repr__(self) -> str:
        return f"GramSchmidtLayer({self.index}, {self.activation!r})"

    def __call__(self, X: AnyArray, Y: AnyArray) -> tuple[AnyArray, AnyArray]:
        """The layer's output for images and data, one vector per row.

        Parameters
        ----------
        X, Y : array, shapes (N, n) and (N, m)

        Returns
        -------
        tuple of array
            Of the same shapes.
        """
        j = self.index
        X, Y = X.copy(), Y.copy()
        q, h, scale = self.step(X)
        X[j] = q
        y = Y[j] - h @ Y[:j] if j else Y[j]
        Y[j] = y / scale if scale else 0
        return X, Y

    def step(self, X: AnyArray) -> tuple[AnyArray, AnyArray, AnyArray]:
        """The new vector q, with ``x_j = h @ X[:j] + scale * q``.

        Parameters
        ----------
        X : array, shape (N, n)
            The output of the previous layers.

        Returns
        -------
        tuple
            ``(q, h, scale)``; q is 0 where the scale is.
        """
        x, smooth = X[self.index], self.activation == "smooth"
        size = namespace(X).linalg.norm(x)
        before = X[: self.index]
        squares = (abs(before) ** 2).sum(1)
        squares = namespace(X).where(squares > 0, squares, 1) if smooth else None
        v, h = project(x, before, self.passes, squares)
        left = activation(v, size, 0.0)
        if not float(left) > (CORRECT if smooth else self.tol) * float(size):
            return v * 0, h, 0.0
        scale = activation(v, size, self.tol if smooth else 0.0)
        return v / scale, h, float(scale)


class GramSchmidtNetwork:
    """Gram-Schmidt as a network: images in, an orthonormal basis of their span out.

    It has one `GramSchmidtLayer` for each image. From the data it computes
    ``P = Y R^-1``, the images of the basis under the unknown operator.

    Parameters
    ----------
    depth : int
        Number of layers, one per image.
    activation : {"signum", "smooth"}, optional
    tol : float, optional
        Of the activation, see `GramSchmidtLayer`. Default: that of `SpectralOperator`.
    passes : int, optional
        1 is the paper's (classical Gram-Schmidt). 2 is orthonormal to rounding.

    Attributes
    ----------
    layers : list of GramSchmidtLayer

    Raises
    ------
    ValueError
        If the activation is unknown.

    Notes
    -----
    The numbers are those of
    ``SpectralOperator.fit(..., orthonormalization="gram-schmidt")``, or "smooth". The
    cost is ``2 (n + m) N^2`` multiplications.

    References
    ----------
    Aspri, Frischauf and Scherzer, equations 2.1 to 2.4.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.learning import GramSchmidtNetwork
    >>> network = GramSchmidtNetwork(2)
    >>> X = np.array([[3.0, 4.0], [5.0, 0.0]])
    >>> Q, P = network(X, 2 * X)
    >>> Q
    array([[ 0.6,  0.8],
           [ 0.8, -0.6]])
    >>> bool(np.allclose(P, 2 * Q))
    True
    """

    def __init__(
        self,
        depth: int,
        activation: Activation = "signum",
        tol: float | None = None,
        passes: int = 1,
    ):
        choice(activation, "activation", ACTIVATIONS)
        if tol is None:
            method = "smooth" if activation == "smooth" else "gram-schmidt"
            tol = default_tol(method, 1, EPS)
        self.layers = [
            GramSchmidtLayer(j, activation, tol, passes) for j in range(depth)
        ]

    def __call__(self, X: ArrayInput, Y: ArrayInput) -> tuple[AnyArray, AnyArray]:
        """Run all layers.

        Parameters
        ----------
        X, Y : array_like, shapes (N, n) and (N, m)
            Images and data, one per row, N the depth.

        Returns
        -------
        Q, P : array
            Of the same shapes. A row is zero if an image depends on earlier ones.
        """
        X, Y = library_arrays(X, Y)
        if X.ndim != 2 or Y.ndim != 2 or not len(X) == len(Y) == len(self.layers):
            raise ValueError(
                f"X and Y must have shapes ({len(self.layers)}, n) and "
                f"({len(self.layers)}, m), got {X.shape} and {Y.shape}"
            )
        X, Y = X * 1.0, Y * 1.0  # integers become floating
        for layer in self.layers:
            X, Y = layer(X, Y)
        return X, Y


class QRLayer:
    """A step of the QR iteration: ``A = Q R`` by a Gram-Schmidt network, then ``R Q``.

    Parameters
    ----------
    activation, tol, passes
        Of the Gram-Schmidt network. The default `tol` of 0 normalizes every remainder
        of a column, which with two passes keeps Q unitary.
    """

    def __init__(
        self, activation: Activation = "signum", tol: float = 0.0, passes: int = 2
    ):
        self.activation, self.tol, self.passes = activation, tol, passes

    def __call__(self, A: AnyArray, V: AnyArray) -> tuple[AnyArray, AnyArray]:
        """The next matrix, and the product of all Q so far.

        Parameters
        ----------
        A, V : array, shapes (m, m)

        Returns
        -------
        tuple of array
        """
        xp = namespace(A)
        network = GramSchmidtNetwork(len(A), self.activation, self.tol, self.passes)
        rows, R = A.T.copy(), xp.zeros_like(A)
        for layer in network.layers:
            j = layer.index
            rows[j], R[:j, j], R[j, j] = layer.step(rows)
        Q = rows.T
        return R @ Q, V @ Q


class QRNetwork:
    """The QR algorithm as a network of networks: a matrix in, its spectrum out.

    Parameters
    ----------
    depth : int
        Steps. In each, the coupling of two eigenvalues shrinks by their ratio.
    activation : {"signum", "smooth"}, optional
    tol : float, optional
    passes : int, optional
        Of the Gram-Schmidt networks, see `QRLayer`.

    Attributes
    ----------
    layers : list of QRLayer

    Raises
    ------
    ValueError
        If the activation is unknown.

    Notes
    -----
    For ``A = P P^H`` it gives the squares of the singular values of `SpectralOperator`
    and its v. It is for comparison: it costs ``4 m^3`` multiplications per layer and
    loses eigenvalues below ``eps`` times the largest, while a singular value
    decomposition of P keeps those of P down to ``eps``.

    References
    ----------
    Aspri, Frischauf and Scherzer, equations 2.12 to 2.14.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.learning import QRNetwork
    >>> values, vectors = QRNetwork(30)(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> values.round(6)
    array([3., 1.])
    """

    def __init__(
        self,
        depth: int,
        activation: Activation = "signum",
        tol: float = 0.0,
        passes: int = 2,
    ):
        GramSchmidtNetwork(0, activation)  # refuses an unknown activation
        self.layers = [QRLayer(activation, tol, passes) for _ in range(depth)]

    def __call__(self, A: ArrayInput) -> tuple[AnyArray, AnyArray]:
        """Run all layers.

        Parameters
        ----------
        A : array_like, shape (m, m)
            Hermitian, positive semidefinite.

        Returns
        -------
        values : array, shape (m,)
            The diagonal of the last matrix, usually descending.
        vectors : array, shape (m, m)
            The eigenvectors, as columns.
        """
        found: AnyArray = np.asarray(A) if namespace(A) is None else A
        if found.ndim != 2 or found.shape[0] != found.shape[1]:
            raise ValueError(f"A must be a square matrix, got shape {found.shape}")
        xp, A = namespace(found), found * 1.0
        V = xp.eye(len(A), dtype=A.dtype)
        for layer in self.layers:
            A, V = layer(A, V)
        return xp.diagonal(A).real, V
