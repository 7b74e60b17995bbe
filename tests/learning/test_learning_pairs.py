"""What SpectralOperator makes of many, dependent and noisy pairs, and says of them."""

import numpy as np
import pytest

from convinv import ConvLinearOperator
from convinv.learning import SpectralOperator, _pairs, fit_kernel
from support.arrays import doubles, random
from support.pairs import STABLE, atol, learn, methods, small


class TestPairs:
    @methods
    @doubles
    def test_dependent_images(self, method, dtype):
        """Copies, zeros and combinations change nothing where the data agree."""
        F, X, Y = small(dtype)
        more = np.stack([X[0], 0 * X[0], X[0] + 2 * X[1], *X[2:], X[3] - X[5]])
        X = np.concatenate([X[:2], more])
        learned = learn(X, X @ F.T, method)
        assert len(learned.s) == 7 and learned.pairs == len(X)
        expected = learn(X[[0, 1, 5, 6, 7, 8, 9]], (X @ F.T)[[0, 1, 5, 6, 7, 8, 9]]).s
        np.testing.assert_allclose(learned.s, expected, rtol=atol(method))
        assert learned.diagnostics().noise < 1e-10

    @pytest.mark.parametrize("block", [1, 5, 40])
    @methods
    def test_more_pairs_than_unknowns(self, method, block):
        """All count: the operator is that of least squares, and the noise is found."""
        F, X, Y = small(pairs=240)
        Y = Y + 0.1 * random(Y.shape, seed=6)
        learned = SpectralOperator(orthonormalization=method)
        for i in range(0, len(X), block):
            assert learned.partial_fit(X[i : i + block], Y[i : i + block]) is learned
        expected = np.linalg.lstsq(X, Y)[0]
        found = learned.predict(np.eye(12))
        np.testing.assert_allclose(found, expected, atol=100 * atol(method))
        residual = np.linalg.norm(Y - X @ expected) / np.sqrt((240 - 12) * 15)
        np.testing.assert_allclose(learned.diagnostics().noise, residual, rtol=1e-6)

    @pytest.mark.parametrize("method", STABLE)
    def test_blocks(self, method):
        """Orthonormal over many blocks of nearly dependent images."""
        rng = np.random.default_rng(0)
        X = rng.standard_normal((24, 300)).cumsum(0) @ np.diag(0.97 ** np.arange(300))
        X += 1e6 * np.sin(np.arange(300) / 50)
        F = random((40, 300), seed=1)
        learned = SpectralOperator(orthonormalization=method)
        for i in range(0, 24, 5):
            learned.partial_fit(X[i : i + 5], X[i : i + 5] @ F.T)
        known = learned.diagnostics()
        assert known.orthogonality_loss < 1e-13 and known.condition > 1e6
        np.testing.assert_allclose(learned.s, learn(X, X @ F.T).s, rtol=1e-6)

    @pytest.mark.parametrize("method", STABLE)
    def test_blocks_of_near_copies(self, method):
        """A small difference of two images keeps nothing of the basis before."""
        X = random((8, 300))
        X[6:] = X[4:6] + 1e-9 * X[6:]
        learned = SpectralOperator(orthonormalization=method)
        learned.partial_fit(X[:4], X[:4]).partial_fit(X[4:], X[4:])
        assert learned.diagnostics().orthogonality_loss < 1e-14
        np.testing.assert_allclose(learned.predict(X), X, atol=1e-13)
        assert len(learned.s) == 8

    def test_iterators_and_files(self, tmp_path, monkeypatch):
        monkeypatch.setattr(_pairs, "BLOCK", 4)
        F, X, Y = small(pairs=11)
        expected = learn(X, Y).s
        pairs = SpectralOperator.fit((x.tolist(), y) for x, y in zip(X, Y))
        np.testing.assert_allclose(pairs.s, expected)
        files = []
        for name, array in (("x", X), ("y", Y)):
            file = np.memmap(tmp_path / name, "float64", "w+", shape=array.shape)
            file[:] = array
            files.append(file)
        mapped = learn(*files)
        np.testing.assert_allclose(mapped.s, expected)
        assert mapped.pairs == 11

    def test_shapes_and_inputs(self):
        X, Y = random((3, 2, 4, 5)), random((3, 6, 2), seed=1)
        before = X.copy(), Y.copy()
        learned = learn(X, Y)
        assert learned.u.shape == (3, 2, 4, 5) and learned.v.shape == (3, 6, 2)
        assert learned.predict(X[0]).shape == (6, 2)
        np.testing.assert_allclose(learned.predict(X[None]), Y[None], atol=1e-12)
        assert learned.reconstruct(Y[:2]).shape == (2, 2, 4, 5)
        np.testing.assert_array_equal(X, before[0])
        np.testing.assert_array_equal(Y, before[1])
        assert "3 singular values from 3 pairs" in repr(learned)

    @methods
    @pytest.mark.parametrize("power", [-150, 150])
    def test_scale(self, method, power):
        F, X, Y = small()
        s, scale = learn(X, Y, method).s, 10.0**power
        np.testing.assert_allclose(learn(X, Y * scale, method).s, s * scale)
        np.testing.assert_allclose(learn(X * scale, Y, method).s, s / scale)

    def test_weights(self):
        """As if both spaces were scaled by the roots of their weights."""
        F, X, Y = small()
        wx, wy = np.random.default_rng(0).uniform(0.1, 2, (2, 15))
        wx = wx[:12]
        learned = learn(X, Y, weights=(wx, wy))
        inner = learn(X * np.sqrt(wx), Y * np.sqrt(wy))
        np.testing.assert_allclose(learned.s, inner.s)
        gram = (learned.u * wx) @ learned.u.T
        np.testing.assert_allclose(gram, np.eye(7), atol=1e-12)
        gram = (learned.v * wy) @ learned.v.T
        np.testing.assert_allclose(gram, np.eye(7), atol=1e-12)
        np.testing.assert_allclose(learned.predict(X), Y, atol=1e-12)
        y = random((15,), seed=5)
        expected = inner.reconstruct(y * np.sqrt(wy)) / np.sqrt(wx)
        np.testing.assert_allclose(learned.reconstruct(y), expected, atol=1e-12)
        full = learn(random((12, 12)), random((12, 12)) @ F.T, weights=(wx, wy))
        assert full.diagnostics(lambda y: y @ F).residuals.max() < 1e-10


