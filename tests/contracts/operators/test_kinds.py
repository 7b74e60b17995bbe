"""What every kind of operator promises, on small ones against their matrices."""

import copy
import pickle

import numpy as np
import pytest

from convinv import dot_test
from convinv.operators import ShapedOperator
from convinv.testing import check_operator
from support import oracles
from support.arrays import DTYPES, every_dtype, normal
from support.operator_kinds import KINDS, SHAPE, made
from support.operator_layers import assert_close

kinds = pytest.mark.parametrize("kind", KINDS)
WAYS = ("apply", "apply_adjoint")


def size_of(matrix):
    """How large the entries of a product may be, of standard normal numbers."""
    sizes = np.abs(matrix)
    return 4 * max(sizes.sum(axis=0).max(), sizes.sum(axis=1).max())


def taken(op, way):
    return op.input_shape if way == "apply" else op.output_shape


def given(op, way):
    return op.output_shape if way == "apply" else op.input_shape


def matrix_of(matrix, way):
    return matrix if way == "apply" else matrix.conj().T


def batch(op, way, dtype, count=3, seed=0):
    return normal(np.random.default_rng(seed), (count, *taken(op, way)), dtype)


@every_dtype
@kinds
class TestProducts:
    def test_equal_the_matrix(self, kind, dtype):
        op, matrix = made(kind, dtype)
        assert isinstance(op, ShapedOperator) and op.shape == matrix.shape
        for way in WAYS:
            A, X = matrix_of(matrix, way), batch(op, way, dtype)
            Y = getattr(op, way)(X)
            assert Y.shape == (3, *given(op, way))
            expected = X.reshape(3, -1) @ A.T
            assert_close(Y.reshape(3, -1), expected, size_of(matrix))

    def test_memory_and_squared_norms(self, kind, dtype):
        """With `out` and `sumsq` results have the same bits."""
        op, _ = made(kind, dtype)
        for way in WAYS:
            X, product = batch(op, way, dtype), getattr(op, way)
            before, expected = X.copy(), product(X)
            squares = oracles.vectors_sumsq(expected.reshape(3, -1))
            out = np.full_like(expected, np.nan, order="C")
            for got in (product(X, out=out), *product(X, sumsq=True)[:1], out):
                np.testing.assert_array_equal(got, expected)
            out[...] = np.nan
            got, sums = product(X, out=out, sumsq=True)
            np.testing.assert_array_equal(got, expected)
            np.testing.assert_array_equal(out, expected)
            assert np.shares_memory(got, out)
            assert sums.shape == (3,) and sums.dtype == "float64"
            np.testing.assert_allclose(sums, squares, rtol=1e-12)
            np.testing.assert_array_equal(X, before)

    def test_conformance(self, kind, dtype):
        """Linear, with an adjoint, dtypes, batches, memory of its own, and so on."""
        check_operator(made(kind, dtype)[0], rng=1).raise_on_failure()

    def test_adjoints_of_adjoints_and_transposes(self, kind, dtype):
        op, _ = made(kind, dtype)
        assert dot_test(op.H, rng=2) and dot_test(op.T, rng=3)

    def test_batches(self, kind, dtype):
        """Items do not see each other, and flat products are the shaped ones."""
        op, matrix = made(kind, dtype)
        scale = size_of(matrix)
        for way, shaped, one, many in (
            ("apply", op.forward, op.matvec, op.matmat),
            ("apply_adjoint", op.adjoint, op.rmatvec, op.rmatmat),
        ):
            X = batch(op, way, dtype, 6)
            Y = getattr(op, way)(X)
            leading = shaped(X.reshape(2, 3, *X.shape[1:]))
            np.testing.assert_array_equal(leading.reshape(Y.shape), Y)
            assert_close(many(X.reshape(6, -1).T).T, Y.reshape(6, -1), scale)
            for x, y in zip(X, Y):
                assert_close(shaped(x), y, scale)
                assert_close(one(x.ravel()), y.ravel(), scale)

    def test_expressions(self, kind, dtype):
        op, matrix = made(kind, dtype)
        factor = 1.5 if "float" in dtype else 1.5 - 0.5j
        scale = 2 * size_of(matrix)
        own = op.input_shape, op.output_shape
        for found, expected, shapes in (
            (op.H, matrix.conj().T, own[::-1]),
            (op.T, matrix.T, own[::-1]),
            (op.H.H, matrix, own),
            (op.T.T, matrix, own),
            (factor * op, factor * matrix, own),
            (op / factor, matrix / factor, own),
            (-op, -matrix, own),
            ((factor * op).H, np.conj(factor) * matrix.conj().T, own[::-1]),
            ((factor * op).T, factor * matrix.T, own[::-1]),
        ):
            assert found.shape == expected.shape and found.xp is op.xp
            assert (found.input_shape, found.output_shape) == shapes
            rng = np.random.default_rng(4)
            x, y = (normal(rng, n, dtype) for n in expected.shape[::-1])
            assert_close(found @ x, expected @ x, scale)
            assert_close(found.rmatvec(y), expected.conj().T @ y, scale)

    def test_pickles_and_copies(self, kind, dtype):
        op, _ = made(kind, dtype)
        op.cached(("anything", 1), lambda: np.zeros(10**6))
        assert len(pickle.dumps(op)) < 10**5
        for other in (pickle.loads(pickle.dumps(op)), copy.copy(op), copy.deepcopy(op)):
            assert type(other) is type(op) and other.dtype == op.dtype
            shares = op.layer is not None and other.layer is op.layer
            assert other.cached_keys == [] or shares  # an adjoint and its shallow copy
            for way in WAYS:
                X = batch(op, way, dtype)
                expected = getattr(op, way)(X)
                np.testing.assert_array_equal(getattr(other, way)(X), expected)


