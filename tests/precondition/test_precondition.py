"""Preconditioners as operators, in SciPy's solvers and in `solve`."""

import copy
import pickle

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, cg, gmres

from convinv import ConvLinearOperator, solve
from convinv.precondition import PRECONDITIONERS, Circulant, Jacobi, Schwarz
from support.arrays import BOUNDARIES, random
from support.layers import layer, matrix

CLASSES = pytest.mark.parametrize("cls", PRECONDITIONERS.values())
FAST = pytest.mark.parametrize("cls", [Circulant, Schwarz])
SIZE = (24, 23)  # with bands of depth 5 there is an interior


def make(cls, op, damp=0.0, equations="normal"):
    depth = {"depth": 5} if cls is Schwarz else {}
    return cls(op, damp, equations, **depth)


def tall(dtype="float64", **options):
    return layer((6, 1, 3, 3), (1, *SIZE), dtype, **options)


def square(scale=1.0, dtype="float64"):
    kernel = 0.05 * random((1, 1, 3, 3), dtype)
    kernel[0, 0, 1, 1] = 1
    return ConvLinearOperator(scale * kernel, (1, *SIZE), padding=1)


def blur():
    g = np.exp(-0.5 * (np.arange(-1, 2) / 0.6) ** 2)
    kernel = np.outer(g, g)[None, None] / g.sum() ** 2
    return ConvLinearOperator(kernel, (1, *SIZE), padding=1)


def dense(M):
    return np.asarray(M @ np.eye(M.shape[0], dtype=M.dtype))


@CLASSES
@pytest.mark.parametrize(
    ("boundary", "dtype"),
    [*((boundary, "float64") for boundary in BOUNDARIES), ("reflect", "complex128")],
)
def test_hermitian_and_positive_definite(cls, boundary, dtype):
    op = layer((6, 1, 3, 3), (1, *SIZE), dtype, padding=1, boundary=boundary)
    for damp in (0.0, 0.5):
        M = dense(make(cls, op, damp))
        size = np.linalg.norm(M)
        assert np.linalg.norm(M - M.conj().T) <= 1e-11 * size
        assert np.linalg.eigvalsh(M)[0] > 0


@pytest.mark.parametrize("size", [(2, 2), (2, 5), (3, 4), (4, 9), (1, 7), (5, 5)])
def test_circulant_of_small_images(size):
    op = layer((3, 1, 3, 3), (1, *size), padding=1)
    M = dense(Circulant(op, 0.5))
    np.testing.assert_allclose(M, M.T, atol=1e-11 * np.abs(M).max())
    assert np.linalg.eigvalsh(M)[0] > 0


@CLASSES
def test_they_are_operators(cls):
    op = tall()
    M = make(cls, op, 0.1)
    assert isinstance(M, LinearOperator) and M.shape == (op.shape[1],) * 2
    assert M.input_shape == M.output_shape == op.input_shape and M.dtype == op.dtype
    x = random((3, *op.input_shape))
    flat = M.matmat(x.reshape(3, -1).T).T
    np.testing.assert_allclose(M.forward(x).reshape(3, -1), flat, atol=1e-12)
    np.testing.assert_allclose(M.adjoint(x), M.forward(x), atol=1e-12)
    before = x.copy()
    M.forward(x)
    np.testing.assert_array_equal(x, before)


@CLASSES
@pytest.mark.parametrize(
    ("op", "x", "result"),
    [
        ("float32", "float64", "float64"),
        ("float64", "float32", "float32"),
        ("complex64", "float32", "complex64"),
        ("complex128", "float64", "complex128"),
        ("float64", "complex128", "complex128"),
    ],
)
def test_dtypes(cls, op, x, result):
    M = make(cls, tall(op), 0.5)
    v = random((M.shape[0],), x)
    y = M @ v
    assert y.dtype == result
    wide = make(cls, tall("complex128" if op[0] == "c" else "float64"), 0.5) @ v
    close = 1e-4 if "32" in op + x or "64" in op[:9] * (op[0] == "c") else 1e-11
    np.testing.assert_allclose(y, wide, atol=close * np.abs(wide).max())


@FAST
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_scipy_cg_on_the_normal_equations(cls, dtype):
    op = tall(dtype)
    A, b = matrix(op), random(op.shape[0], dtype)
    counts = {}
    for M in (None, make(cls, op)):
        steps = []
        x, info = cg(op.H @ op, op.H @ b, M=M, rtol=1e-10, callback=steps.append)
        assert info == 0
        expected = np.linalg.solve(A.conj().T @ A, A.conj().T @ b)
        assert np.linalg.norm(x - expected) <= 1e-6 * np.linalg.norm(expected)
        counts[M is None] = len(steps)
    assert counts[False] < counts[True] / (1.2 if cls is Circulant else 3)


