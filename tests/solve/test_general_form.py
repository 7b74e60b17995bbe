"""Penalties, priors, weights and masks of `solve`, against dense matrices."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import aslinearoperator

from convinv import ConvLinearOperator, gallery, solve
from convinv.operators import MaskOperator, StackedOperator
from support.arrays import normal
from support.penalties import OPERATORS, dense, minimizer, operator, penalty

DAMP = 0.2
every_operator = pytest.mark.parametrize("name", OPERATORS)


def close(found, expected, rtol=1e-7):
    size = np.linalg.norm(expected)
    assert np.linalg.norm(np.ravel(found) - np.ravel(expected)) <= rtol * size


@every_operator
@pytest.mark.parametrize("regularizer", ["gradient", "laplacian"])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_named_penalties(name, regularizer, dtype):
    op = operator(name, dtype)
    b = normal(np.random.default_rng(1), op.output_shape, dtype)
    found = solve(op, b, regularizer=regularizer, damp=DAMP, rtol=1e-11)
    L = dense(penalty(regularizer, op))
    close(found.x, minimizer(dense(op), b.ravel(), [DAMP * L]))
    assert found.success and found.x.shape == op.input_shape
    assert found.extra["damp"] == DAMP
    rest = b.ravel() - dense(op) @ found.x.ravel()
    assert found.residual_norm == pytest.approx(np.linalg.norm(rest))
    seen = np.linalg.norm(L @ found.x.ravel())
    assert found.extra["penalty_norm"] == pytest.approx(seen)


@pytest.mark.parametrize("method", ["direct", "schwarz", "embedding", "cgls", "lsqr"])
@pytest.mark.parametrize("regularizer", ["gradient", "laplacian"])
def test_methods_agree(method, regularizer):
    if (method, regularizer) == ("embedding", "laplacian"):
        pytest.skip("second differences at the border are folded")
    op = operator("valid")
    b = normal(np.random.default_rng(2), op.output_shape)
    found = solve(op, b, method, regularizer=regularizer, damp=DAMP, rtol=1e-11)
    L = dense(penalty(regularizer, op))
    close(found.x, minimizer(dense(op), b.ravel(), [DAMP * L]))
    assert found.method == method


class TestKindsOfPenalties:
    op = operator("valid", seed=3)
    b = normal(np.random.default_rng(3), op.output_shape)
    A = dense(op)

    def check(self, regularizer, matrices, damp=DAMP, **options):
        found = solve(
            self.op, self.b, regularizer=regularizer, damp=damp, rtol=1e-11, **options
        )
        assert found.success
        damps = damp if isinstance(damp, list) else [damp] * len(matrices)
        scaled = [one * matrix for one, matrix in zip(damps, matrices)]
        close(found.x, minimizer(self.A, self.b.ravel(), scaled), 1e-6)

    @pytest.mark.parametrize("full", [False, True])
    def test_kernel(self, full):
        kernel = np.array([[1.0, -2, 1], [0, 0.5, 0]])
        L = ConvLinearOperator(kernel[None, None], self.op.input_shape)
        self.check(kernel[None, None] if full else kernel, [dense(L)])

    def test_integer_kernel(self):
        kernel = np.array([[1, -1]])
        L = ConvLinearOperator(kernel[None, None], self.op.input_shape)
        self.check(kernel, [dense(L)])

    @pytest.mark.parametrize("wrap", [sp.csr_array, aslinearoperator])
    def test_operators_of_any_kind(self, wrap):
        matrix = np.random.default_rng(4).standard_normal((70, self.op.shape[1]))
        self.check(wrap(matrix), [matrix])

    def test_lists_with_a_weight_each(self):
        gradient = dense(penalty("gradient", self.op))
        matrices = [gradient, np.eye(self.op.shape[1])]
        self.check(["gradient", "identity"], matrices, [0.3, 0.1])
        self.check(["gradient", "identity"], matrices, 0.2)

    def test_identity_is_plain_damping(self):
        first = solve(self.op, self.b, damp=DAMP, regularizer="identity")
        np.testing.assert_array_equal(first.x, solve(self.op, self.b, damp=DAMP).x)

    def test_mask_as_penalty(self):
        keep = np.random.default_rng(5).random(self.op.input_shape) < 0.5
        L = MaskOperator(keep)
        self.check(["gradient", L], [dense(penalty("gradient", self.op)), dense(L)])


class TestPrior:
    def test_draws_x_toward_it(self):
        op = operator("groups")
        rng = np.random.default_rng(6)
        b, prior = rng.random(op.output_shape), rng.random(op.input_shape)
        L = dense(penalty("gradient", op))
        found = solve(op, b, prior=prior, damp=DAMP, regularizer="gradient", rtol=1e-11)
        close(found.x, minimizer(dense(op), b.ravel(), [DAMP * L], prior=prior))
        found = solve(op, b, prior=prior, damp=DAMP, rtol=1e-11)
        eye = DAMP * np.eye(op.shape[1])
        close(found.x, minimizer(dense(op), b.ravel(), [eye], prior=prior))

    def test_mean_keeps_flat_fields(self):
        kernel = gallery.gaussian_kernel(5, 1.0)[None, None]
        op = ConvLinearOperator(np.repeat(kernel, 2, 0), (2, 20, 21), groups=2)
        flat = np.array([1000.0, 30.0])[:, None, None] * np.ones((2, 20, 21))
        found = solve(op, op.forward(flat), damp=0.1, prior="mean")
        close(found.x, flat, 1e-9)
        dark = solve(op, op.forward(flat), damp=0.1).x
        assert dark.mean() < 0.995 * flat.mean()

    def test_batch_start_and_callback(self):
        op = operator("valid")
        rng = np.random.default_rng(7)
        b, prior = rng.random((3, *op.output_shape)), rng.random((3, *op.input_shape))
        states = []
        found = solve(
            op, b, "cgls", prior=prior, damp=DAMP, regularizer="gradient", rtol=1e-11,
            x0=prior[0], callback=lambda state: states.append(state.x),
        )  # fmt: skip
        L = DAMP * dense(penalty("gradient", op))
        for x, data, own in zip(found.x, b, prior):
            close(x, minimizer(dense(op), data.ravel(), [L], prior=own))
        assert states[0].shape == found.x.shape and len(states) == found.nit
        close(states[-1], found.x, 1e-6)


class TestWeights:
    def setup_method(self):
        self.op, rng = operator("valid"), np.random.default_rng(8)
        self.b = rng.random(self.op.output_shape)
        self.weights = rng.random(self.op.output_shape)
        self.mask = rng.random(self.op.output_shape) < 0.8
        self.L = DAMP * dense(penalty("gradient", self.op))

    def solved(self, b, method="auto", **options):
        options = {"regularizer": "gradient", "damp": DAMP, "rtol": 1e-11, **options}
        return solve(self.op, b, method, **options)

    def expected(self, b, weights):
        return minimizer(dense(self.op), b.ravel(), [self.L], weights)

    def test_weights(self):
        found = self.solved(self.b, weights=self.weights)
        close(found.x, self.expected(self.b, self.weights))
        root = np.sqrt(self.weights) * (self.b - self.op.forward(found.x))
        assert found.residual_norm == pytest.approx(np.linalg.norm(root))

    @pytest.mark.parametrize("method", ["auto", "embedding", "cgls", "lsmr"])
    def test_masks_hide_nan(self, method):
        b = np.where(self.mask, self.b, np.nan)
        found = self.solved(b, method, mask=self.mask)
        close(found.x, self.expected(self.b, self.mask * 1.0))
        if method != "cgls":
            return
        other = self.solved(np.ma.masked_array(self.b, mask=~self.mask), method)
        np.testing.assert_array_equal(other.x, found.x)

    def test_weights_and_mask_broadcast(self):
        line = np.random.default_rng(9).random(self.op.output_shape[-1])
        found = self.solved(self.b, weights=line, mask=self.mask)
        close(found.x, self.expected(self.b, line * self.mask))

    def test_masks_of_their_own_for_each_item(self):
        rng = np.random.default_rng(10)
        b = rng.random((2, *self.op.output_shape))
        mask = rng.random(b.shape) < 0.8
        found = self.solved(np.where(mask, b, np.nan), mask=mask)
        for x, data, own in zip(found.x, b, mask):
            close(x, self.expected(data, own * 1.0))
        assert found.x.shape == (2, *self.op.input_shape)

    def test_of_general_operators(self):
        A = np.random.default_rng(11).standard_normal((30, 12))
        b, weights = A[:, 0] + A[:, 1], np.arange(30.0)
        found = solve(A, b + 0.1, damp=0.5, weights=weights, rtol=1e-11)
        close(found.x, minimizer(A, b + 0.1, [0.5 * np.eye(12)], weights))

    def test_of_stacks(self):
        op = StackedOperator([self.op, operator("valid", seed=5)])
        b = np.random.default_rng(12).random(op.output_shape)
        weights = np.random.default_rng(13).random(op.output_shape)
        found = solve(
            op, b, regularizer="gradient", damp=DAMP, weights=weights, rtol=1e-11
        )
        close(found.x, minimizer(dense(op), b.ravel(), [self.L], weights))


def test_a_flagged_cosmic_ray_does_no_harm():
    x = np.random.default_rng(0).random((1, 32, 32))
    kernel = gallery.gaussian_kernel(5, 1.0)[None, None]
    op = ConvLinearOperator(kernel, x.shape, padding="same", boundary="symmetric")
    b = op.forward(x)
    b[0, 5, 5] = 1e6
    found = solve(op, np.ma.masked_array(b, mask=b > 1e5), damp=0.05)
    assert found.success and abs(found.x - x).max() < 1


def test_the_periodic_laplacian_is_the_wiener_filter_of_scikit_image():
    restoration = pytest.importorskip("skimage.restoration")
    image = gallery.image("camera", 64)
    psf = gallery.gaussian_kernel(7, 1.5)
    op = ConvLinearOperator(
        psf[None, None], image.shape, padding="same", boundary="periodic", flip=True
    )
    b = op.forward(image)
    expected = restoration.wiener(b[0], psf, 0.01, clip=False)
    found = solve(op, b, regularizer="laplacian", damp=0.1)
    np.testing.assert_allclose(found.x[0], expected, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"regularizer": "sobel", "damp": 1}, ValueError, "must be one of 'identity'"),
        ({"regularizer": "gradient"}, ValueError, "needs a damp larger than 0"),
        ({"regularizer": 3.0, "damp": 1}, TypeError, "got float"),
        ({"regularizer": [], "damp": 1}, ValueError, "an empty list"),
        ({"regularizer": np.ones(3), "damp": 1}, ValueError, "2 spatial axes of op"),
        ({"regularizer": sp.eye_array(5), "damp": 1}, ValueError, "unknowns of op"),
        ({"regularizer": ["gradient"] * 2, "damp": [1, 2, 3]}, ValueError, "got 3"),
        ({"damp": 1, "prior": "median"}, ValueError, "'mean' or an array"),
        ({"damp": 1, "prior": np.ones((3, 3))}, ValueError, "x0|prior"),
        ({"damp": 1, "weights": -np.ones((1, 7, 8))}, ValueError, "not negative"),
        ({"damp": 1, "weights": np.ones((3, 3))}, ValueError, "shape of one item of b"),
        ({"damp": 1, "mask": np.ones((1, 7, 8))}, TypeError, "weights="),
        ({"damp": 1, "mask": np.zeros((1, 7, 8), bool)}, ValueError, "no datum"),
        ({"damp": 1, "mask": np.ones((1, 7, 8), bool), "b": np.nan}, ValueError, "NaN"),
    ],
)
def test_errors(options, error, words):
    op = operator("valid")
    b = np.ones(op.output_shape) * options.pop("b", 1.0)
    with pytest.raises(error, match=words):
        solve(op, b, **options)