@kinds
class TestArguments:
    @pytest.mark.parametrize("own", ["float32", "complex128"])
    @pytest.mark.parametrize("dtype", [*DTYPES, "float16", "int8", "bool"])
    def test_result_types(self, kind, own, dtype):
        op, _ = made(kind, own)
        promoted = {"float16": "float32"}.get(dtype, dtype)
        promoted = promoted if promoted in DTYPES else "float64"
        expected = np.result_type(op.dtype, promoted)
        for way in WAYS:
            assert getattr(op, way)(np.ones((2, *taken(op, way)), dtype)).dtype == (
                expected
            )

    def test_empty_batches(self, kind):
        op, _ = made(kind)
        for way in WAYS:
            Y, sums = getattr(op, way)(np.zeros((0, *taken(op, way))), sumsq=True)
            assert Y.shape == (0, *given(op, way)) and sums.shape == (0,)

    def test_other_shapes_are_refused(self, kind):
        op, _ = made(kind)
        for way in WAYS:
            X = np.zeros((2, *taken(op, way)))
            for bad in (X[0], X[..., None], X[..., :-1]):
                with pytest.raises(ValueError, match=r"[XY] must have shape \(B, "):
                    getattr(op, way)(bad)

    def test_memory_that_does_not_fit_is_refused(self, kind):
        op, _ = made(kind)
        for way in WAYS:
            X = np.zeros((2, *taken(op, way)))
            Y = getattr(op, way)(X)
            wide = np.zeros((*Y.shape[:-1], 2 * Y.shape[-1]), Y.dtype)
            for out in (
                wide,
                np.zeros((3, *Y.shape[1:]), Y.dtype),
                np.zeros(Y.shape, "float32"),
                wide[..., ::2],  # of the right shape, with gaps
            ):
                with pytest.raises(ValueError, match="out must be a C-contiguous"):
                    getattr(op, way)(X, out=out)

    def test_kept_set_ups(self, kind):
        op, _ = made(kind)
        calls = []

        def make():
            calls.append(None)
            return object()

        first = op.cached(("a", 1), make)
        assert op.cached(("a", 1), make) is first and len(calls) == 1
        other = op.cached(("b",), make)
        for number in (2, 3):
            op.cached(("a", number), make)
        assert op.cached(("b",), make) is other and len(calls) == 4
        assert [key[1] for key in op.cached_keys if key[0] == "a"] == [2, 3]
        assert op.cached(("a", 1), make) is not first

    def test_traits(self, kind):
        op, matrix = made(kind)
        layers = {"convolution", "difference", "periodic_difference"}
        layers |= {"second_differences"}
        is_layer = kind in layers | {"adjoint"}
        assert (op.layer is not None) == op.fused == is_layer
        assert op.is_convolution == (kind in layers)
        assert (op.matrix is not None) == ("matrix" in kind)
        assert op.has_rows == (kind in layers or "matrix" in kind)
        assert op.coisometry == (kind in ("mask", "fourier"))
        assert op.has_adjoint and op.xp is np
        if op.coisometry:
            product = matrix @ matrix.conj().T
            np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-14)


SQUARE = [
    "convolution",
    "adjoint",
    "periodic_difference",
    "second_differences",
    "diagonal",
    "sparse_matrix",
]
ON_SHAPE = [name for name in KINDS if name != "radon"]
DTYPE_PAIRS = (("float64", "float64"), ("float32", "complex64"))
second_of_pair = pytest.mark.parametrize("second", SQUARE)


class TestPairs:
    """Expressions of two operators, of several kinds and dtypes."""

    @second_of_pair
    @pytest.mark.parametrize("first", ON_SHAPE)
    def test_products(self, first, second):
        for dtypes in DTYPE_PAIRS:
            (a, A), (b, B) = (made(*pair) for pair in zip((first, second), dtypes))
            self.check(a @ b, A @ B, b.input_shape, a.output_shape)
            self.check((a @ b).H, (A @ B).conj().T, a.output_shape, b.input_shape)
            self.check((a @ b).T, (A @ B).T, a.output_shape, b.input_shape)
            self.check(2 * a @ b.H, 2 * A @ B.conj().T, b.output_shape, a.output_shape)

    @second_of_pair
    @pytest.mark.parametrize("first", SQUARE)
    def test_sums(self, first, second):
        # matrices take flat arrays, and do so beside operators that do not
        shape = SHAPE if {first, second} != {"sparse_matrix"} else (24,)
        for dtypes in DTYPE_PAIRS:
            (a, A), (b, B) = (made(*pair) for pair in zip((first, second), dtypes))
            self.check(a + b, A + B, shape, shape)
            self.check((a - 3 * b).H, (A - 3 * B).conj().T, shape, shape)

    def check(self, op, matrix, input_shape, output_shape):
        assert op.input_shape == input_shape and op.output_shape == output_shape
        assert op.shape == matrix.shape
        dtype, rng = op.dtype, np.random.default_rng(5)
        for way in WAYS:
            A, X = matrix_of(matrix, way), normal(rng, (2, *taken(op, way)), dtype)
            Y = getattr(op, way)(X)
            assert Y.dtype == dtype and Y.shape == (2, *given(op, way))
            # the two parts may be larger than what is left of them
            scale = 4 * size_of(matrix) + 50
            assert_close(Y.reshape(2, -1), X.reshape(2, -1) @ A.T, scale)
        again = pickle.loads(pickle.dumps(op))
        np.testing.assert_array_equal(again.apply_adjoint(X), Y)
