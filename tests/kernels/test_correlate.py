"""Products of layers on the CPU against slow oracles."""

import numpy as np
import pytest

from convinv._core.geometry import make_geometry
from convinv.kernels.correlate import cpu as correlate_cpu
from support import oracles
from support.arrays import every_dtype, random
from support.vector_calls import assert_close

LAYERS = {
    "2-D": ((5, 2, 3, 3), (2, 7, 37), {"padding": 1}),
    "1-D": ((3, 2, 4), (2, 150), {"padding": ((2, 5),), "boundary": "periodic"}),
    "3-D": ((2, 1, 2, 2, 3), (1, 4, 5, 6), {"stride": (1, 2, 3), "padding": 2}),
    "groups": ((6, 2, 3, 2), (4, 8, 9), {"groups": 2, "dilation": 2}),
    "one sample": ((9, 3, 1), (3, 1), {}),
}
DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "boundary": "zero"}


class TestCorrelate:
    @staticmethod
    def products(layer, dtype, batch=2):
        """(function, plan, argument, the oracle's product) of both directions."""
        shape, input_shape, options = LAYERS[layer]
        g = make_geometry(shape, input_shape, **{**DEFAULTS, **options})
        kernel = random((*shape[:2], *g.kernel), dtype)
        x = random((batch, g.c_in, *g.input), dtype, 1)
        y = random((batch, g.c_out, *g.output), dtype, 2)
        spelt = {
            "stride": g.stride,
            "padding": list(zip(g.before, g.after)),
            "dilation": g.dilation,
            "groups": g.groups,
            "boundary": g.boundary,
        }
        plan = correlate_cpu.prepare(kernel, g)
        size = (g.c_in, *g.input)
        return (
            (
                correlate_cpu.forward,
                plan,
                x,
                oracles.correlate_forward(kernel, x, **spelt),
            ),
            (
                correlate_cpu.adjoint,
                plan,
                y,
                oracles.correlate_adjoint(kernel, y, size, **spelt),
            ),
        )

    @pytest.mark.parametrize("layer", LAYERS)
    @every_dtype
    def test_equals_oracle(self, layer, dtype):
        for product, plan, array, expected in self.products(layer, dtype):
            before = array.copy()
            got, none = product(plan, array)
            assert none is None and got.dtype == dtype
            assert_close(got, expected, dtype, 50)
            np.testing.assert_array_equal(array, before)

    @pytest.mark.parametrize("layer", LAYERS)
    @every_dtype
    def test_norms(self, layer, dtype):
        for product, plan, array, expected in self.products(layer, dtype):
            plain, _ = product(plan, array)
            got, sums = product(plan, array, sumsq=True)
            np.testing.assert_array_equal(got, plain)
            assert sums.shape == (2,) and sums.dtype == "float64"
            own = oracles.vectors_sumsq(got.reshape(2, -1))
            np.testing.assert_allclose(sums, own, rtol=1e-12)

    @pytest.mark.parametrize("layer", LAYERS)
    @every_dtype
    def test_out_is_overwritten(self, layer, dtype):
        """Whatever it held before, and nothing beside it."""
        for product, plan, array, _ in self.products(layer, dtype):
            expected, _ = product(plan, array)
            around = np.full(expected.size + 200, np.nan, dtype)
            out = around[100:-100].reshape(expected.shape)
            got, _ = product(plan, array, out=out)
            assert got is out or np.shares_memory(got, out)
            np.testing.assert_array_equal(got, expected)
            assert np.all(np.isnan(around[:100])) and np.all(np.isnan(around[-100:]))

    @pytest.mark.parametrize("layer", LAYERS)
    @pytest.mark.parametrize("dtype", ["float32", "complex128"])
    def test_zero_taps_are_skipped(self, layer, dtype):
        shape, input_shape, options = LAYERS[layer]
        g = make_geometry(shape, input_shape, **{**DEFAULTS, **options})
        kernel = random((*shape[:2], *g.kernel), dtype)
        left = np.random.default_rng(3).random(g.kernel) < 0.3
        kernel[..., ~left] = 0
        kernel[0, 0][left] = 0  # zero in one channel only
        spelt = {
            "stride": g.stride,
            "padding": list(zip(g.before, g.after)),
            "dilation": g.dilation,
            "groups": g.groups,
            "boundary": g.boundary,
        }
        x = random((2, g.c_in, *g.input), dtype, 1)
        y = random((2, g.c_out, *g.output), dtype, 2)
        plan = correlate_cpu.prepare(kernel, g)
        got, _ = correlate_cpu.forward(plan, x)
        want = oracles.correlate_forward(kernel, x, **spelt)
        assert_close(got, want, dtype, 50)
        got, _ = correlate_cpu.adjoint(plan, y)
        want = oracles.correlate_adjoint(kernel, y, (g.c_in, *g.input), **spelt)
        assert_close(got, want, dtype, 50)
        full = correlate_cpu.prepare(random(kernel.shape, dtype, 4), g)
        if not left.all():
            assert len(plan.adjoint_taps.offsets) < len(full.adjoint_taps.offsets)

    @pytest.mark.parametrize("layer", LAYERS)
    def test_batches_are_independent(self, layer):
        for product, plan, array, _ in self.products(layer, "float32", batch=3):
            together, _ = product(plan, array)
            for i in range(3):
                alone, _ = product(plan, array[i : i + 1])
                np.testing.assert_array_equal(alone[0], together[i])
            array[1] = np.nan
            again, _ = product(plan, array)
            np.testing.assert_array_equal(again[[0, 2]], together[[0, 2]])
            assert np.all(np.isnan(again[1]) | (together[1] == 0))

    def test_empty_batch(self):
        for product, plan, array, _ in self.products("2-D", "float64"):
            got, sums = product(plan, array[:0], sumsq=True)
            assert got.shape[0] == 0 and sums.shape == (0,)
