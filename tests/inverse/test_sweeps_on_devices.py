"""Exact inverses on CuPy arrays: the results of NumPy arrays, in few launches."""

import numpy as np
import pytest

from convinv import ConvLinearOperator
from convinv._core.errors import MemoryLimit, Singular
from convinv._inverse import recursion
from convinv._inverse.block_cholesky import BlockCholesky, solve_all
from convinv._inverse.border_correction import BorderCorrectedCirculant
from convinv._inverse.gram import Gram
from convinv.kernels import launcher
from support.arrays import every_dtype, random
from support.cuda_host import on_host
from support.layers import layer


@pytest.fixture
def products(cupy, monkeypatch):
    """The names of cuBLAS's products that are called, in a list that grows."""
    found, blas = [], cupy.cuda.cublas

    def noted(name, function):
        return lambda *args: found.append(name) or function(*args)

    for name in ("sgemmBatched", "dgemmBatched", "gemmStridedBatchedEx"):
        monkeypatch.setattr(blas, name, noted(name, getattr(blas, name)))
    return found


def factors(dtype, channels=3, axes=(1, 2, 2)):
    op = layer((2 * channels, channels, 3, 3), (channels, 22, 26), padding=1)
    op = ConvLinearOperator(op.kernel.astype(dtype), op.input_shape, padding=1)
    gram = Gram(op, "input")
    return gram, [
        BlockCholesky(gram, axis, damp=damp)
        for axis, damp in zip(axes, (0.3, 0.1, 0.2, 0.4))
    ]


def given(gram, count, dtype):
    shape = (4, gram.groups, gram.channels, *gram.grid)
    return [random(shape, dtype, seed) for seed in range(count)]


def agrees(cupy, found, wanted, dtype):
    for x, want in zip(found, wanted):
        assert x.dtype == dtype and x.shape == want.shape
        close = 2000 * np.finfo(dtype).eps * np.abs(want).max()
        np.testing.assert_allclose(x.get(), want, rtol=0, atol=close)


@every_dtype
def test_factors_agree_with_numpy(cupy, dtype):
    gram, some = factors(dtype)
    v = given(gram, len(some), dtype)
    found = solve_all(list(zip(some, map(cupy.asarray, v))))
    agrees(cupy, found, solve_all(list(zip(some, v))), dtype)


@pytest.mark.parametrize("real", ["float32", "float64"])
def test_complex_arrays_of_real_factors(cupy, real):
    gram, some = factors(real)
    dtype = np.result_type(real, np.complex64)
    v = given(gram, len(some), dtype)
    found = solve_all(list(zip(some, map(cupy.asarray, v))))
    agrees(cupy, found, solve_all(list(zip(some, v))), dtype)


@on_host
def test_narrow_factors_take_one_launch(cupy, launched, products):
    gram, some = factors("float32")
    pairs = list(zip(some, map(cupy.asarray, given(gram, len(some), "float32"))))
    solve_all(pairs)
    assert len(launched) == 1 and not products


@on_host
@pytest.mark.parametrize("axes", [(1,), (1, 1, 1)])
def test_wide_factors_take_a_product_for_each_step(cupy, launched, products, axes):
    """Two for each block row, however many factors, and one for all inverses of D."""
    gram, some = factors("float32", 12, axes)
    assert some[0].width > launcher.THREADS
    v = given(gram, len(some), "float32")
    found = solve_all(list(zip(some, map(cupy.asarray, v))))
    assert len(products) == 2 * (some[0].count - 1) + 1 and not launched
    agrees(cupy, found, solve_all(list(zip(some, v))), "float32")


@on_host
def test_bands_of_an_image_take_one_launch_together(cupy, monkeypatch):
    op = layer((6, 2, 3, 3), (2, 60, 50))
    inverse, of_numpy = (
        BorderCorrectedCirculant(
            Gram(ConvLinearOperator(xp.asarray(op.kernel), op.input_shape), "input"),
            **{"damp": 0.5, "depth": 5, "xp": xp},
        )
        for xp in (cupy, np)
    )
    assert len(inverse.faces) == 4
    v = random((2, 1, 2, 1, 60, 50))
    names, function = [], launcher.function
    monkeypatch.setattr(
        launcher, "function", lambda f, n, *a: names.append(f) or function(f, n, *a)
    )
    found = inverse.apply(cupy.asarray(v))
    assert names.count("sweeps/cuda") == 1
    agrees(cupy, [found], [of_numpy.apply(v)], "float64")


class TestWideFactorsMadeOnDevices:
    """Lines of more than 256 unknowns are factorized there, as on the host."""

    @staticmethod
    def both(cupy, dtype, **options):
        gram, _ = factors("float64" if dtype.startswith("f") else "complex128", 12, ())
        made = [
            BlockCholesky(gram, 1, dtype=dtype, xp=xp, **options) for xp in (cupy, np)
        ]
        assert made[0].width > 256
        return gram, *made

    @every_dtype
    def test_as_on_the_host(self, cupy, dtype):
        gram, ours, theirs = self.both(cupy, dtype, damp=0.3)
        assert isinstance(ours.rows[0].inverse, cupy.ndarray)
        assert ours.which == theirs.which and len(ours.rows) == len(theirs.rows)
        np.testing.assert_allclose(ours.rconds, theirs.rconds, rtol=1e-6)
        np.testing.assert_allclose(ours.least, theirs.least, rtol=1e-6)
        v = given(gram, 1, dtype)[0]
        found, want = ours.solve(cupy.asarray(v)), theirs.solve(v)
        agrees(cupy, [found], [want], dtype)
        assert ours.nbytes == sum(part.nbytes for row in ours.rows for part in row) + (
            sum(back.nbytes for back in ours.plan(cupy).arrays[2 * len(ours.rows) :])
        )

    def test_in_single_precision_throughout(self, cupy):
        _, ours, theirs = self.both(cupy, "float32", damp=0.3, compute="float32")
        assert ours.rows[0].inverse.dtype == "float32"
        np.testing.assert_allclose(ours.rconds, theirs.rconds, rtol=1e-3)

    def test_memory(self, cupy):
        with pytest.raises(MemoryLimit):
            self.both(cupy, "float64", damp=0.3, memory=2**20)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_matrices_that_are_not_definite_are_noticed(cupy, dtype):
    good = np.stack([np.eye(7) + 0.1 * np.ones((7, 7)), 3 * np.eye(7)]).astype(dtype)
    found = recursion.inverse(cupy.asarray(good))
    close = 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(found.get(), np.linalg.inv(good), atol=close)
    for spoil in (-1.0, np.nan):
        bad = good.copy()
        bad[1, 4, 4] = spoil
        with pytest.raises(Singular) as caught:
            recursion.inverse(cupy.asarray(bad))
        assert list(caught.value.groups) == [1]
