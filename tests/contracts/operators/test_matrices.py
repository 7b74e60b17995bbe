"""The matrix of a layer, entry by entry from the definition."""

import numpy as np

from convinv import ConvLinearOperator
from support.arrays import every_dtype
from support.operator_layers import assert_close, dense, layers, make


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
