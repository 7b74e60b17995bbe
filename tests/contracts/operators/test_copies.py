"""Pickles, copies and other dtypes of operators."""

import copy
import pickle

import numpy as np
import pytest

from support.arrays import every_dtype, normal
from support.operator_layers import make


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
