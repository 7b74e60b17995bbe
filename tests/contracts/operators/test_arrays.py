"""What products accept, and what they give back."""

import numpy as np
import pytest

from convinv import ConvLinearOperator
from support.arrays import DTYPES, every_dtype, normal
from support.operator_layers import assert_close, dense, layers, make


class TestArrays:
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
