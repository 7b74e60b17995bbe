"""The units of b and of the kernel, up to the ends of the range."""

import numpy as np
import pytest

from convinv import ConvergenceWarning, ConvLinearOperator, solve
from support.problems import (
    LOOSE,
    METHODS,
    VARIANTS,
    case,
    check_one_truth,
    easy,
    entry,
    run,
    variants,
)


def with_kernel(op, kernel):
    """The operator `op` with another kernel, with no inverse kept by earlier calls."""
    return ConvLinearOperator(kernel, op.input_shape, **op.options)


class TestScale:
    """The units of b and of the kernel change nothing but those of x."""

    @pytest.mark.parametrize("power", [-900, -100, 3, 900])
    @variants
    def test_powers_of_two_are_exact(self, variant, power):
        c, _ = easy(VARIANTS[variant][0])
        if "adam" in variant:
            pytest.skip("its step has the units of x")
        name, arguments = VARIANTS[variant]
        normal = arguments.get("normal") or METHODS[name].applies_inverse
        kwargs = {"rtol": LOOSE, "rng": 0, "maxiter": 50}
        op = with_kernel(c.op, c.op.kernel)
        one, _ = run(variant, op, c.b, **kwargs)
        two, _ = run(variant, op, np.ldexp(c.b, power), **kwargs)
        assert two.nit == one.nit and two.status is one.status
        np.testing.assert_array_equal(two.x, np.ldexp(one.x, power))
        np.testing.assert_array_equal(two.history, np.ldexp(one.history, power))
        assert two.residual_norm == np.ldexp(one.residual_norm, power)
        op = with_kernel(op, np.ldexp(op.kernel, power))
        three, _ = run(variant, op, c.b, **kwargs)
        assert three.nit == one.nit
        if variant == "cg schwarz" and abs(power) < 16:  # a factor of A has its root
            close = {"rtol": 0, "atol": 1e-13 * np.max(np.abs(three.x))}
            np.testing.assert_allclose(three.x, np.ldexp(one.x, -power), **close)
            return
        np.testing.assert_array_equal(three.x, np.ldexp(one.x, -power))
        # the history of some methods is the normal residual, with the kernel's units
        expected = np.ldexp(one.history, power) if normal else one.history
        np.testing.assert_array_equal(three.history, expected)

    @pytest.mark.parametrize("factor", [1e-100, 1e100])
    @variants
    def test_homogeneity(self, variant, factor):
        for dtype in ("float64", "complex128", "float32"):
            if dtype == "float32":
                factor = 1e20 if factor > 1 else 1e-20
            self.check_homogeneity(variant, dtype, np.dtype(dtype).type(factor).real)

    @staticmethod
    def check_homogeneity(variant, dtype, factor):
        if "adam" in variant:
            pytest.skip("its step has the units of x")
        c, _ = easy(VARIANTS[variant][0], dtype)
        one, _ = run(variant, c.op, c.b, rtol=LOOSE, rng=0, maxiter=300)
        close = {"rtol": 0, "atol": 1e-2 * np.max(np.abs(one.x))}
        # rounding differs, and may carry a norm over the threshold
        near = 1 + one.nit // (5 if entry(variant).greedy else 10)
        two, caught = run(variant, c.op, c.b * factor, rtol=LOOSE, rng=0, maxiter=300)
        assert abs(two.nit - one.nit) <= near and two.success == one.success
        np.testing.assert_allclose(two.x / factor, one.x, **close)
        op = with_kernel(c.op, c.op.kernel * factor)
        two, caught = run(variant, op, c.b, rtol=LOOSE, rng=0, maxiter=300)
        assert abs(two.nit - one.nit) <= near and two.success == one.success
        np.testing.assert_allclose(two.x * factor, one.x, **close)

    @pytest.mark.parametrize("factor", [1e-150, 1e150])
    def test_general_operators(self, factor):
        c = case("dense")
        x = c.pinv @ c.b
        for A, b, expected in (
            (c.A * factor, c.b, x / factor),
            (c.A, c.b * factor, x * factor),
            (c.A * factor, c.b * factor, x),
        ):
            result = solve(A, b)
            assert result.success
            np.testing.assert_allclose(result.x, expected, rtol=1e-3)

    @pytest.mark.parametrize("factor", [1e-100, 1e100])
    def test_damp_scales_with_the_kernel(self, factor):
        c = case("over")
        one = solve(c.op, c.b, damp=0.5)
        two = solve(factor * c.op, c.b, damp=0.5 * factor)
        if two.method == one.method:  # not where `c.op` has an inverse already
            assert abs(two.nit - one.nit) <= 1 + one.nit // 10  # rounding differs
        np.testing.assert_allclose(two.x * factor, one.x, rtol=1e-4, atol=1e-6)

    def test_atol_has_the_units_of_b(self):
        c = case("over")
        size = np.linalg.norm(c.b)
        one = solve(c.op, c.b, atol=0.3 * size, rtol=0)
        two = solve(c.op, c.b * 2.0**600, atol=0.3 * size * 2.0**600, rtol=0)
        assert one.nit == two.nit > 0 and two.success

    @variants
    def test_subnormal_data(self, variant):
        c, _ = easy(VARIANTS[variant][0])
        if "adam" in variant:
            pytest.skip("its step has the units of x")
        op = with_kernel(c.op, c.op.kernel * 1e-300)
        b = c.b * 1e-310
        assert np.max(np.abs(b)) < np.finfo(float).tiny
        result, caught = run(variant, op, b, rtol=LOOSE)
        check_one_truth(result, caught)
        assert result.success
        np.testing.assert_allclose(result.x * 1e10, c.x, atol=1e-2)

    @pytest.mark.parametrize(
        ("b", "kernel"),
        [(5e-324, 1.0), (1e-320, 1.0), (1e300, 1e-100), (1e-300, 1e100)],
    )
    def test_x_that_has_no_place_in_the_dtype(self, b, kernel):
        """Where x over- or underflows, a success would be a lie."""
        c = case("over")
        op = ConvLinearOperator(c.op.kernel * kernel, c.op.input_shape)
        data = c.b * b
        result, caught = run("cgls", op, data)
        power = -int(np.frexp(np.max(np.abs(data)))[1])
        data = np.ldexp(data, power)
        if result.success:
            assert np.all(np.isfinite(result.x))
            x = np.ldexp(result.x, power) * kernel
            assert np.linalg.norm(data - c.A @ x) <= 1.1e-6 * np.linalg.norm(data)
        else:
            assert [w.category for w in caught] == [ConvergenceWarning]

    def test_x0_beyond_the_scale_of_the_problem(self):
        c = case("over")
        with pytest.raises(ValueError, match="x0 is too large"):
            solve(c.op, c.b * 1e-200, x0=np.full(c.x.size, 1e200))