class TestDiagnostics:
    def test_loss_of_orthogonality(self):
        """Classical Gram-Schmidt loses what the others keep."""
        X = np.concatenate([np.ones((7, 1)), 1e-6 * np.eye(7)], axis=1)
        loss = {
            method: learn(X, X, method, tol=1e-12).diagnostics().orthogonality_loss
            for method in (*STABLE, "gram-schmidt")
        }
        assert loss.pop("gram-schmidt") > 1e-6
        assert max(loss.values()) < 1e-14

    @pytest.mark.parametrize("pairs", [6, 12])
    def test_residuals_bound_the_error(self, pairs):
        """A singular value of F lies within the residual over sqrt(2)."""
        F, X, Y = small(pairs=pairs)
        learned = learn(X, Y)
        for adjoint in (lambda y: y @ F, as_layer(F)):
            residuals = learned.diagnostics(adjoint).residuals
            direct = np.linalg.norm(
                learned.v @ F - learned.s[:, None] * learned.u, axis=1
            )
            np.testing.assert_allclose(residuals, direct, atol=1e-12)
        sigma = np.append(np.linalg.svd(F)[1], 0)
        distance = abs(learned.s[:, None] - sigma).min(1)
        assert np.all(distance <= residuals / np.sqrt(2) + 1e-12)
        assert (residuals.max() < 1e-12) == (pairs == 12)

    def test_noise(self):
        """Over many draws the singular values spread as `stderr` says."""
        F, X, Y = small(pairs=30)
        rng, found = np.random.default_rng(0), []
        for _ in range(150):
            learned = learn(X, Y + 0.02 * rng.standard_normal(Y.shape))
            found.append(learned.s)
        known = learned.diagnostics(noise=0.02)
        spread = np.std(found, axis=0)
        np.testing.assert_allclose(spread, known.stderr, rtol=0.25)
        off = np.mean(found, axis=0) - np.linalg.svd(F)[1]
        assert np.all(abs(off - known.bias) < 5 * spread)
        assert known.noise == 0.02 and known.trusted[0]
        assert not learned.diagnostics(noise=5.0).trusted.any()

    def test_bias(self):
        """Noise makes singular values larger, by what `bias` says."""
        F, X = random((200, 1), seed=1), np.ones((4, 1))
        rng = np.random.default_rng(0)
        found = [
            learn(X, X @ F.T + rng.standard_normal((4, 200))).s[0] for _ in range(400)
        ]
        known = learn(X, X @ F.T).diagnostics(noise=1.0)
        off = np.mean(found) - np.linalg.norm(F)
        np.testing.assert_allclose(known.bias, [off], rtol=0.15)
        np.testing.assert_allclose(known.stderr, [0.5])

    def test_rounding(self):
        """In single precision, what is trusted is right and the rest is named."""
        F = random((60, 50), seed=1)
        X = random((20, 50), seed=2)
        X[10:] = X[:10] + 1e-4 * X[10:]
        learned = learn(X.astype("f"), (X @ F.T).astype("f"))
        basis = np.linalg.qr(X.T)[0]
        error = abs(learned.s - np.linalg.svd(F @ basis)[1])
        known = learned.diagnostics()
        assert learned.s.dtype == "float32" and known.condition > 1e4
        assert np.all(error <= known.rounding)
        assert not known.trusted.all()
        clean = learn(X, X @ F.T).diagnostics()
        assert clean.trusted.all() and np.isnan(clean.noise)


