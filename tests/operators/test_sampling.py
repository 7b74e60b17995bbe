"""Sampling operators: masks and Fourier transforms."""

import numpy as np
import pytest

from convinv.operators import FourierSampling, MaskOperator


class TestSampling:
    OPERATORS = {
        "mask": lambda m: MaskOperator(m),
        "mask complex": lambda m: MaskOperator(m, dtype="c8"),
        "centerd": lambda m: FourierSampling(m),
        "plain": lambda m: FourierSampling(m, axes=(0, 2), centerd=False),
        "one axis": lambda m: FourierSampling(m, axes=(1,)),
    }

    @pytest.mark.parametrize("kind", OPERATORS)
    @pytest.mark.parametrize("precision", ["4", "8"])
    def test_adjoint(self, kind, precision):
        rng = np.random.default_rng(0)
        mask = rng.random((4, 5, 3)) < 0.5
        op = self.OPERATORS[kind](mask)
        x, y = (rng.standard_normal(n) + 1j * rng.standard_normal(n) for n in
                (op.shape[1], op.shape[0]))  # fmt: skip
        x, y = (v.astype(f"c{2 * int(precision)}") for v in (x, y))
        ax, aty = op @ x, op.H @ y
        assert ax.dtype == aty.dtype == x.dtype
        eps = np.finfo(x.dtype).eps
        assert abs(np.vdot(y, ax) - np.vdot(aty, x)) < 20 * eps * len(x)
        np.testing.assert_allclose(op @ (op.H @ y), y, atol=20 * eps)
        np.testing.assert_array_equal(op.mask, mask)
        X = np.stack([x, 2 * x]).reshape(2, *mask.shape)
        np.testing.assert_allclose(op.forward(X)[1], 2 * ax, rtol=1e-5, atol=20 * eps)

    def test_fourier_oracle(self):
        """The definition, with frequency and place counted from the middle."""
        mask = np.ones((4, 5), bool)
        x = np.random.default_rng(1).standard_normal((4, 5))
        found = FourierSampling(mask).forward(x).reshape(4, 5)
        k, j = np.arange(4) - 2, np.arange(5) - 2
        one = np.exp(-2j * np.pi * np.outer(k, k) / 4) / 2
        other = np.exp(-2j * np.pi * np.outer(j, j) / 5) / np.sqrt(5)
        np.testing.assert_allclose(found, one @ x @ other.T, atol=1e-14)

    def test_matrix(self):
        mask = np.array([[True, False, True]])
        dense = MaskOperator(mask) @ np.eye(3)
        np.testing.assert_array_equal(dense, np.eye(3)[[0, 2]])

    def test_refuses(self):
        with pytest.raises(TypeError, match="mask must be a boolean array"):
            MaskOperator(np.ones((2, 2)))
        with pytest.raises(ValueError, match="keep at least one entry"):
            MaskOperator(np.zeros((2, 2), bool))
        with pytest.raises(TypeError, match="dtype must be complex"):
            FourierSampling(np.ones((2, 2), bool), dtype="f8")
        with pytest.raises(ValueError, match="axes must be different axes"):
            FourierSampling(np.ones((2, 2), bool), axes=(0, 2))
