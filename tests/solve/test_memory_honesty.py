"""What a solve takes is near to what it is said to take."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

import convinv
from convinv import ConvLinearOperator, Status, solve
from convinv._core.threads import limited_threads
from convinv._problem.batch import Layout
from convinv._solve import slices
from convinv._solve.memory import copied
from convinv.kernels.products.fft import Plan
from convinv.solvers import _registry
from support import counts
from support.memory_cases import data, estimate_of, layer
from support.problems import METHODS, VARIANTS, entry
from support.quiet import quietly

# Every variant, and every method with damp that takes it.
CASES = {
    **{variant: {} for variant in VARIANTS},
    **{f"{name}, damped": {"damp": 0.3} for name, m in METHODS.items() if m.damp},
}
SHAPES = [(4, 1, 3, 3), (2, 2, 3, 3), (1, 3, 3, 3)]


def operator(variant, shape, dtype):
    """A layer that a variant takes, None where no layer of this shape is one."""
    method = entry(variant)
    if method.square and shape[0] != shape[1]:
        return None
    if method.rate == "blocks" and method.convolution_only and shape[0] < shape[1]:
        return None  # the strip is one large matrix
    size = 40 if "schwarz" in variant else 24  # where it does not end in a factor
    op = layer(shape, size, dtype, padding=1)
    if method.hermitian:
        kernel = 0.1 * (op.kernel + np.flip(op.kernel, (2, 3)).swapaxes(0, 1).conj())
        kernel[(*np.diag_indices(shape[0]), 1, 1)] += 3
        return ConvLinearOperator(kernel, op.input_shape, padding=1)
    if not method.takes(op):
        return layer(shape, size, dtype, padding=1, boundary="periodic")
    return op


class TestHonesty:
    @staticmethod
    @limited_threads(lambda: 1)  # how far the buffers of several overlap is chance
    def peak(solve_it):
        solve_it()  # kernels and what is kept with the operator
        found = []
        for _ in range(2):  # what another thread takes meanwhile is counted too
            tracemalloc.start()
            try:
                result = solve_it()
                if result.status is Status.BREAKDOWN:
                    pytest.skip("there is no such inverse: it is made again each time")
                found.append(tracemalloc.get_traced_memory()[1] - result.x.nbytes)
            finally:
                tracemalloc.stop()
        return min(found)

    @pytest.mark.parametrize("case", CASES)
    @pytest.mark.parametrize("dtype", ["float64", "complex64"])
    @pytest.mark.parametrize("shape", SHAPES)
    def test_measured(self, case, dtype, shape):
        variant = case.removesuffix(", damped")
        name, arguments = VARIANTS[variant]
        op = operator(variant, shape, dtype)
        if op is None:
            pytest.skip("the method does not take such a layer")
        if entry(variant).rate == "blocks" and entry(variant).needs_rows:
            pytest.skip("the blocks, which have an option, come on top")
        b = data(op, 24)
        strips = {"h_b": 24} if name == "strip" else {}
        arguments = {**arguments, **CASES[case], **strips}
        found = self.peak(
            lambda: quietly(
                op,
                b,
                name,
                rtol=1e-14,
                maxiter=3,
                rng=0,
                max_memory=1e12,  # so that single precision does not go on in double
                **arguments,
            )
        )
        said = estimate_of(op, b, name, **arguments).bytes(24)
        share = 4 if entry(variant).rate == "blocks" else 3
        assert said / share <= found + 2**16 and found <= 1.2 * said + 2**18

    @pytest.mark.parametrize("variant", counts.VARIANTS)
    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    @pytest.mark.parametrize("shape", SHAPES)
    def test_methods_for_counts(self, variant, dtype, shape):
        name, arguments = counts.VARIANTS[variant]
        kernel = np.random.default_rng(0).random(shape).astype(dtype)
        op = ConvLinearOperator(kernel, (shape[1], 24, 24), padding=1)
        b = abs(data(op, 24)) * 30
        for more in ({}, {"tv": 0.01, "stopping": "discrepancy"}):
            own = {**arguments, **more}
            found = self.peak(
                lambda own=own: quietly(op, b, name, rtol=1e-14, maxiter=3, **own)
            )
            said = estimate_of(op, b, name, **own).bytes(24)
            assert said / 3 <= found + 2**16 and found <= 1.2 * said + 2**18

    def test_an_understated_declaration_is_noticed(self, monkeypatch):
        """The test above fails for a method that stores more than it says."""
        storage = dataclasses.replace(METHODS["rshek"].storage, m=0, n=0)
        understated = dataclasses.replace(METHODS["rshek"], storage=storage)
        monkeypatch.setitem(_registry.METHODS, "rshek", understated)
        with pytest.raises(AssertionError):
            self.test_measured("rshek", "complex64", SHAPES[0])

    @pytest.mark.parametrize("dtype", ["float64", "complex64"])
    @pytest.mark.parametrize("damp", [0.0, 0.3])
    @pytest.mark.parametrize("name", ["separable", "even", "patches"])
    def test_closed_forms(self, name, damp, dtype):
        """Forwards and adjoint; single precision starts again from what it has."""
        options = {
            "separable": {"padding": 1},
            "even": {"padding": 1, "boundary": "symmetric"},
            "patches": {"stride": 3},
        }[name]
        kernel = layer((4, 1, 3, 3), dtype=dtype).kernel
        if name == "separable":
            rows, columns = kernel[:1, :, :1], kernel[:1, :, :, :1]
            kernel = kernel[:, :, :1, :1] * rows * columns
        if name == "even":
            kernel = kernel + kernel[:, :, ::-1]
            kernel = kernel + kernel[..., ::-1]
        op = ConvLinearOperator(kernel, (1, 24, 24), **options)
        for one in (op, op.H):
            b = data(one, 24)
            found = self.peak(
                lambda: quietly(one, b, "spectral", rtol=1e-14, maxiter=3, damp=damp)
            )
            said = estimate_of(one, b, "spectral", damp).bytes(24)
            assert said / 4 <= found + 2**16 and found <= 1.2 * said + 2**18

    @pytest.mark.parametrize("dtype", ["float32", "complex128"])
    @pytest.mark.parametrize("boundary", ["zero", "symmetric", "periodic"])
    def test_products_by_fft(self, dtype, boundary):
        """What they take is bounded, whatever the batch, and counted."""
        rng = np.random.default_rng(0)
        kernel = (0.01 * rng.standard_normal((2, 1, 41, 41))).astype(dtype)
        op = ConvLinearOperator(
            kernel, (1, 128, 128), padding="same", boundary=boundary
        )
        assert isinstance(op.plan(op.dtype), Plan)
        b = data(op, 24)
        found = self.peak(lambda: quietly(op, b, "cgls", rtol=1e-14, maxiter=3))
        estimate = estimate_of(op, b, "cgls")
        said = estimate.bytes(24)
        assert said / 3 <= found <= 1.2 * said + 2**18
        scratch = [plan.scratch_bytes(10**6) for plan in estimate.plans]
        assert max(scratch) < 2**28

    def test_matrices_and_operators(self):
        matrix = np.random.default_rng(0).standard_normal((1500, 500))
        op = aslinearoperator(matrix)
        b = np.random.default_rng(1).standard_normal((64, 1500))
        found = self.peak(lambda: quietly(op, b, "cgls", maxiter=3))
        wrapped = convinv._solve.front.as_operator(op)
        said = estimate_of(wrapped, b, "cgls").bytes(64)
        assert said / 3 <= found <= 1.2 * said + 2**18

    def test_auto_counts_the_most_of_its_choices(self):
        op = layer((4, 1, 3, 3), 24)
        b = data(op, 24)
        found = self.peak(lambda: solve(op, b))
        said = estimate_of(op, b, "auto").bytes(24)
        assert found <= said
        singles = [estimate_of(op, b, name).bytes(24) for name in ("direct", "schwarz")]
        assert said >= max(singles)

    def test_the_limit_is_kept(self):
        """Slices really take less, and no more than was allowed."""
        op = layer((4, 1, 3, 3), 32)
        b = data(op, 48)
        estimate = estimate_of(op, b, "lsmr")
        limit = estimate.bytes(48) / 5
        for name, value in (("whole", None), ("slices", limit)):
            found = self.peak(lambda v=value: quietly(
                op, b, "lsmr", maxiter=4, rtol=1e-14, max_memory=v
            ))  # fmt: skip
            assert (found > limit) == (name == "whole")

    def test_copies_of_the_data_count(self):
        op = layer()
        b = data(op, 3)
        x0 = np.zeros(op.input_shape)
        m, n = op.shape
        for given, start, numbers in [
            (b, None, 0),
            (b.tolist(), None, 3 * m),
            (b.astype("float32"), None, 3 * m),
            (b.reshape(3, -1).T, None, 0),  # columns of a transpose are rows
            (np.asfortranarray(b), None, 3 * m),
            (b, np.zeros((3, *op.input_shape)), 0),
            (b, x0, 3 * n),
        ]:
            layout = Layout(op, given, start)
            assert copied(layout, given, start) == 8 * numbers

    def test_slices_are_the_largest_that_fit(self):
        op = layer()
        estimate = estimate_of(op, data(op, 20), "cgls")
        for items in range(1, 19):
            limit = estimate.sliced(items)
            assert estimate.fitting(limit) == items
            assert estimate.fitting(limit - 1) == items - 1
        assert estimate.fitting(estimate.bytes(20)) == 20
        for items in (1, 3, 6, 7, 13):
            parts = slices.slices_of(estimate, estimate.sliced(items))
            sizes = [part.stop - part.start for part in parts]
            assert sum(sizes) == 20 and max(sizes) <= items
            assert max(sizes) - min(sizes) <= 1
