"""Solves with block banded factors in CUDA, on the CPU and on a GPU."""

import pytest

from support.arrays import DTYPES
from support.cuda_checks import assert_close
from support.factors import SHAPES, random_factor, solved, values


def check(cupy, module, shapes, dtype, batch):
    factors = [random_factor(shape, dtype, seed) for seed, shape in enumerate(shapes)]
    plans, z = [module.prepare(*f) for f in factors], values(shapes, batch, dtype)
    target = cupy.asarray(z)
    for _ in range(2):  # a plan is not changed by use
        target[...] = cupy.asarray(z)
        assert module.solve(plans, batch, target) is None
        assert_close(target, solved(shapes, factors, batch, z), dtype)
    return plans


@pytest.fixture(params=["a launch for all steps", "products"])
def sweeps(request, kernels, monkeypatch):
    """The launcher, for wide factors only where its kernel may not be used."""
    module = kernels("sweeps")
    if request.param == "products":
        monkeypatch.setattr(module, "SHARED", 0)
    return module


class TestSolve:
    @pytest.mark.parametrize("batch", [1, 11])
    @pytest.mark.parametrize("name", SHAPES)
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_equals_oracle(self, cupy, sweeps, monkeypatch, name, dtype, batch):
        for few in (0, 10**9):  # items that a block of threads treats: some, or one
            monkeypatch.setattr(sweeps, "FEW", few)
            check(cupy, sweeps, [SHAPES[name]], dtype, batch)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_several_plans(self, cupy, sweeps, dtype):
        """Of different shapes, and of the same."""
        names = ["one unknown", "tridiagonal", "as wide as a warp", "two blocks"]
        shapes = [SHAPES[name] for name in names]
        check(cupy, sweeps, [*shapes, SHAPES["wide"], *shapes], dtype, 9)
        check(cupy, sweeps, [SHAPES["groups"]] * 3, dtype, 2)

    def test_narrow_and_wide_plans_together(self, cupy, kernels):
        shapes = [(1, 300, 3, 2), (1, 20, 5, 2), (1, 300, 3, 2), (1, 300, 4, 1)]
        plans = check(cupy, kernels("sweeps"), shapes, "float32", 3)
        assert len({type(plan) for plan in plans}) == 2
        assert all(plan.nbytes > 0 for plan in plans)

    @pytest.mark.parametrize("dtype", ["float32", "complex128"])
    def test_grid_smaller_than_the_work(self, cupy, kernels, small_grids, dtype):
        check(cupy, kernels("sweeps"), [SHAPES["groups"]] * 3, dtype, 25)

    def test_no_items(self, cupy, sweeps):
        plan = sweeps.prepare(*random_factor(SHAPES["groups"], "float32"))
        sweeps.solve([plan], 0, cupy.zeros(0, "float32"))

    def test_wrong_arguments_are_refused(self, cupy, sweeps):
        plan = sweeps.prepare(*random_factor(SHAPES["groups"], "float32"))
        z = cupy.zeros(2 * plan.size, "float32")
        with pytest.raises(TypeError, match="z must have dtype float32"):
            sweeps.solve([plan], 2, z.astype("float64"))
        with pytest.raises(ValueError, match="z must have shape"):
            sweeps.solve([plan], 3, z)
        with pytest.raises(TypeError, match="z must be a CuPy array"):
            sweeps.solve([plan], 2, z.get())
