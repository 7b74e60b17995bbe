"""The operator contract: products, dtypes, algebra, SciPy, threads and forks."""

import copy
import math
import os
import pickle
import threading
import traceback

import numpy as np
import pytest
import scipy.sparse.linalg as spla
from hypothesis import given, note, settings, strategies as st

from convinv import ConvLinearOperator
from support import oracles
from support.arrays import BOUNDARIES, DTYPES, every_dtype, normal

# kernel shape, input shape, options
LAYERS = {
    "2-D": ((3, 2, 3, 3), (2, 6, 7), {"padding": 1}),
    "1-D": ((2, 3, 4), (3, 11), {"padding": ((1, 2),), "boundary": "reflect"}),
    "3-D": (
        (2, 1, 2, 3, 2),
        (1, 3, 4, 5),
        {"stride": (1, 2, 1), "padding": (1, 0, 2), "boundary": "periodic"},
    ),
    "groups": ((4, 1, 3, 2), (2, 7, 5), {"groups": 2, "stride": 2, "dilation": (1, 2)}),
    "wide padding": ((2, 2, 2, 3), (2, 3, 2), {"padding": 7, "boundary": "symmetric"}),
    "flip": ((2, 2, 2, 3), (2, 5, 4), {"padding": "same", "flip": True}),
    "square": ((2, 2, 3, 3), (2, 5, 4), {"padding": "same", "boundary": "replicate"}),
}
layers = pytest.mark.parametrize("layer", LAYERS)


def make(layer, dtype="float64", seed=0):
    shape, input_shape, options = LAYERS[layer]
    kernel = normal(np.random.default_rng(seed), shape, dtype)
    return ConvLinearOperator(kernel, input_shape, **options)


def eps(*arrays):
    return np.finfo(np.result_type(*arrays)).eps


def assert_close(got, expected, scale=None, tolerance=None):
    """Equal to `tolerance` rounding errors of got's dtype, relative to `scale`."""
    scale = np.max(np.abs(expected), initial=0) if scale is None else scale
    bound = (200 if tolerance is None else tolerance) * eps(got) * (scale + 1e-300)
    assert got.shape == expected.shape
    assert np.max(np.abs(got - expected), initial=0) <= bound


