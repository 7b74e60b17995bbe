"""The products and the memory that methods declare."""

import functools
import tracemalloc

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

from convinv import ConvLinearOperator
from support.problems import (
    METHODS,
    VARIANTS,
    center,
    easy,
    entry,
    named,
    run,
    takes_products,
)


class Counting(LinearOperator):
    """An operator that counts its products."""

    def __init__(self, A):
        self.A, self.forward, self.adjoint = A, 0, 0
        super().__init__(A.dtype, A.shape)

    def _matvec(self, x):
        self.forward += 1
        return self.A @ x

    def _rmatvec(self, y):
        self.adjoint += 1
        return self.A.conj().T @ y


class TestCosts:
    @pytest.mark.parametrize(
        "variant",
        [v for v in VARIANTS if takes_products(VARIANTS[v][0]) and not named(v)],
    )
    def test_counted_products(self, variant):
        name, arguments = VARIANTS[variant]
        c, _ = easy(name)
        op = Counting(c.A)
        k = 7
        result, _ = run(variant, op, c.b, maxiter=k, rtol=1e-14)
        assert result.nit == k
        products = entry(variant).products
        forward, adjoint = k * products.forward, k * products.adjoint
        extra = 40 if "fixed" in variant else 8  # power iterations; checks
        assert forward <= op.forward <= forward + extra
        assert adjoint <= op.adjoint <= adjoint + extra

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_peak_memory(self, variant):
        """Within the vectors that solve's and the method's docstrings declare."""
        method, storage = entry(variant), entry(variant).storage
        if isinstance(storage.n, str) or method.rate == "blocks":
            pytest.skip("declares no fixed number of vectors")
        stored = storage.m, storage.n + storage.gram + storage.preconditioned_n
        square = METHODS[method.name].square
        rng = np.random.default_rng(9)
        kernel = center((1, 1, 3, 3)) if square else rng.standard_normal((4, 1, 3, 3))
        op = ConvLinearOperator(kernel, (1, 256, 256), padding=1)
        if not method.takes(op):
            op = ConvLinearOperator(
                kernel, (1, 256, 256), padding=1, boundary="periodic"
            )
        b = rng.standard_normal(op.output_shape)
        solve_few = functools.partial(run, variant, op, b, maxiter=3, rtol=1e-15)
        solve_few()
        tracemalloc.start()
        solve_few()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        m, n = op.shape
        # b's copy, A^H b and x are part of it; a temporary of each length is allowed
        allowed = (stored[0] + 2 + 1 + 1) * m + (stored[1] + 3 + 1 + 1) * n
        assert peak <= 8 * allowed + 2**21, peak / 8 / (m + n)
