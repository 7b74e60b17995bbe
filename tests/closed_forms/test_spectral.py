"""The spectral method against dense pseudoinverses."""

import warnings

import numpy as np
import pytest

from convinv import ConvergenceWarning, ConvLinearOperator, Status, solve
from convinv._closed_forms import by_frequency as spectral_inverse
from convinv.operators._symbol import Symbol
from convinv.solvers import METHODS
from support.arrays import doubles, random
from support.layers import matrix
from support.oracles import pinv
from support.torus_layers import NAMES, deficient, layer, named

cases = pytest.mark.parametrize("name", NAMES)


def data(op, batch=(2,)):
    return random((*batch, *op.output_shape), op.dtype, 7)


def flat(x):
    return x.reshape(len(x), -1)


def test_the_registry():
    method = METHODS["spectral"]
    assert method.applies_inverse and method.convolution_only and method.minimum_norm
    assert method.damp and [*method.options] == ["rcond"]


@cases
class TestAnswers:
    @doubles
    def test_is_the_pseudoinverse(self, name, dtype):
        """Least squares for data outside the range, least norm where many fit."""
        op = named(name, dtype)
        b = data(op)
        result = solve(op, b, "spectral", rtol=1e-11)
        assert result.success and result.nit <= 2 and result.x.dtype == dtype
        expected = flat(b) @ pinv(matrix(op)).T
        size = np.abs(expected).max()
        np.testing.assert_allclose(flat(result.x), expected, atol=1e-10 * size)
        rank = np.linalg.matrix_rank(matrix(op))
        assert result.extra["rank"] == rank
        assert ("count as zero" in result.message) == (rank < min(op.shape))

    @pytest.mark.parametrize("dtype", ["float32", "complex64"])
    def test_single_precision(self, name, dtype):
        op = named(name, dtype)
        b = data(op)
        result = solve(op, b, "spectral", rtol=1e-5)
        assert result.success and result.x.dtype == dtype
        A = matrix(op)
        s = np.linalg.svd(A, compute_uv=False)
        expected = flat(b) @ pinv(A, 1e-5).T
        error = np.linalg.norm(flat(result.x) - expected, axis=1)
        amplified = np.linalg.norm(flat(b), axis=1) / s[s > 1e-5 * s[0]].min()
        assert np.all(error <= 1e-5 * amplified)

    @doubles
    @pytest.mark.parametrize("damp", [1e-3, 0.5])
    def test_damping(self, name, dtype, damp):
        op = named(name, dtype)
        A, b = matrix(op), data(op)
        result = solve(op, b, "spectral", damp=damp, rtol=1e-11)
        assert result.success
        n, right = A.shape[1], flat(b).T
        stacked = np.vstack([A, damp * np.eye(n)])  # normal equations round more
        right = np.vstack([right, np.zeros((n, right.shape[1]))])
        expected = np.linalg.lstsq(stacked, right)[0].T
        size = np.abs(expected).max()
        np.testing.assert_allclose(flat(result.x), expected, atol=1e-8 * size)

    @doubles
    @pytest.mark.parametrize("damp", [0.0, 0.5])
    def test_starting_points(self, name, dtype, damp):
        """Without damp the solution nearest to x0; with it x0 makes no difference."""
        op = named(name, dtype)
        A, b = matrix(op), data(op, ())
        x0 = random(op.input_shape, dtype, 8)
        result = solve(op, b, "spectral", x0=x0, damp=damp, rtol=1e-11)
        assert result.success
        if damp:
            normal = A.conj().T @ A + damp**2 * np.eye(A.shape[1])
            expected = np.linalg.solve(normal, A.conj().T @ b.ravel())
        else:
            r = b.ravel() - A @ x0.ravel()
            expected = x0.ravel() + pinv(A) @ r
        size = np.abs(expected).max()
        np.testing.assert_allclose(result.x.ravel(), expected, atol=1e-10 * size)