def as_layer(F):
    """F as an operator of convinv: a 1 x 1 layer on one pixel."""
    return ConvLinearOperator(F[:, :, None], (F.shape[1], 1))


EXTREMES = [
    (0, 62), (0, -83), (100, 30), (-120, -20), (-60, 60), (90, -30), (-149, -130),
]  # fmt: skip


@pytest.mark.parametrize("powers", EXTREMES)
@pytest.mark.parametrize("damp", [0.0, 0.3])
def test_reconstruction_at_the_ends_of_single_precision(powers, damp):
    """Singular values of 1e19 and 1e-25, whose squares float32 can't hold."""
    rng = np.random.default_rng(0)
    F, x = rng.standard_normal((9, 5)), rng.standard_normal(5)
    X = rng.standard_normal((12, 5))
    of_x, of_y = (2.0**power for power in powers)
    pairs = (of_x * X).astype("f4"), (of_y * X @ F.T).astype("f4")
    if np.log2(of_x) < -126:  # numbers that have lost digits
        F = np.linalg.lstsq(*(p.astype(float) / s for p, s in zip(pairs, (of_x, of_y))))
        F = F[0].T
    learned = SpectralOperator.fit(*pairs)
    y = (of_y * F @ x).astype("f4")
    got = learned.reconstruct(y, damp=damp * of_y / of_x)
    wide = y.astype(float) / of_y
    want = np.linalg.solve(F.T @ F + damp**2 * np.eye(5), F.T @ wide)
    assert got.dtype == np.float32
    error = np.linalg.norm(got.astype(float) / of_x - want)
    assert error <= 1e-4 * np.linalg.norm(want) + 8 * 2.0**-149 / of_x


@pytest.mark.parametrize("powers", [(62, 62), (-83, -20), (100, 30), (-120, -20)])
def test_kernels_at_the_ends_of_single_precision(powers):
    rng = np.random.default_rng(1)
    kernel, x = rng.standard_normal((2, 1, 3, 3)), rng.standard_normal((1, 12, 13))
    y = ConvLinearOperator(kernel, x.shape).forward(x)
    of_x, of_y = (2.0**power for power in powers)
    fit = fit_kernel((of_x * x).astype("f4"), (of_y * y).astype("f4"), 3)
    got = fit.kernel.astype(float) / of_y * of_x
    np.testing.assert_allclose(got, kernel, atol=1e-5)
    assert np.isfinite(fit.stderr).all() and np.isfinite(fit.condition)
