"""SpectralOperator against dense linear algebra."""

import pickle

import numpy as np
import pytest

from convinv import ConvLinearOperator, gallery, solve
from convinv.learning import GramSchmidtNetwork, QRNetwork, SpectralOperator
from support import oracles
from support.arrays import doubles, random
from support.pairs import atol, learn, methods, small


class TestSystem:
    @methods
    @doubles
    def test_triples(self, method, dtype):
        """F u = s v, orthonormal, with the values of F on the span of the images."""
        F, X, Y = small(dtype)
        learned = learn(X, Y, method)
        u, s, v = learned.u, learned.s, learned.v
        np.testing.assert_allclose(u @ F.T, s[:, None] * v, atol=1e-11)
        for family in (u, v):
            gram = family @ family.conj().T
            np.testing.assert_allclose(gram, np.eye(7), atol=atol(method))
        basis = np.linalg.qr(X.T)[0]  # its columns are in the span of the rows of X
        expected = np.linalg.svd(F @ basis)[1]
        np.testing.assert_allclose(s, expected, rtol=atol(method))
        np.testing.assert_allclose(u - (u @ basis.conj()) @ basis.T, 0, atol=1e-12)

    @methods
    def test_interlacing(self, method):
        """As Rayleigh and Ritz have it: from below, and in turns."""
        F, X, Y = small(pairs=9)
        s, sigma = learn(X, Y, method).s, np.linalg.svd(F)[1]
        slack = atol(method) * sigma[0]
        assert np.all(s <= sigma[:9] + slack)
        assert np.all(s >= sigma[12 - 9 :] - slack)

    @methods
    @doubles
    def test_all_of_the_space(self, method, dtype):
        F, X, Y = small(dtype, pairs=12)
        s = learn(X, Y, method).s
        np.testing.assert_allclose(s, np.linalg.svd(F)[1], rtol=100 * atol(method))

    @methods
    def test_invariant_span(self, method):
        """Combinations of some right singular vectors give those vectors."""
        F = random((15, 12), seed=1)
        _, sigma, right = np.linalg.svd(F)
        chosen = [1, 4, 5, 9]
        X = random((4, 4), seed=3) @ right[chosen]
        learned = learn(X, X @ F.T, method)
        np.testing.assert_allclose(learned.s, sigma[chosen], rtol=atol(method))
        products = abs(learned.u @ right[chosen].T)
        np.testing.assert_allclose(products, np.eye(4), atol=1e-6)

    def test_the_theorem_of_the_paper_fails(self):
        """One image (1, 1) of diag(2, 1): no singular vector comes out."""
        F = np.diag([2.0, 1.0])
        x = np.array([[1.0, 1.0]]) / np.sqrt(2)
        learned = learn(x, x @ F.T)
        np.testing.assert_allclose(learned.s, [np.sqrt(2.5)])
        np.testing.assert_allclose(abs(learned.v), [np.array([2, 1]) / np.sqrt(5)])
        alone, checked = learned.diagnostics(), learned.diagnostics(lambda y: y @ F)
        assert alone.trusted.all() and alone.residuals is None
        # F^T v - s u = (1.5, -1.5) / sqrt(5) up to the sign
        np.testing.assert_allclose(checked.residuals, [1.5 * np.sqrt(0.4)])
        assert not checked.trusted.any()


