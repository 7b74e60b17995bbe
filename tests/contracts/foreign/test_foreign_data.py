"""Masks, NaN and subclasses of arrays; arguments at their limits."""

import numpy as np
import pytest

from convinv import ConvergenceWarning, ConvLinearOperator, Status, solve
from support.quiet import quietly


class TestData:
    """Masks, NaN and subclasses of arrays."""

    def layer(self):
        x = np.random.default_rng(0).random((1, 16, 16))
        kernel = np.ones((1, 1, 3, 3)) / 9
        op = ConvLinearOperator(kernel, x.shape, padding=1, boundary="symmetric")
        return op, x, op.forward(x)

    def test_masked_entries_do_not_count(self):
        op, x, b = self.layer()
        b[0, 5, 5] = 1e6
        masked = np.ma.masked_array(b, mask=b > 1e5)
        result = solve(op, masked, damp=0.05)
        assert result.success
        assert abs(result.x - x).max() < 0.5
        np.testing.assert_array_equal(
            solve(op, np.ma.masked_array(b), damp=0.05).x, solve(op, b, damp=0.05).x
        )
        with pytest.raises(ValueError, match="x0 is a masked array, 1 of whose"):
            start = np.ma.masked_array(x, mask=x == x[0, 3, 3])
            solve(op, b, x0=start, damp=0.05)

    def test_nan_says_how_to_leave_it_out(self):
        op, _, b = self.layer()
        b[0, 0, 0] = np.nan
        with pytest.raises(ValueError, match="mask=isfinite"):
            solve(op, b)
        assert solve(op, b, damp=0.05, mask=np.isfinite(b)).success

    def test_subclasses_keep_working(self):
        class Quantity(np.ndarray):
            unit = "m"

        op, _, b = self.layer()
        result = solve(op, b.view(Quantity), damp=0.1)
        np.testing.assert_array_equal(result.x, solve(op, b, damp=0.1).x)

    def test_ragged_lists_are_named(self):
        op, _, _ = self.layer()
        with pytest.raises(ValueError, match="b is no array of numbers"):
            solve(op, [[1.0, 2], [3]])


class TestArguments:
    def test_huge_damp(self):
        op = ConvLinearOperator(np.ones((1, 1, 3, 3)), (1, 8, 8))
        for op_, b in ((op, np.ones((1, 6, 6))), (np.eye(4), np.ones(4))):
            for damp in (1e100, 1e200, 1e300):
                result = quietly(op_, b, "cgls", damp=damp)
                assert abs(result.x).max() < 1e-90

    @pytest.mark.parametrize("method", ["rk", "rshk", "fdbk", "cgls"])
    def test_a_callback_that_stops_gets_what_it_saw(self, method):
        rng = np.random.default_rng(3)
        A, b = rng.standard_normal((12, 8)), rng.standard_normal(12)
        x0, seen = np.linalg.lstsq(A, b)[0] + 1e-3, []

        def callback(state):
            seen.append(state.x.copy())
            return True

        result = solve(A, b, method, x0=x0, rtol=1e-12, callback=callback)
        assert result.status is Status.STOPPED and result.nit == 1
        np.testing.assert_array_equal(result.x, seen[-1])

    def test_conlim(self):
        A = np.diag(np.geomspace(1, 1e-5, 12))
        b = np.ones(12)
        for method in ("cgls", "lsqr", "lsmr", "cg", "gmres"):
            with pytest.warns(ConvergenceWarning, match="conlim"):
                cycles = {"restart": 5} if method == "gmres" else {}
                result = solve(A, b, method, conlim=100, rtol=1e-12, **cycles)
            assert result.status is Status.ILL_CONDITIONED
            assert solve(A, b, method, conlim=1e9, rtol=1e-3).success
        with pytest.raises(ValueError, match="takes no conlim.*lsmr"):
            solve(A, b, "kaczmarz", conlim=100)
        with pytest.raises(ValueError, match="at least 1"):
            solve(A, b, "cgls", conlim=0.5)

    def test_rtol_normal(self):
        rng = np.random.default_rng(0)
        A, b = rng.standard_normal((30, 10)), rng.standard_normal(30)
        loose = solve(A, b, "cgls", rtol_normal=1e-2)
        tight = solve(A, b, "cgls", rtol_normal=1e-10)
        assert loose.success and tight.success and loose.nit < tight.nit
        with pytest.warns(ConvergenceWarning):
            assert not solve(A, b, "cgls", rtol_normal=0, maxiter=5).success
        with pytest.raises(ValueError, match="rtol_normal"):
            solve(A, b, rtol_normal=-1)