@pytest.mark.parametrize("name", ["tall", "wide", "stride, groups", "one dimension"])
def test_truncation(name):
    op = layer(name)
    A, b = matrix(op), data(op)
    s = np.linalg.svd(A, compute_uv=False)
    middle = slice(len(s) // 4, 3 * len(s) // 4)  # where the widest gap there is
    kept = 1 + middle.start + int(np.argmax(s[middle] / s[1:][middle]))
    rcond = float(np.sqrt(s[kept - 1] * s[kept]) / s[0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = solve(op, b, "spectral", rcond=rcond)
    expected = flat(b) @ pinv(A, rcond).T
    np.testing.assert_allclose(flat(result.x), expected, atol=1e-12)
    assert result.extra["rank"] == kept and result.status is Status.STALLED
    assert f"{len(s) - kept} of {len(s)} singular values" in result.message
    assert f"below rcond={rcond:g}" in str(caught[0].message)
    assert caught[0].category is ConvergenceWarning


def test_truncation_of_nothing():
    op = layer("tall")
    b = data(op)
    result = solve(op, b, "spectral", rcond=1e-6)
    assert result.success and "below" not in result.message
    np.testing.assert_allclose(result.x, solve(op, b, "spectral").x, atol=1e-10)


def test_tiny_damping_of_a_singular_layer():
    """No rounding error is amplified by ``1 / damp**2``."""
    op = deficient("float32")
    b = data(op)
    result = solve(op, b, "spectral", damp=1e-6, rtol=1e-5)
    expected = flat(b) @ pinv(matrix(op), 1e-5).T
    np.testing.assert_allclose(flat(result.x), expected, atol=1e-4)


def test_every_route_is_taken(monkeypatch):
    """The fast inverses and the SVD of every matrix agree."""
    for name in ("tall", "wide", "square", "many channels", "many, tall"):
        for damp in (0.0, 0.1):
            op = layer(name)
            b = flat(data(op))
            fast = spectral_inverse.inverse(Symbol(op), damp).apply(b)
            with monkeypatch.context() as patched:
                patched.setattr(spectral_inverse, "LOSS", 0.0)
                slow = spectral_inverse.inverse(Symbol(op), damp).apply(b)
                patched.setattr(spectral_inverse, "LOSS", np.inf)
                # accepted whatever the condition: none is sent to the SVD
                patched.setattr(np.linalg, "svd", None)
                direct = spectral_inverse.inverse(Symbol(op), damp).apply(b)
            np.testing.assert_allclose(fast, slow, atol=1e-9 * np.abs(slow).max())
            np.testing.assert_allclose(direct, slow, atol=1e-6 * np.abs(slow).max())


def test_small_slabs(monkeypatch):
    op = layer("strides, dilation")
    b = flat(data(op))
    whole = spectral_inverse.inverse(Symbol(op), 0.1).apply(b)
    monkeypatch.setattr("convinv.operators._symbol.SLAB", 1)
    np.testing.assert_allclose(
        spectral_inverse.inverse(Symbol(op), 0.1).apply(b), whole, atol=1e-12
    )


def test_set_up_is_kept():
    op = layer("tall")
    b = data(op)
    first = solve(op, b, "spectral")
    kept = {key: op.cached(key, None) for key in op.cached_keys}
    assert sorted(k[0] for k in kept) == ["closed form", "size", "spectral"]
    np.testing.assert_array_equal(solve(op, b, "spectral").x, first.x)
    for key, value in kept.items():
        assert op.cached(key, None) is value
    for damp in (0.1, 0.2, 0.3):
        solve(op, b, "spectral", damp=damp)
    kept = op.cached_keys
    assert [k[2] for k in kept if k[0] == "spectral"] == [0.2, 0.3]


def test_wrong_arguments():
    op = ConvLinearOperator(layer("tall").kernel, (3, 6, 8), padding=1)
    with pytest.raises(ValueError, match="boundary is 'zero'.*method='auto'"):
        solve(op, data(op), "spectral")
    op = layer("tall")
    for rcond in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=r"rcond must be a number in \[0, 1\)"):
            solve(op, data(op), "spectral", rcond=rcond)
    with pytest.raises(ValueError, match="rcond truncates and damp damps"):
        solve(op, data(op), "spectral", rcond=0.1, damp=0.1)


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
@pytest.mark.parametrize("name", ["stride, groups", "deficient"])
def test_device_equals_host(cupy, name, dtype):
    host = named(name, dtype)
    b = data(host)
    x0 = random(host.input_shape, dtype, 9)
    rtol = 1e-5 if dtype == "complex64" else 1e-10
    device = ConvLinearOperator(
        cupy.asarray(host.kernel), host.input_shape, **host.options
    )
    for damp in (0, 0.1):
        want = solve(host, b, "spectral", damp=damp, x0=x0, rtol=rtol)
        start = cupy.asarray(x0)
        got = solve(device, cupy.asarray(b), "spectral", damp=damp, x0=start, rtol=rtol)
        assert isinstance(got.x, cupy.ndarray) and got.success
        size = np.abs(want.x).max()
        np.testing.assert_allclose(got.x.get(), want.x, atol=10 * rtol * size)