class TestDecoder:
    @methods
    @doubles
    def test_exact_on_the_span(self, method, dtype):
        F, X, Y = small(dtype)
        learned = learn(X, Y, method)
        x = random((2, 3, 7), dtype, 4) @ X
        np.testing.assert_allclose(learned.reconstruct(x @ F.T), x, atol=1e-11)
        np.testing.assert_allclose(learned.predict(x), x @ F.T, atol=100 * atol(method))

    def test_500_pairs(self):
        """Of 64 x 64 pixels, some ellipses each, through a layer."""
        grid = np.linspace(-1, 1, 64)
        rng = np.random.default_rng(0)
        a, c = rng.uniform(0.05, 0.5, (2, 500, 6, 1)), rng.uniform(-1, 1, (500, 6, 3))
        rows = ((grid - c[..., :1]) / a[0]) ** 2
        columns = ((grid - c[..., 1:2]) / a[1]) ** 2
        inside = rows[..., :, None] + columns[..., None, :] < 1
        X = np.einsum("ni,nihw->nhw", c[..., 2], inside)[:, None]
        op = ConvLinearOperator(gallery.conv_layer(1, 2, rng=0), (1, 64, 64))
        learned = learn(X, op.forward(X))
        assert len(learned.s) == 500
        x = np.tensordot(rng.standard_normal((3, 500)), X, 1)
        error = np.linalg.norm(learned.reconstruct(op.forward(x)) - x)
        assert error <= 1e-10 * np.linalg.norm(x)

    @pytest.mark.parametrize("damp", [0.0, 2.0])
    def test_any_data(self, damp):
        """The minimizer over the span of the images."""
        F, X, Y = small()
        learned = learn(X, Y)
        y = random((15,), seed=5)
        basis = np.linalg.qr(X.T)[0]
        stacked = np.concatenate([F @ basis, damp * np.eye(7)])
        c = np.linalg.lstsq(stacked, np.concatenate([y, np.zeros(7)]))[0]
        found = learned.reconstruct(y, damp=damp)
        np.testing.assert_allclose(found, basis @ c, atol=1e-12)

    def test_rank(self):
        F, X, Y = small()
        learned, y = learn(X, Y), random((15,), seed=5)
        parts = [(v @ y) / s * u for u, s, v in zip(learned.u, learned.s, learned.v)]
        np.testing.assert_allclose(learned.reconstruct(y, rank=3), sum(parts[:3]))
        np.testing.assert_allclose(learn(X, Y, rank=3).reconstruct(y), sum(parts[:3]))
        assert len(learn(X, Y, rank=3).s) == 3

    def test_operators_that_are_not_injective(self):
        """What F takes to 0 is not blown up."""
        F, X, _ = small(m=4)
        learned, y = learn(X, X @ F.T), random((4,), seed=5)
        expected = np.linalg.qr(X.T)[0] @ oracles.pinv(F @ np.linalg.qr(X.T)[0]) @ y
        np.testing.assert_allclose(learned.reconstruct(y), expected, atol=1e-12)
        learned = learn(X, (X @ F.T) @ np.ones((4, 3)))  # rank 1
        found = learned.reconstruct((X @ F.T) @ np.ones((4, 3)))
        assert np.linalg.norm(found) < 10 * np.linalg.norm(X)