@FAST
def test_scipy_cg_on_a_blur(cls):
    op = blur()
    b = random(op.shape[0])
    counts = []
    for M in (None, make(cls, op, equations="hermitian")):
        steps = []
        x, info = cg(op, b, M=M, rtol=1e-9, maxiter=500, callback=steps.append)
        counts.append(len(steps))
        assert info == 0
    np.testing.assert_allclose(matrix(op) @ x, b, atol=1e-7)
    assert counts[1] < counts[0]
    result = solve(op, b, "cg", preconditioner=cls.__name__.lower(), rtol=1e-9)
    assert result.success and result.nit < solve(op, b, "cg", rtol=1e-9).nit


@FAST
def test_scipy_gmres(cls):
    op = square()
    b = random(op.shape[0])
    M = make(cls, op, equations="plain")
    x, info = gmres(op, b, M=M, rtol=1e-9, maxiter=10)
    assert info == 0
    np.testing.assert_allclose(matrix(op) @ x, b, atol=1e-6)
    plain = solve(op, b, "gmres", rtol=1e-9)
    result = solve(op, b, "gmres", preconditioner=cls.__name__.lower(), rtol=1e-9)
    assert result.success and result.nit <= plain.nit
    with pytest.raises(TypeError, match="no adjoint"):
        M.adjoint(b.reshape(op.input_shape))


@CLASSES
def test_prepared_objects_in_solve(cls):
    """They are used as they are, whatever their damp."""
    op = tall()
    b = random((2, *op.output_shape))
    M = make(cls, op, 0.2)
    for damp in (0.0, 0.3):
        result = solve(op, b, "cgls", damp=damp, preconditioner=M)
        assert result.success
        expected = solve(op, b, "cgls", damp=damp, rtol=1e-11).x
        np.testing.assert_allclose(result.x, expected, atol=1e-4)
    assert M._other is None and M.at("normal") is M
    with pytest.raises(ValueError, match=r"damp=0.2 is one for the normal equations"):
        make(cls, square(), 0.2).at("hermitian")
    M = make(cls, square())
    assert M.at("plain") is M.at("plain")  # its set-up is kept
    assert M.at("plain").equations == "plain"


@FAST
def test_regularized_objects_for_singular_layers(cls):
    """Two equal channels: nothing but damp makes a preconditioner of its own."""
    kernel = random((8, 3, 3, 3))
    kernel[:, 2] = kernel[:, 1]
    op = ConvLinearOperator(kernel, (3, *SIZE))
    x = random(op.input_shape, seed=3)
    with pytest.raises(np.linalg.LinAlgError):
        make(cls, op)
    for preconditioner in (make(cls, op, 0.1), cls.__name__.lower()):
        b = op.forward(x)
        result = solve(op, b, "cgls", preconditioner=preconditioner, rtol=1e-9)
        assert result.success and result.nit <= 200
        assert np.linalg.norm(op.forward(result.x - x)) <= 1e-5 * np.linalg.norm(x)


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_circulants_of_singular_symbols(boundary):
    """A box blur removes frequencies where its width divides the image."""
    kernel = np.ones((1, 1, 3, 3)) / 9
    op = ConvLinearOperator(kernel, (1, 30, 30), padding=1, boundary=boundary)
    with pytest.raises(np.linalg.LinAlgError, match="singular at a frequency of its"):
        Circulant(op)
    M = Circulant(op, shifted=True)
    assert 0 < M.shift <= 1e-3
    S = dense(M)
    np.testing.assert_allclose(S, S.T, atol=1e-11 * np.abs(S).max())
    assert np.linalg.eigvalsh(S)[0] > 0
    assert pickle.loads(pickle.dumps(M)).shift == M.shift
    b = op.forward(random(op.input_shape))
    for method in ("cgls", "lsmr"):
        result = solve(op, b, method, preconditioner="circulant", rtol=1e-8)
        assert result.success


def test_circulants_of_indefinite_symbols():
    kernel = np.zeros((1, 1, 3, 3))
    kernel[0, 0, 1] = [1.0, 0.5, 1.0]
    op = ConvLinearOperator(kernel, (1, 20, 20), padding=1)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        Circulant(op, equations="hermitian")


@FAST
@pytest.mark.parametrize("size", [(40, 41), (64, 64)])
def test_laplacians_are_regular_with_their_own_boundary(cls, size):
    kernel = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    op = ConvLinearOperator(kernel, (1, *size), padding=1)
    x = random(op.input_shape, seed=5)
    name = cls.__name__.lower()
    result = solve(op, op.forward(x), "cgls", preconditioner=name, rtol=1e-9)
    assert result.success
    assert np.linalg.norm(result.x - x) <= 1e-5 * np.linalg.norm(x)
    if cls is Schwarz:
        assert result.nit < 25