def padding_pairs(padding, taps, dilation):
    """(before, after) per axis, from the words of the docstring."""
    if padding == "valid":
        padding = 0
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, taps)]
        return [(t // 2, t - t // 2) for t in total]
    if isinstance(padding, int):
        return [(padding, padding)] * len(taps)
    return [(p, p) if isinstance(p, int) else tuple(p) for p in padding]


def full_options(op):
    """The options of an operator, spelt out per axis as the oracles take them."""
    options = op._options
    ndim = op.kernel.ndim - 2
    both = {
        name: (
            (options[name],) * ndim
            if isinstance(options[name], int)
            else tuple(options[name])
        )
        for name in ("stride", "dilation")
    }
    pairs = padding_pairs(options["padding"], op.kernel.shape[2:], both["dilation"])
    return {
        **both,
        "padding": pairs,
        "groups": options["groups"],
        "boundary": options["boundary"],
    }


def dense(op):
    """The matrix, entry by entry, from the definition."""
    kernel = op.kernel
    if op._options["flip"]:
        kernel = np.flip(kernel, range(2, kernel.ndim))
    o = full_options(op)
    c_out, c_in = kernel.shape[0] // o["groups"], kernel.shape[1]
    index = [
        np.pad(np.arange(1, n + 1), pair, mode=oracles.MODES[o["boundary"]]) - 1
        for n, pair in zip(op.input_shape[1:], o["padding"])
    ]
    matrix = np.zeros((*op.output_shape, *op.input_shape), kernel.dtype)
    for out in np.ndindex(*op.output_shape):
        group = out[0] // c_out
        for tap in np.ndindex(*kernel.shape[2:]):
            place = [
                index[a][o["stride"][a] * out[1 + a] + o["dilation"][a] * tap[a]]
                for a in range(len(tap))
            ]
            if min(place) < 0:
                continue
            for c in range(c_in):
                entry = (*out, group * c_in + c, *place)
                matrix[entry] += kernel[(out[0], c, *tap)]
    return matrix.reshape(op.shape)


def torch_product(torch, kernel, x, options):
    """``(y, function from y's cotangent to x's)`` in double precision."""
    ndim = x.ndim - 2
    x = torch.from_numpy(x).requires_grad_()
    padded = x
    if options["boundary"] == "zero":
        widths = [p for pair in reversed(options["padding"]) for p in pair]
        padded = torch.nn.functional.pad(x, widths)
    else:
        for axis, pair in enumerate(options["padding"]):
            mode = oracles.MODES[options["boundary"]]
            shown = np.pad(np.arange(x.shape[2 + axis]), pair, mode=mode)
            padded = padded.index_select(2 + axis, torch.from_numpy(shown))
    convolve = getattr(torch.nn.functional, f"conv{ndim}d")
    y = convolve(
        padded,
        torch.from_numpy(np.ascontiguousarray(kernel)),
        stride=options["stride"],
        dilation=options["dilation"],
        groups=options["groups"],
    )

    def back(v):
        return torch.autograd.grad(y, x, torch.from_numpy(v))[0].numpy()

    return y.detach().numpy(), back


@st.composite
def configurations(draw):
    ndim = draw(st.integers(1, 3))
    per_axis = lambda s: draw(st.tuples(*[s] * ndim))  # noqa: E731
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    c_in, c_out = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    if groups > 1:
        c_in, c_out = (c_in + 1) // 2, (c_out + 1) // 2
    taps = per_axis(st.integers(1, (9, 5, 3)[ndim - 1]))
    dilation = per_axis(st.integers(1, 3))
    sizes = st.integers(1, (40, 13, 6)[ndim - 1])
    size = list(per_axis(sizes))
    kind = draw(st.sampled_from(["int", "axis", "pairs", "same", "valid"]))
    widths = st.one_of(st.integers(0, 2), st.integers(0, 11 - 2 * ndim))
    padding = {
        "int": lambda: draw(widths),
        "axis": lambda: per_axis(widths),
        "pairs": lambda: per_axis(st.tuples(widths, widths)),
    }.get(kind, lambda: kind)()
    # an image that is too small for the kernel is enlarged
    pairs = padding_pairs(padding, taps, dilation)
    for axis in range(ndim):
        reach = dilation[axis] * (taps[axis] - 1) + 1
        size[axis] = max(size[axis], reach - sum(pairs[axis]))
    strides = [1] if kind == "same" else [1, per_axis(st.integers(1, 4))]
    return {
        "kernel_shape": (groups * c_out, c_in, *taps),
        "input_shape": (groups * c_in, *size),
        "stride": draw(st.sampled_from(strides)),
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "boundary": draw(st.sampled_from(BOUNDARIES)),
        "flip": draw(st.booleans()),
        "dtype": draw(st.sampled_from(DTYPES)),
        "batch": draw(st.sampled_from([(), (1,), (3,), (2, 2)])),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


def random_layer(c):
    """``(rng, batch, kernel, operator)`` of a configuration."""
    rng = np.random.default_rng(c.pop("seed"))
    dtype, batch = c.pop("dtype"), c.pop("batch")
    kernel = normal(rng, c.pop("kernel_shape"), dtype)
    op = ConvLinearOperator(kernel, **c)
    note(repr(op))
    return rng, batch, kernel, op


def wide_kernel(kernel, op):
    """The kernel as the oracles take it: in double precision, turned round."""
    if op._options["flip"]:
        kernel = np.flip(kernel, range(2, kernel.ndim))
    return kernel.astype(np.result_type(kernel, "float64"))


@settings(max_examples=100)
@given(configurations())
def test_the_oracle_agrees_with_torch(c):
    torch = pytest.importorskip("torch")
    rng, batch, kernel, op = random_layer(c)
    kernel, options = wide_kernel(kernel, op), full_options(op)
    x = normal(rng, (math.prod(batch), *op.input_shape), kernel.dtype)
    expected, back = torch_product(torch, kernel, x, options)
    y = oracles.correlate_forward(kernel, x, **options)
    size = np.max(np.abs(kernel)) * kernel[0].size
    assert_close(y, expected, size * np.max(np.abs(x)))
    v = normal(rng, y.shape, kernel.dtype)
    w = oracles.correlate_adjoint(kernel, v, op.input_shape, **options)
    assert_close(w, back(v), adjoint_size(size, op, options) * np.max(np.abs(v)))


def adjoint_size(size, op, options):
    """How large a sample of the adjoint can be: the more often it is shown."""
    shown = [1 + sum(p) / n for p, n in zip(options["padding"], op.input_shape[1:])]
    return size * math.prod(shown) * op.output_shape[0] / options["groups"]


@given(configurations())
def test_random_layers(c):
    """Against the definition, forward and adjoint, and the dot test."""
    dtype = c["dtype"]
    rng, batch, kernel, op = random_layer(c)
    x = normal(rng, (*batch, *op.input_shape), dtype)
    y = op.forward(x)
    v = normal(rng, y.shape, dtype)
    w = op.adjoint(v)
    assert y.dtype == w.dtype == dtype
    assert y.shape == (*batch, *op.output_shape) and w.shape == x.shape

    wide = np.result_type(dtype, "float64")
    kernel, options = wide_kernel(kernel, op), full_options(op)
    x_, v_ = (
        a.reshape(math.prod(batch), *shape).astype(wide)
        for a, shape in ((x, op.input_shape), (v, op.output_shape))
    )
    expected = oracles.correlate_forward(kernel, x_, **options)
    size = np.max(np.abs(kernel)) * kernel[0].size
    assert_close(y.reshape(expected.shape), expected, size * np.max(np.abs(x_)))

    expected = oracles.correlate_adjoint(kernel, v_, op.input_shape, **options)
    size = adjoint_size(size, op, options)
    assert_close(w.reshape(expected.shape), expected, size * np.max(np.abs(v_)))

    left, right = np.vdot(v_, y.astype(wide)), np.vdot(w.astype(wide), x_)
    norms = np.linalg.norm(v_) * np.linalg.norm(y) + np.linalg.norm(w) * np.linalg.norm(
        x_
    )
    assert abs(left - right) <= 200 * eps(y) * (norms + size)


class TestMatrix:
    @every_dtype
    @layers
    def test_equals_the_definition(self, layer, dtype):
        op = make(layer, dtype)
        matrix = dense(op)
        sparse = op.tosparse()
        assert sparse.format == "csr" and sparse.dtype == dtype
        assert_close(sparse.toarray(), matrix, tolerance=8)
        assert_close(op.todense(), matrix, tolerance=8)
        assert_close(op @ np.eye(op.shape[1], dtype=dtype), matrix)
        assert_close(op.H @ np.eye(op.shape[0], dtype=dtype), matrix.conj().T)

    def test_is_a_private_copy(self):
        op = make("2-D")
        before = op.todense().copy()
        op.tosparse().data[:] = 0
        np.testing.assert_array_equal(op.todense(), before)

    @every_dtype
    def test_complex_kernel_is_not_conjugated(self, dtype):
        kernel = np.array([[[2 + 3j]]]) if "complex" in dtype else np.array([[[2.0]]])
        op = ConvLinearOperator(kernel.astype(dtype), (1, 1))
        assert (op @ np.ones(1))[0] == kernel.item()
        assert (op.H @ np.ones(1))[0] == kernel.conj().item()
        assert (op.T @ np.ones(1))[0] == kernel.item()

    def test_flip_is_mathematical_convolution(self):
        rng = np.random.default_rng(0)
        k, x = rng.standard_normal(4), rng.standard_normal(9)
        op = ConvLinearOperator(k.reshape(1, 1, 4), (1, 9), padding=3, flip=True)
        np.testing.assert_allclose(op.matvec(x), np.convolve(x, k), rtol=1e-13)


class TestArrays:
    """What products accept, and what they give back."""

    @every_dtype
    def test_linearity(self, dtype):
        op, rng = make("2-D", dtype), np.random.default_rng(1)
        x, z = (normal(rng, op.input_shape, dtype) for _ in range(2))
        a = np.dtype(dtype).type(1.5 if "float" in dtype else 1.5 - 2j)
        assert_close(
            op.forward(a * x + z), a * op.forward(x) + op.forward(z), tolerance=400
        )

    @layers
    @pytest.mark.parametrize("name", ["forward", "adjoint"])
    def test_layouts(self, layer, name):
        op, rng = make(layer), np.random.default_rng(2)
        shape = op.input_shape if name == "forward" else op.output_shape
        apply = getattr(op, name)
        x = rng.standard_normal((3, *shape))
        expected = apply(x)
        alone = np.stack([apply(item) for item in x])
        np.testing.assert_array_equal(expected, alone)
        wide = np.zeros((3, *(2 * n for n in shape)))
        wide[(..., *[slice(None, None, 2)] * len(shape))] = x
        readonly = x.copy()
        readonly.flags.writeable = False
        forms = {
            "Fortran": np.asfortranarray(x),
            "every second": wide[(..., *[slice(None, None, 2)] * len(shape))],
            "negative strides": np.flip(np.flip(x).copy()),
            "read-only": readonly,
            "list": x.tolist(),
            "leading axes": x.reshape(3, 1, *shape),
        }
        for form, array in forms.items():
            got = apply(array)
            np.testing.assert_array_equal(
                got.reshape(expected.shape), expected, err_msg=form
            )
        np.testing.assert_array_equal(x, readonly)

    @pytest.mark.parametrize("name", ["f4", "f8", "c8", "c16", "i2"])
    def test_byte_order(self, name):
        op = make("2-D")
        x = np.arange(op.shape[1]).astype(f">{name}")
        y = op @ x
        assert y.dtype == np.result_type(op.dtype, name) and y.dtype.isnative
        np.testing.assert_array_equal(y, op @ x.astype(name))
        kernel = np.arange(3.0).reshape(1, 1, 3)
        swapped = ConvLinearOperator(kernel.astype(f">{name}"), (1, 5))
        assert swapped.dtype.isnative
        np.testing.assert_array_equal(swapped.todense(), dense(swapped))

    def test_zero_strides(self):
        op = make("2-D")
        x = np.broadcast_to(1.0, op.input_shape)
        np.testing.assert_array_equal(op.forward(x), op.forward(x.copy()))

    @pytest.mark.parametrize(
        "given_dtype", [*DTYPES, "float16", "int8", "bool", "uint64"]
    )
    @every_dtype
    def test_result_type(self, dtype, given_dtype):
        op = make("2-D", dtype)
        x = np.ones(op.input_shape, given_dtype)
        promoted = {"float16": "float32"}.get(given_dtype, given_dtype)
        promoted = promoted if promoted in DTYPES else "float64"
        expected = np.result_type(dtype, promoted)
        assert op.forward(x).dtype == expected
        assert op.matvec(x.ravel()).dtype == expected
        assert op.rmatvec(np.ones(op.shape[0], given_dtype)).dtype == expected
        assert (op @ x.reshape(-1, 1)).dtype == expected
        wide = np.result_type(expected, "float64")
        assert_close(
            op.forward(x), op.forward(x.astype(wide)).astype(expected), tolerance=500
        )

    @pytest.mark.parametrize(
        "bad", ["longdouble", "clongdouble", "object", "U3", "M8[s]"]
    )
    def test_refused_dtypes(self, bad):
        op = make("2-D")
        values = np.zeros(op.shape[1]).astype(bad)
        with pytest.raises(TypeError, match="operand"):
            op.matvec(values)
        with pytest.raises(TypeError, match="kernel"):
            ConvLinearOperator(np.zeros((1, 1, 2)).astype(bad), (1, 4))
        with pytest.raises(TypeError, match="dtype"):
            ConvLinearOperator(np.zeros((1, 1, 2)), (1, 4), dtype=bad)

    @pytest.mark.parametrize(
        ("kernel", "expected"),
        [("float16", "float32"), ("int64", "float64"), ("bool", "float64")],
    )
    def test_kernel_is_promoted(self, kernel, expected):
        op = ConvLinearOperator(np.ones((1, 1, 2), kernel), (1, 4))
        assert op.dtype == op.kernel.dtype == expected

    def test_kernel_as_a_list(self):
        op = ConvLinearOperator([[[1, 2]]], (1, 3))
        np.testing.assert_array_equal(op @ [1, 0, 1], [1, 2])

    def test_dtype_argument(self):
        kernel = np.ones((1, 1, 2))
        assert ConvLinearOperator(kernel, (1, 4), dtype="float32").dtype == "float32"
        assert ConvLinearOperator(kernel, (1, 4), dtype=complex).dtype == "complex128"
        for real in ("float32", "float64"):
            with pytest.raises(TypeError, match="complex kernel"):
                ConvLinearOperator(kernel * 1j, (1, 4), dtype=real)

    def test_kernel_is_copied(self):
        rng = np.random.default_rng(3)
        kernel = rng.standard_normal((2, 1, 3))
        op = ConvLinearOperator(kernel, (1, 8))
        x = rng.standard_normal(8)
        before, sparse = op @ x, op.tosparse().toarray()
        kernel[:] = 0
        np.testing.assert_array_equal(op @ x, before)
        np.testing.assert_array_equal(op.tosparse().toarray(), sparse)
        with pytest.raises(ValueError, match="read-only"):
            op.kernel[:] = 0

    @pytest.mark.parametrize("name", ["forward", "adjoint"])
    def test_empty_batch(self, name):
        op = make("2-D")
        taken, given = op.input_shape, op.output_shape
        if name == "adjoint":
            taken, given = given, taken
        assert getattr(op, name)(np.zeros((0, *taken))).shape == (0, *given)
        assert getattr(op, name)(np.zeros((2, 0, *taken))).shape == (2, 0, *given)

    def test_empty_matmat(self):
        op = make("2-D")
        assert op.matmat(np.zeros((op.shape[1], 0))).shape == (op.shape[0], 0)
        assert op.rmatmat(np.zeros((op.shape[0], 0))).shape == (op.shape[1], 0)

    @pytest.mark.parametrize(
        ("name", "shape"),
        [
            ("forward", (2, 6, 6)),
            ("forward", (6, 7)),
            ("forward", (84,)),
            ("adjoint", (2, 6, 7)),
            ("matvec", (83,)),
            ("matvec", (84, 2)),
            ("matvec", (1, 84)),
            ("rmatvec", (84,)),
            ("matmat", (84,)),
            ("matmat", (83, 2)),
            ("rmatmat", (84, 2)),
            ("dot", (83,)),
            ("dot", (2, 84)),
            ("dot", (2, 6, 7)),
        ],
    )
    def test_shape_errors(self, name, shape):
        op = make("2-D")
        with pytest.raises(ValueError) as error:
            getattr(op, name)(np.zeros(shape))
        message = str(error.value)
        assert "must have shape" in message and str(shape) in message
        assert message.startswith(("X ", "Y ", "dimension mismatch: x ")) or (
            "dimension mismatch: X " in message
        )

    def test_out_of_library(self):
        xp = pytest.importorskip("array_api_strict")
        op = make("2-D")
        for apply in (op.forward, op.matvec, op.matmat):
            with pytest.raises(TypeError, match="must be a NumPy array"):
                apply(xp.zeros(op.input_shape))

    def test_matrix_class(self):
        op = make("1-D")
        with pytest.warns(PendingDeprecationWarning):
            column = np.matrix(np.ones((op.shape[1], 1)))
        y = op @ column
        assert type(y) is np.ndarray and y.shape == (op.shape[0], 1)


class TestCopies:
    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    @every_dtype
    def test_pickle(self, protocol, dtype):
        op = make("groups", dtype)
        x = normal(np.random.default_rng(4), op.shape[1], dtype)
        expected = op @ x  # fills the caches
        again = pickle.loads(pickle.dumps(op, protocol))
        np.testing.assert_array_equal(again @ x, expected)
        np.testing.assert_array_equal(again.H @ expected, op.H @ expected)
        assert again.dtype == op.dtype and again.shape == op.shape
        assert repr(again) == repr(op)
        assert again.input_shape == op.input_shape

    def test_caches_are_not_pickled(self):
        op = make("2-D")
        empty = len(pickle.dumps(op))
        op @ np.zeros(op.shape[1])
        assert len(pickle.dumps(op)) == empty

    @pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy])
    def test_copy(self, make_copy):
        op = make("flip")
        x = np.random.default_rng(5).standard_normal(op.shape[1])
        expected = op @ x
        np.testing.assert_array_equal(make_copy(op) @ x, expected)

    @pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
    def test_pickled_expressions(self, protocol):
        op = make("square")
        expression = (2 * op.H - op @ op.T) / 3
        x = np.random.default_rng(6).standard_normal(op.shape[1])
        again = pickle.loads(pickle.dumps(expression, protocol))
        np.testing.assert_array_equal(again @ x, expression @ x)

    def test_astype(self):
        op = make("2-D")
        single = op.astype("float32")
        assert single.dtype == "float32" and op.dtype == "float64"
        assert op.astype("float64") is op
        with pytest.raises(TypeError, match="complex kernel"):
            make("2-D", "complex64").astype("float64")

    def test_repr(self):
        assert repr(make("2-D")) == (
            "<ConvLinearOperator (2, 6, 7) -> (3, 6, 7), kernel (3, 2, 3, 3), "
            "padding=1, dtype float64>"
        )
        text = repr(make("groups", "complex64"))
        assert "groups=2" in text and "stride=2" in text and "complex64" in text


class TestAlgebra:
    """Expressions against the same expressions of matrices."""

    EXPRESSIONS = {
        "H": lambda a, b, s: a.H,
        "T": lambda a, b, s: a.T,
        "HH": lambda a, b, s: a.H.H,
        "TT": lambda a, b, s: a.T.T,
        "TH": lambda a, b, s: a.T.H,
        "HT": lambda a, b, s: a.H.T,
        "sum": lambda a, b, s: a + b,
        "difference": lambda a, b, s: a - b,
        "negative": lambda a, b, s: -a,
        "multiple": lambda a, b, s: s * a,
        "multiple right": lambda a, b, s: a * s,
        "quotient": lambda a, b, s: a / s,
        "product": lambda a, b, s: a @ b,
        "product H": lambda a, b, s: a.H @ b,
        "H of product": lambda a, b, s: (a @ b).H,
        "T of product": lambda a, b, s: (a @ b).T,
        "H of multiple": lambda a, b, s: (s * a).H,
        "T of multiple": lambda a, b, s: (s * a).T,
        "T of sum": lambda a, b, s: (a + s * b).T,
        "H of sum": lambda a, b, s: (s * a + b).H,
        "mixed": lambda a, b, s: (2 * a.H @ b + s * b.T @ a) / 3 - a,
    }

    @every_dtype
    @pytest.mark.parametrize("name", [*EXPRESSIONS, "power 0", "power 1", "power 3"])
    def test_expression(self, name, dtype):
        a, b = make("square", dtype), make("square", dtype, seed=1)
        scalar = 1.5 if "float" in dtype else 1.5 - 0.5j
        A, B = dense(a), dense(b)
        if name.startswith("power"):
            power = int(name[-1])
            op, matrix = a**power, np.linalg.matrix_power(A, power)
        else:
            expression = self.EXPRESSIONS[name]
            op = expression(a, b, scalar)
            matrix = expression(_Matrix(A), _Matrix(B), scalar).array
        assert isinstance(op, spla.LinearOperator)
        assert op.dtype == dtype, "a Python scalar must not change the dtype"
        rng = np.random.default_rng(7)
        x, y = (normal(rng, op.shape[i], dtype) for i in (1, 0))
        X, Y = (normal(rng, (op.shape[i], 3), dtype) for i in (1, 0))
        scale = np.max(np.abs(np.abs(matrix) @ np.abs(x))) + np.max(np.abs(A)) ** 2
        for got, expected in (
            (op @ x, matrix @ x),
            (op.matvec(x), matrix @ x),
            (op.rmatvec(y), matrix.conj().T @ y),
            (op @ X, matrix @ X),
            (op.rmatmat(Y), matrix.conj().T @ Y),
            (op.H @ y, matrix.conj().T @ y),
            (op.T @ y, matrix.T @ y),
            (op.dot(x), matrix @ x),
            (op(x), matrix @ x),
            (op * x, matrix @ x),
            (y @ op, y @ matrix),
            (Y.T @ op, Y.T @ matrix),
        ):
            assert got.dtype == dtype
            assert_close(got, expected, 20 * scale)

    @pytest.mark.parametrize(
        ("factor", "expected"),
        [
            (2, "float32"),
            (2.5, "float32"),
            (1j, "complex64"),
            (np.float64(2), "float64"),
        ],
    )
    def test_scalar_dtypes(self, factor, expected):
        op = make("2-D", "float32")
        for scaled in (factor * op, op * factor, op.H * factor):
            assert scaled.dtype == expected
            assert (scaled @ np.ones(scaled.shape[1], "float32")).dtype == expected

    def test_a_scaled_convolution_is_one(self):
        scaled = 2 * make("2-D")
        assert isinstance(scaled, ConvLinearOperator)
        np.testing.assert_allclose(scaled.kernel, 2 * make("2-D").kernel)

    def test_H_of_H_is_the_operator(self):
        op = make("2-D", "complex128")
        assert op.H.H is op and op.T.T is op and op.adjoint().H is op

    @pytest.mark.parametrize(
        "attempt",
        [
            lambda op: op + make("1-D"),
            lambda op: op @ op,
            lambda op: op**2,
            lambda op: op @ 2.0,
            lambda op: 2.0 @ op,
            lambda op: op / op.H,
        ],
    )
    def test_refused(self, attempt):
        with pytest.raises(ValueError):
            attempt(make("2-D"))

    @pytest.mark.parametrize("power", [-1, 0.5])
    def test_refused_power(self, power):
        with pytest.raises((TypeError, ValueError)):
            make("square") ** power

    def test_adding_a_number_is_refused(self):
        with pytest.raises(TypeError):
            make("2-D") + 1
        with pytest.raises(TypeError):
            make("2-D") - 1


class _Matrix:
    """An array with the syntax of an operator."""

    def __init__(self, array):
        self.array = array

    H = property(lambda self: _Matrix(self.array.conj().T))
    T = property(lambda self: _Matrix(self.array.T))

    def __add__(self, other):
        return _Matrix(self.array + other.array)

    def __sub__(self, other):
        return _Matrix(self.array - other.array)

    def __neg__(self):
        return _Matrix(-self.array)

    def __mul__(self, scalar):
        return _Matrix(self.array * scalar)

    __rmul__ = __mul__

    def __truediv__(self, scalar):
        return _Matrix(self.array / scalar)

    def __matmul__(self, other):
        return _Matrix(self.array @ other.array)


class TestSciPy:
    @every_dtype
    def test_composites_with_foreign_operators(self, dtype):
        op, rng = make("square", dtype), np.random.default_rng(8)
        n = op.shape[1]
        A, D = dense(op), normal(rng, (n, n), dtype)
        foreign = spla.aslinearoperator(D)
        x = normal(rng, n, dtype)
        X = normal(rng, (n, 3), dtype)
        scale = 40 * np.max(np.abs(D)) * np.max(np.abs(A)) * n
        for got, matrix in (
            (op + foreign, A + D),
            (foreign + op, A + D),
            (op - foreign, A - D),
            (foreign - op, D - A),
            (op @ foreign, A @ D),
            (foreign @ op, D @ A),
            (op * foreign, A @ D),
            (op.H @ foreign, A.conj().T @ D),
            (foreign @ op.T, D @ A.T),
            ((op @ foreign).H, (A @ D).conj().T),
            ((op + foreign).T, (A + D).T),
            (2 * (op + foreign) @ op, 2 * (A + D) @ A),
        ):
            assert isinstance(got, spla.LinearOperator)
            # SciPy's own composites may answer in double precision
            for product, expected in (
                (got @ x, matrix @ x),
                (got @ X, matrix @ X),
                (got.H @ x, matrix.conj().T @ x),
            ):
                assert_close(product.astype(dtype), expected, scale)

    def test_aslinearoperator(self):
        op = make("2-D")
        assert spla.aslinearoperator(op) is op
        assert isinstance(op, spla.LinearOperator)

    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_solvers(self, dtype):
        rng = np.random.default_rng(9)
        op = ConvLinearOperator(normal(rng, (6, 2, 3, 3), dtype), (2, 6, 6))
        A, x = dense(op), normal(rng, op.shape[1], dtype)
        b = A @ x
        for solver in (spla.lsqr, spla.lsmr):
            got = solver(op, b, 0.0, 1e-14, 1e-14, 0, 2000)[0]
            np.testing.assert_allclose(got, x, atol=1e-8)
        normal_matrix = op.H @ op
        got, info = spla.gmres(normal_matrix, op.H @ b, rtol=1e-12, restart=80)
        assert info == 0
        np.testing.assert_allclose(got, x, atol=1e-8)

    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_svds(self, dtype):
        op = make("2-D", dtype)
        v0 = np.ones(min(op.shape), dtype)
        values = spla.svds(op, k=3, v0=v0, return_singular_vectors=False)
        expected = np.linalg.svd(dense(op), compute_uv=False)[:3]
        np.testing.assert_allclose(np.sort(values)[::-1], expected, rtol=1e-10)

    def test_onenormest(self):
        op = make("square")
        norm = np.abs(dense(op)).sum(axis=0).max()
        assert 0.3 * norm <= spla.onenormest(op) <= norm * (1 + 1e-12)

    @every_dtype
    def test_row_vectors(self, dtype):
        op, rng = make("2-D", dtype), np.random.default_rng(10)
        A = dense(op)
        y, Y = normal(rng, op.shape[0], dtype), normal(rng, (2, op.shape[0]), dtype)
        assert_close(y @ op, y @ A, 100 * np.max(np.abs(A)))
        assert_close(Y @ op, Y @ A, 100 * np.max(np.abs(A)))
        assert_close(y * op, y @ A, 100 * np.max(np.abs(A)))

    def test_adjoint_without_argument(self):
        op = make("2-D", "complex128")
        y = normal(np.random.default_rng(11), op.shape[0], "complex128")
        np.testing.assert_array_equal(
            op.adjoint() @ y, op.adjoint(y.reshape(op.output_shape)).ravel()
        )
        np.testing.assert_array_equal(op.transpose() @ y, op.T @ y)


BIG = (np.random.default_rng(12).standard_normal((8, 4, 3, 3)), (4, 96, 96))


class TestConcurrency:
    def test_threads(self):
        op = ConvLinearOperator(*BIG)
        rng = np.random.default_rng(13)
        xs = rng.standard_normal((8, *op.input_shape))
        serial = ConvLinearOperator(*BIG)
        expected = [(serial.forward(x), serial.adjoint(serial.forward(x))) for x in xs]
        wrong, start = [], threading.Barrier(8)

        def work(i):
            try:
                start.wait()
                for _ in range(5):
                    y = op.forward(xs[i])  # the first calls race to make the plans
                    w = op.adjoint(y)
                    for got, right in zip((y, w), expected[i]):
                        np.testing.assert_array_equal(got, right)
            except BaseException:
                wrong.append(traceback.format_exc())

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not wrong, wrong[0]
        assert not any(thread.is_alive() for thread in threads)

    # Python warns of every fork of a process with threads; products must survive it.
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_after_fork(self):
        op = ConvLinearOperator(*BIG)
        x = np.random.default_rng(14).standard_normal(op.input_shape)
        expected = op.forward(x)  # the parent's threads run before the fork
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                equal = np.array_equal(op.forward(x), expected)
                os.write(write, b"equal" if equal else b"wrong")
                status = 0
            finally:
                os._exit(status)
        os.close(write)
        assert _answer(read, child) == b"equal"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_multiprocessing_fork(self):
        import multiprocessing

        op = ConvLinearOperator(*BIG)
        x = np.random.default_rng(15).standard_normal((3, *op.input_shape))
        expected = op.forward(x)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            got = pool.map_async(op.forward, list(x)).get(60)
        np.testing.assert_array_equal(got, expected)


def _answer(read, child):
    """What a child wrote before it ended, at most 60 s from now."""
    import select

    ready, _, _ = select.select([read], [], [], 60)
    if not ready:
        os.kill(child, 9)
    answer = os.read(read, 16) if ready else b"hangs"
    os.waitpid(child, 0)
    os.close(read)
    return answer


@pytest.mark.parametrize("before", [0, 1, 6])
@pytest.mark.parametrize("after", [0, 2, 5])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("size", [1, 2, 7])
def test_asymmetric_padding(size, boundary, before, after):
    """Every boundary with padding on one side only, none, and several folds."""
    kernel = np.random.default_rng(16).standard_normal((2, 1, 1))
    padding = ((before, after),)
    op = ConvLinearOperator(kernel, (1, size), padding=padding, boundary=boundary)
    x = np.random.default_rng(17).standard_normal(size)
    padded = np.pad(x, (before, after), mode=oracles.MODES[boundary])
    expected = np.outer(kernel, padded).ravel()
    np.testing.assert_allclose(op.matvec(x), expected, rtol=1e-14)
