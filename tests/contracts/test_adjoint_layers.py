"""Adjoints of layers in all that takes layers, against dense matrices."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings

from convinv import ConvLinearOperator, layer_report, project_nullspace, solve
from convinv._solve.auto import choose
from convinv.precondition import Circulant, Jacobi, Schwarz
from convinv.spectra import singular_values, spectrum
from support.arrays import doubles, random
from support.layers import layer, layers, matrix

# name: (kernel shape, input shape, options)
LAYERS = {
    "tall": ((6, 2, 3, 3), (2, 14, 15), {}),
    "wide": ((2, 5, 3, 3), (5, 13, 14), {}),
    "square": ((2, 2, 3, 3), (2, 12, 13), {"padding": 1}),
    "stride": ((9, 2, 3, 3), (2, 15, 14), {"stride": 2, "padding": 1}),
    "groups": ((6, 1, 3, 3), (2, 14, 13), {"groups": 2, "boundary": "reflect"}),
    "dilation": ((4, 1, 3), (1, 60), {"dilation": 3, "padding": 2}),
}
TORUS = {
    "tall": ((5, 2, 3, 3), (2, 8, 9), {}),
    "wide": ((2, 5, 3, 3), (5, 8, 7), {}),
    "stride": ((3, 2, 3, 3), (2, 8, 6), {"stride": 2, "padding": 1}),
    "groups": ((4, 1, 3, 3), (2, 6, 7), {"groups": 2}),
}


def made(name, dtype):
    shape, input_shape, options = LAYERS[name]
    return layer(shape, input_shape, dtype, **options)


def torus(name, dtype="float64"):
    shape, input_shape, options = TORUS[name]
    options = {"padding": "same", "boundary": "periodic", **options}
    return layer(shape, input_shape, dtype, **options)


def close(x, expected, tolerance=1e-7):
    x, expected = np.ravel(x), np.ravel(expected)
    assert np.linalg.norm(x - expected) <= tolerance * np.linalg.norm(expected)


def least_squares(A, b, damp=0.0):
    if damp:
        return np.linalg.solve(
            A.conj().T @ A + damp**2 * np.eye(A.shape[1]), A.conj().T @ np.ravel(b)
        )
    return np.linalg.pinv(A, rcond=1e-10) @ np.ravel(b)


@settings(max_examples=60)
@given(layers())
def test_products_and_matrices(op):
    for adjoint, A in ((op.H, matrix(op).conj().T), (op.T, matrix(op).T)):
        assert adjoint.shape == A.shape and adjoint.dtype == op.dtype
        x = random(A.shape[1], op.dtype, 1)
        np.testing.assert_allclose(adjoint @ x, A @ x, atol=1e-10)
        y = random(A.shape[0], op.dtype, 2)
        np.testing.assert_allclose(adjoint.H @ y, A.conj().T @ y, atol=1e-10)
        np.testing.assert_allclose(adjoint.T @ y, A.T @ y, atol=1e-10)
        np.testing.assert_allclose(adjoint.todense(), A, atol=1e-12)
        other = pickle.loads(pickle.dumps(adjoint))
        np.testing.assert_array_equal(other @ x, adjoint @ x)
        np.testing.assert_allclose((2 * adjoint) @ x, 2 * (A @ x), atol=1e-10)
    assert op.H.H is op


def test_scaled_adjoints_of_complex_layers():
    op = made("tall", "complex128")
    x = random(op.shape[0], "complex128")
    np.testing.assert_allclose((1j * op.H) @ x, 1j * (op.H @ x), atol=1e-12)
    np.testing.assert_allclose(
        (1j * op.H).H @ op.H.matvec(x), -1j * (op @ op.H.matvec(x)), atol=1e-9
    )


@doubles
@pytest.mark.parametrize("damp", [0.0, 0.4])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("method", ["auto", "direct", "schwarz", "cgls"])
def test_solves(name, dtype, method, damp):
    op = made(name, dtype)
    for adjoint, A in ((op.H, matrix(op).conj().T), (op.T, matrix(op).T)):
        b = random((2, *adjoint.output_shape), dtype, 3)
        result = solve(adjoint, b, method, damp=damp, rtol=1e-11, maxiter=5000)
        assert result.success and result.x.shape == (2, *adjoint.input_shape)
        for x, y in zip(result.x, b):
            close(x, least_squares(A, y, damp), 1e-6)


@doubles
@pytest.mark.parametrize("damp", [0.0, 0.4])
@pytest.mark.parametrize("name", TORUS)
def test_spectral_solves(name, dtype, damp):
    op = torus(name, dtype)
    A, adjoint = matrix(op).conj().T, op.H
    b, x0 = random(adjoint.output_shape, dtype), random(adjoint.input_shape, dtype, 5)
    for start in (None, x0):
        result = solve(adjoint, b, damp=damp, x0=start, rtol=1e-11)
        assert result.success and result.method == "spectral"
        if damp or start is None:
            close(result.x, least_squares(A, b, damp))


@pytest.mark.parametrize("name", TORUS)
def test_null_spaces(name):
    for op in (torus(name), made("tall", "float64")):
        A, x = matrix(op).T, random(op.output_shape, seed=4)
        z = project_nullspace(op.H, x)
        expected = x.ravel() - np.linalg.pinv(A) @ (A @ x.ravel())
        np.testing.assert_allclose(z.ravel(), expected, atol=1e-7)


@pytest.mark.parametrize("op", [torus("stride"), made("square", "float64")])
def test_spectra(op):
    truth = np.linalg.svd(matrix(op), compute_uv=False)
    np.testing.assert_allclose(singular_values(op.H), truth, atol=1e-10)
    for found in (spectrum(op.H), layer_report(op.H).spectrum):
        assert found.exact and found.shape == op.shape[::-1]
        np.testing.assert_allclose(float(found.largest), truth[0])
        np.testing.assert_allclose(float(found.smallest), truth[-1], rtol=1e-8)
        gain = np.linalg.pinv(matrix(op).T)
        gain = np.sqrt(np.sum(gain**2, axis=1).reshape(op.output_shape[0], -1).mean(1))
        np.testing.assert_allclose(found.noise_gain_by_channel, gain, rtol=1e-8)
    assert "adjoint of" in str(layer_report(op.H))


def test_diagonal_preconditioners():
    op = made("square", "complex128")
    A = matrix(op).conj().T
    v = random(op.shape[0], "complex128")
    squares = np.sum(np.abs(A) ** 2, axis=0) + 0.25
    np.testing.assert_allclose(Jacobi(op.H, 0.5) @ v, v / squares)
    M = Jacobi(op.H, equations="plain")
    np.testing.assert_allclose(M @ v, v / np.diag(A))


@pytest.mark.parametrize("cls", [Circulant, Schwarz])
def test_preconditioners(cls):
    op = made("tall", "float64")
    M = cls(op.H, 0.5)
    S = np.asarray(M @ np.eye(M.shape[0]))
    assert M.shape == (op.shape[0],) * 2
    np.testing.assert_allclose(S, S.T, atol=1e-10 * np.abs(S).max())
    assert np.linalg.eigvalsh(S)[0] > 0
    b = random(op.H.output_shape)
    name = cls.__name__.lower()
    result = solve(op.H, b, "cgls", preconditioner=name, rtol=1e-10)
    close(result.x, least_squares(matrix(op).T, b), 1e-6)


def test_auto_chooses_as_for_the_layer():
    for op in (made("tall", "float64"), torus("tall"), made("groups", "float64")):
        names = [{c.name for c in choose(one)} for one in (op, op.H)]
        assert names[0] == names[1]
    op = layer((16, 16, 3, 3), (16, 12, 12), padding=1)
    y = op.H.forward(random(op.output_shape))
    result = solve(op.H, y, rtol=1e-9)
    assert result.success and result.method == "direct"
    close(result.x, random(op.output_shape), 1e-5)


def test_set_ups_serve_both():
    op = made("tall", "float64")
    solve(op, random(op.output_shape), "direct")
    kept = [key for key in op.cached_keys if key[0] == "direct"]
    solve(op.H, random(op.input_shape), "direct")
    again = [key for key in op.cached_keys if key[0] == "direct"]
    assert kept == again and len(kept) == 1


@pytest.mark.parametrize("method", ["strip", "kaczmarz", "rk", "gauss-seidel"])
def test_methods_that_need_the_layer_itself(method):
    op = made("tall", "float64")
    with pytest.raises(TypeError, match=f"method '{method}' needs"):
        solve(op.H, random(op.input_shape), method)


def test_single_precision():
    kernel = random((3, 3, 3, 3), "float32") / 5
    op = ConvLinearOperator(kernel, (3, 16, 16), padding=1)
    y = random(op.output_shape, "float32", 2)
    b = op.H.forward(y)
    result = solve(op.H, b)
    truth = np.linalg.solve(matrix(op).T, b.ravel().astype(float))
    assert result.success and result.x.dtype == "float32"
    close(result.x, truth, 1e-5)