class TestOperator:
    @doubles
    def test_products(self, dtype):
        F, X, Y = small(dtype)
        learned = learn(X, Y)
        op = learned.as_linear_operator()
        A = op @ np.eye(12)
        np.testing.assert_allclose(A, Y.T @ oracles.pinv(X.T), atol=1e-11)
        np.testing.assert_allclose(op.H @ np.eye(15), A.conj().T, atol=1e-12)
        again = pickle.loads(pickle.dumps(learned)).as_linear_operator(2)
        u, s, v = np.linalg.svd(A)
        np.testing.assert_allclose(
            again @ np.eye(12), (u[:, :2] * s[:2]) @ v[:2], atol=1e-11
        )

    @pytest.mark.parametrize("method", ["auto", "lsqr", "lsmr"])
    def test_solve(self, method):
        X = random((6, 1, 5, 6))
        op = ConvLinearOperator(random((2, 1, 3, 3), seed=1), (1, 5, 6))
        learned = learn(X, op.forward(X))
        y = random((2, *op.output_shape), seed=2)
        for damp in (0.0, 0.5):
            result = solve(
                learned.as_linear_operator(), y, method, damp=damp, rtol=1e-10
            )
            expected = learned.reconstruct(y, damp=damp)
            np.testing.assert_allclose(result.x, expected, atol=1e-7)

    def test_weighted_adjoint(self):
        F, X, Y = small()
        weights = np.arange(1.0, 13), np.arange(1.0, 16)
        op = learn(X, Y, weights=weights).as_linear_operator()
        x, y = random((12,), seed=3), random((15,), seed=4)
        np.testing.assert_allclose((op @ x) @ y, x @ (op.H @ y))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"orthonormalization": "lu"}, ValueError, "orthonormalization must be"),
        ({"rank": 0}, ValueError, "rank must be"),
        ({"rank": 1.5}, TypeError, "rank must be"),
        ({"tol": 1}, ValueError, "tol must be"),
        ({"weights": (1, 2, 3)}, ValueError, "weights must be"),
        ({"weights": (-1, None)}, ValueError, "weights of X must be positive"),
        ({"weights": (None, np.ones(4))}, ValueError, "weights of Y must have"),
        ({"X": np.ones((2, 5))}, ValueError, "equally many pairs"),
        ({"X": np.ones((0, 5)), "Y": np.ones((0, 3))}, ValueError, "equally many"),
        ({"X": np.full((4, 5), np.inf)}, ValueError, "X must be finite"),
        ({"X": [["a"]] * 4}, TypeError, "X must be"),
        ({"Y": None}, TypeError, "Y is missing"),
        ({"X": 3, "Y": None}, TypeError, "Y is missing"),
        ({"X": iter([]), "Y": None}, ValueError, "at least one pair"),
        ({"X": iter([1, 2]), "Y": None}, TypeError, "iterable of pairs"),
    ],
)
def test_errors(options, error, match):
    arguments = {"X": random((4, 5)), "Y": random((4, 3)), **options}
    with pytest.raises(error, match=match):
        SpectralOperator.fit(**arguments)


def test_later_errors():
    with pytest.raises(ValueError, match="no pairs"):
        SpectralOperator().predict(np.ones(3))
    learned = learn(random((4, 5)), random((4, 3)))
    with pytest.raises(ValueError, match=r"X must have shape \(N, 5\)"):
        learned.partial_fit(np.ones((2, 6)), np.ones((2, 3)))
    assert learned.pairs == 4 and len(learned.s) == 3
    with pytest.raises(ValueError, match="must have shape"):
        learned.predict(np.ones(6))
    with pytest.raises(ValueError, match="damp must be"):
        learned.reconstruct(np.ones(3), damp=-1)
    with pytest.raises(ValueError, match="noise must be"):
        learned.diagnostics(noise=-1)
    with pytest.raises(TypeError, match="adjoint must be"):
        learned.diagnostics(3)


@methods
def test_cupy(cupy, method):
    F, X, Y = small()
    X, Y = np.concatenate([X, X[:2] + X[3:5]]), np.concatenate([Y, Y[:2] + Y[3:5]])
    expected = learn(X, Y, method, weights=(np.full(12, 2.0), None))
    there = [cupy.asarray(a) for a in (X, Y)]
    learned = SpectralOperator(
        orthonormalization=method, weights=(np.full(12, 2.0), None)
    )
    learned.partial_fit(there[0][:5], there[1][:5])
    learned.partial_fit(there[0][5:], there[1][5:])
    assert all(isinstance(a, cupy.ndarray) for a in (learned.u, learned.s))
    np.testing.assert_allclose(learned.s.get(), expected.s, rtol=1e-6)
    x = learned.reconstruct(there[1])
    np.testing.assert_allclose(x.get(), X, atol=1e-11)
    transposed = cupy.asarray(F)
    known = learned.diagnostics(lambda y: y @ transposed)
    assert isinstance(known.residuals, np.ndarray)
    op = learned.as_linear_operator()
    assert solve(op, learned.predict(there[0]), rtol=1e-6).success
    with pytest.raises(TypeError, match="one library"):
        learned.partial_fit(X, there[1])
    Q, P = GramSchmidtNetwork(5)(there[0][:5], there[1][:5])
    values, _ = QRNetwork(60)(P.conj() @ P.T)
    np.testing.assert_allclose(values.get(), learn(X[:5], Y[:5]).s ** 2, rtol=1e-2)
