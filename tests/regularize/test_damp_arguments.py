"""Arguments of the choice of damp."""

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

from convinv import ConvLinearOperator, solve
from support.damping_cases import blur, chosen, data


class TestArguments:
    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"damp": "gvc"}, TypeError, "damp must be a real number or one of"),
            ({"damp": "discrepancy"}, ValueError, "needs noise_level, got None"),
            ({"damp": "gcv", "noise_level": 0.1}, ValueError, "is for damp='discrep"),
            ({"damp": 0.5, "noise_level": 0.1}, ValueError, "is for damp='discrep"),
            ({"noise_level": 0.1}, ValueError, "is for damp='discrep"),
            (
                {"damp": "discrepancy", "noise_level": -1},
                ValueError,
                "noise_level must be finite",
            ),
            (
                {"damp": "discrepancy", "noise_level": "a"},
                TypeError,
                "noise_level must be a real",
            ),
            ({"damp": "gcv", "method": "gmres"}, ValueError, "normal=True"),
            ({"damp": "gcv", "method": "cg"}, ValueError, "takes no damp"),
        ],
    )
    def test_wrong_ones_are_named(self, options, error, words):
        op = blur("symmetric")
        with pytest.raises(error, match=words):
            solve(op, np.ones(op.output_shape), **{"method": "cgls", **options})

    def test_ncp_needs_an_image(self):
        with pytest.raises(TypeError, match="ncp.*ConvLinearOperator.*MatrixOperator"):
            solve(np.eye(3), np.ones(3), damp="ncp")
        op = ConvLinearOperator(np.ones((2, 1, 3)), (1, 3))
        with pytest.raises(TypeError, match=r"output shape \(2, 1\)"):
            solve(op, np.ones((2, 1)), damp="ncp")

    def test_operators_without_an_adjoint(self):
        op = LinearOperator((3, 3), matvec=lambda v: v, dtype=float)
        with pytest.raises(TypeError, match="adjoint"):
            solve(op, np.ones(3), damp="gcv")

    def test_b_is_not_written_to(self):
        op = blur("reflect")
        b, _ = data(op, 0.1, batch=2)
        before = b.copy()
        chosen(op, b, "gcv")
        np.testing.assert_array_equal(b, before)
