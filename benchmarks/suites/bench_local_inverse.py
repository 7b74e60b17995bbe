"""Approximate inverses beside LAPACK's, and solves with an older set-up."""

import numpy as np

from benchmarks.support.versions import optional
from convinv import ConvLinearOperator, solve

gallery = optional("convinv.gallery")
local_inverse = optional("convinv.local_inverse")
Schwarz = optional("convinv.precondition", "Schwarz")

COUNT = 10_000


class Stacks:
    """Many small matrices near one."""

    params = ((2, 3, 16), ("float32", "float64"))
    param_names = ("n", "dtype")

    def setup(self, n, dtype):
        rng = np.random.default_rng(0)
        A0 = (8 * np.eye(n) + rng.standard_normal((n, n))).astype(dtype)
        self.A = A0 + 0.01 * rng.standard_normal((COUNT, n, n)).astype(dtype)
        self.near = local_inverse.LocalInverse(A0)
        self.third = local_inverse.LocalInverse(A0, 3)
        self.X = np.linalg.inv(self.A)

    def time_inv(self, n, dtype):
        np.linalg.inv(self.A)

    def time_linear(self, n, dtype):
        self.near.approximate(self.A)

    def time_third_order(self, n, dtype):
        self.third.approximate(self.A)

    def time_certify(self, n, dtype):
        local_inverse.certify(self.A, self.X)

    def time_newton_schulz(self, n, dtype):
        local_inverse.newton_schulz(self.A, self.near.inverse)


class Region:
    params = (2, 16, 20)
    param_names = ("n",)

    def setup(self, n):
        self.A0 = 8 * np.eye(n) + np.random.default_rng(0).standard_normal((n, n))

    def time_region(self, n):
        local_inverse.FeasibleRegion(self.A0).box()


class Drift:
    """A kernel that has moved by so much of its norm since the set-up."""

    params = (1e-3, 1e-2)
    param_names = ("change",)

    def setup(self, change):
        kernel = gallery.conv_layer(3, 8, rng=0)
        moved = np.random.default_rng(0).standard_normal(kernel.shape)
        moved *= change * np.linalg.norm(kernel) / np.linalg.norm(moved)
        self.reference = ConvLinearOperator(kernel, (3, 64, 64))
        self.near = local_inverse.NearbyPreconditioner(Schwarz(self.reference), rng=0)
        self.op = ConvLinearOperator(kernel + moved, (3, 64, 64))
        self.b = self.op.forward(np.ones(self.op.input_shape))
        self.time_old_set_up(change)

    def time_old_set_up(self, change):
        self._solve(self.near)

    def time_new_set_up(self, change):
        self._solve(Schwarz(self.op))

    def time_no_preconditioner(self, change):
        self._solve(None)

    def time_measured_contraction(self, change):
        self.near.contraction(self.op, steps=3, bound=False)

    def time_distance(self, change):
        local_inverse.kernel_distance(self.op, self.reference)

    def track_iterations(self, change):
        return self._solve(self.near).nit

    def _solve(self, M):
        return solve(self.op, self.b, "cgls", preconditioner=M, rtol=1e-8)
