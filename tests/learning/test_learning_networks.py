"""The networks give the numbers of SpectralOperator; QR of tall matrices."""

import numpy as np
import pytest

from convinv._linalg import tall_qr
from convinv.learning import GramSchmidtNetwork, QRNetwork
from support.arrays import doubles, random
from support.pairs import learn, small


class TestNetworks:
    @pytest.mark.parametrize("activation", ["signum", "smooth"])
    @doubles
    def test_gram_schmidt(self, activation, dtype):
        """The layers give the numbers of the operator."""
        F, X, Y = small(dtype)
        method = "gram-schmidt" if activation == "signum" else "smooth"
        network = GramSchmidtNetwork(7, activation, tol=1e-3)
        Q, P = network(X, Y)
        np.testing.assert_allclose(P, Q @ F.T, atol=1e-12)
        learned = learn(X, Y, method, tol=1e-3)
        np.testing.assert_allclose(np.linalg.svd(P)[1], learned.s, rtol=1e-10)
        np.testing.assert_allclose(
            Q.T @ P.conj(),
            learned.u.T @ (learned.s[:, None] * learned.v.conj()),
            atol=1e-11,
        )

    def test_a_layer(self):
        """One image changes: to what is left of it, with norm 1."""
        _, X, Y = small()
        layer = GramSchmidtNetwork(7).layers[3]
        X[:3] = np.linalg.qr(X[:3].T)[0].T
        Q, P = layer(X, Y)
        others = [0, 1, 2, 4, 5, 6]
        np.testing.assert_array_equal(Q[others], X[others])
        np.testing.assert_array_equal(P[others], Y[others])
        left = X[3] - X[:3].T @ (X[:3] @ X[3])
        np.testing.assert_allclose(Q[3], left / np.linalg.norm(left), atol=1e-12)
        data = (Y[3] - (X[:3] @ X[3]) @ Y[:3]) / np.linalg.norm(left)
        np.testing.assert_allclose(P[3], data, atol=1e-12)

    def test_smooth_activation(self):
        """A remainder t of an image x becomes one of norm t / hypot(t, tol |x|)."""
        x = np.array([[3.0, 0, 0], [4.0, 0.03, 0]])
        Q, _ = GramSchmidtNetwork(2, "smooth", tol=0.01)(x, x)
        size = 0.01 * np.hypot(4, 0.03)
        np.testing.assert_allclose(np.linalg.norm(Q[0]), 1 / np.hypot(1, 0.01))
        expected = [0, 0.03 / np.hypot(0.03, size), 0]
        np.testing.assert_allclose(Q[1], expected, atol=1e-15)

    @pytest.mark.parametrize("activation", ["signum", "smooth"])
    def test_dependent_images(self, activation):
        """They come out as zeros, or short, and do no harm to those that follow."""
        F, X, _ = small()
        X = np.concatenate([X, random((30, 7), seed=5) @ X, random((1, 12), seed=6)])
        Q, P = GramSchmidtNetwork(len(X), activation)(X, X @ F.T)
        norms = np.linalg.norm(Q, axis=1)
        np.testing.assert_allclose(norms[[*range(7), 37]], 1, atol=1e-6)
        assert np.all(norms[7:37] < 1e-3)
        np.testing.assert_allclose(P, Q @ F.T, atol=1e-9)

    @doubles
    def test_qr(self, dtype):
        """Eigenvalues and vectors of P P^H, as the operator finds them in P."""
        F, X, Y = small(dtype, pairs=4, m=6)
        learned = learn(X, Y)
        P = (learned.s * learned.v.T) @ random((4, 4), dtype, 8)
        P = (learned.v.T * learned.s) @ np.linalg.qr(P.conj().T @ P)[0]
        values, vectors = QRNetwork(150)(P @ P.conj().T)
        np.testing.assert_allclose(values[:4], learned.s**2, rtol=1e-9)
        np.testing.assert_allclose(values[4:], 0, atol=1e-10)
        overlap = abs(learned.v.conj() @ vectors)
        np.testing.assert_allclose(overlap, np.eye(4, 6), atol=1e-5)

    def test_qr_layer(self):
        A = random((5, 5)) @ np.diag(np.arange(1.0, 6))
        A = A @ A.T
        B, V = QRNetwork(1).layers[0](A, np.eye(5))
        Q, R = tall_qr.tall_qr(A)
        np.testing.assert_allclose(V, Q, atol=1e-12)
        np.testing.assert_allclose(B, R @ Q, atol=1e-9)

    def test_errors(self):
        with pytest.raises(ValueError, match="activation must be"):
            GramSchmidtNetwork(2, "relu")
        with pytest.raises(ValueError, match="activation must be"):
            QRNetwork(2, "relu")
        with pytest.raises(ValueError, match="shapes"):
            GramSchmidtNetwork(2)(np.ones((3, 4)), np.ones((3, 4)))
        with pytest.raises(ValueError, match="square"):
            QRNetwork(2)(np.ones((3, 4)))


@pytest.mark.parametrize("shape", [(900, 7), (64, 16), (65, 16), (5, 9), (40, 0)])
@doubles
def test_tall_qr(shape, dtype):
    A = random(shape, dtype)
    A *= 10.0 ** -np.linspace(0, 12, max(shape[1], 1))[: shape[1]]
    before = A.copy()
    Q, R = tall_qr.tall_qr(A)
    k = min(shape)
    assert Q.shape == (shape[0], k) and R.shape == (k, shape[1])
    np.testing.assert_allclose(Q.conj().T @ Q, np.eye(k), atol=1e-14)
    np.testing.assert_allclose(Q @ R, A, atol=1e-14 * max(shape))
    np.testing.assert_array_equal(np.tril(R, -1), 0)
    assert np.all(np.diagonal(R).real >= 0)
    np.testing.assert_allclose(np.diagonal(R).imag, 0, atol=1e-15)
    np.testing.assert_array_equal(A, before)