@CLASSES
@pytest.mark.parametrize("power", [-330, 330])
def test_kernels_of_any_scale(cls, power):
    """By name and prepared: solve scales kernels by powers of two, M follows."""
    op = square()
    scaled = ConvLinearOperator(
        np.ldexp(op.kernel, power), op.input_shape, **op.options
    )
    b = random(op.output_shape)
    one = solve(op, b, "cgls", preconditioner=cls.__name__.lower(), rtol=1e-9)
    for preconditioner in (cls.__name__.lower(), make(cls, scaled)):
        result = solve(scaled, b, "cgls", preconditioner=preconditioner, rtol=1e-9)
        assert result.success and abs(result.nit - one.nit) <= 1 + one.nit // 10
        np.testing.assert_allclose(np.ldexp(result.x, power), one.x, atol=1e-7)


@CLASSES
def test_double_precision_data_on_a_single_precision_layer(cls):
    op = tall("float32")
    b = random(op.output_shape)
    result = solve(op, b, "cgls", preconditioner=cls.__name__.lower(), rtol=1e-11)
    assert result.success and result.x.dtype == "float64"
    result = solve(op, b, "cgls", preconditioner=make(cls, op), rtol=1e-11)
    assert result.success


@FAST
def test_wide_layers_keep_the_least_norm(cls):
    op = layer((1, 4, 3, 3), (4, *SIZE))
    b = random(op.output_shape)
    name = cls.__name__.lower()
    result = solve(op, b, "cgls", preconditioner=name, rtol=1e-10)
    A = matrix(op)
    expected = A.T @ np.linalg.solve(A @ A.T, b.ravel())
    assert result.success
    np.testing.assert_allclose(result.x.ravel(), expected, atol=1e-6)
    assert result.nit < solve(op, b, "cgls", rtol=1e-10).nit


@CLASSES
def test_copies_and_pickles(cls):
    M = make(cls, tall(), 0.5)
    x = random(M.shape[0])
    for other in (copy.copy(M), copy.deepcopy(M), pickle.loads(pickle.dumps(M))):
        np.testing.assert_allclose(other @ x, M @ x, atol=1e-12)


def test_set_ups_are_kept(monkeypatch):
    made = []
    init = Schwarz.__init__

    def counted(self, *args, **kwargs):
        made.append(args)
        init(self, *args, **kwargs)

    monkeypatch.setattr(Schwarz, "__init__", counted)
    op = tall()
    b = random(op.output_shape)
    for _ in range(3):
        solve(op, b, "cgls", preconditioner="schwarz")
    assert len(made) == 1
    for damp in (0.1, 0.2, 0.3):
        solve(op, b, "cgls", damp=damp, preconditioner="schwarz")
    kept = op.cached_keys
    kept = [k for k in kept if k[0] == "preconditioner schwarz"]
    assert len(made) == 4 and len(kept) == 2


@CLASSES
def test_wrong_arguments(cls):
    op = tall()
    with pytest.raises(TypeError, match="needs a ConvLinearOperator, got ndarray"):
        cls(np.eye(3))
    with pytest.raises(ValueError, match="equations must be one of"):
        cls(op, equations="cg")
    with pytest.raises(ValueError, match="needs a square operator"):
        cls(op, equations="plain")
    with pytest.raises(ValueError, match="takes no damp"):
        cls(square(), 1.0, "plain")
    for damp in (-1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="damp must be finite"):
            cls(op, damp)


@FAST
def test_singular_layers(cls):
    kernel = random((3, 2, 3, 3))
    kernel[:, 1] = kernel[:, 0]
    op = ConvLinearOperator(kernel, (2, *SIZE))
    with pytest.raises(np.linalg.LinAlgError, match="singular|rank-deficient"):
        cls(op, equations="normal")
    assert cls(op, shifted=True).shift > 0
    zero = ConvLinearOperator(np.zeros((2, 1, 3, 3)), (1, *SIZE))
    assert not np.any(dense(cls(zero)))  # no unknown is seen
    for singular in (op, zero):
        assert np.all(np.isfinite(dense(cls(singular, 1.0))))


def test_the_names():
    names = {"jacobi": Jacobi, "circulant": Circulant, "schwarz": Schwarz}
    assert names.items() <= PRECONDITIONERS.items()
    assert Schwarz(tall()).nbytes > Circulant(tall()).nbytes > 0


@FAST
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_on_the_device(cupy, cls, dtype):
    host = tall(dtype)
    x, b = random((2, *host.input_shape), dtype), random(host.output_shape, dtype)
    device = ConvLinearOperator(cupy.asarray(host.kernel), host.input_shape)
    want, got = make(cls, host, 0.3).forward(x), make(cls, device, 0.3)
    y = got.forward(cupy.asarray(x))
    close = 1e-4 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(y.get(), want, atol=close * np.abs(want).max())
    name = cls.__name__.lower()
    result = solve(device, cupy.asarray(b), "cgls", preconditioner=name, rtol=1e-5)
    expected = solve(host, b, "cgls", preconditioner=name, rtol=1e-5)
    assert result.success and isinstance(result.x, cupy.ndarray)
    np.testing.assert_allclose(result.x.get(), expected.x, atol=1e-3)
