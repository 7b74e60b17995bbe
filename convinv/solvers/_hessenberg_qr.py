"""The small least-squares problem of GMRES, of every item of a batch.

A step appends a column to a Hessenberg matrix; Givens rotations keep it triangular and
give the residual norm. `hessenberg_qr` returns the form for the arrays at hand.
"""

import numpy as np

from .. import kernels
from .._core.arrays import copy, cupy_module


def hessenberg_qr(problem, length, tiny):
    """Room for `length` steps; lengths up to `tiny` of what they were are rounding."""
    compiled = problem.xp is np or problem.xp is cupy_module()
    form = CompiledHessenbergQR if compiled else ArrayHessenbergQR
    return form(problem, length, tiny)


class CompiledHessenbergQR:
    """One compiled call for a step, on NumPy and CuPy arrays."""

    def __init__(self, problem, length, tiny):
        xp, batch = problem.xp, problem.batch
        self.kernels, self.tiny = kernels.load("givens", xp), tiny
        small = "complex128" if problem.is_complex else "float64"
        self.triangle = xp.zeros((batch, length, length), small)
        self.cosines = xp.zeros((batch, length), small)
        self.sines = xp.zeros((batch, length))
        self.right = xp.zeros((batch, length + 1), small)

    def start(self, norm):
        """A new matrix, and `norm` of the first residual."""
        self.norm = norm
        self.right[:, 0] = 1

    def append(self, h, before, after, active):
        """A column, of squared length `before`, and what it leaves, of `after`.

        Returns what to scale the next vector by, the items that broke down, and the
        norm of the residual relative to the first. Items that are not active are left
        with a solution of 0 from here on.
        """
        kept = self.triangle, self.cosines, self.sines, self.right
        return self.kernels.append(h, before, after, self.tiny, active, *kept)

    def solve(self, steps):
        """The solutions after `steps` steps."""
        return self.kernels.substitute(self.triangle, self.right, self.norm, steps)


class ArrayHessenbergQR:
    """The same of any array library, in few calls: it keeps the rotations' product."""

    def __init__(self, problem, length, tiny):
        self.xp, self.place, self.batch = problem.xp, problem.place, problem.batch
        self.small = self.xp.complex128 if problem.is_complex else self.xp.float64
        self.length, self.tiny = length, tiny

    def start(self, norm):
        xp, batch, size = self.xp, self.batch, self.length
        self.norm = norm
        self.triangle = xp.zeros((batch, size, size), dtype=self.small, **self.place)
        square = (batch, size + 1, size + 1)
        self.rotations = xp.zeros(square, dtype=self.small, **self.place)
        self.rotations[:, 0, 0] = 1
        self.kept = xp.zeros((batch, size), dtype=xp.bool, **self.place)

    def append(self, h, before, after, active):
        xp, j = self.xp, h.shape[1] - 1
        size, norm = xp.sqrt(before), xp.sqrt(after)
        norm = xp.where(norm <= self.tiny * size, 0 * norm, norm)
        rotated = (self.rotations[:, : j + 1, : j + 1] @ h[:, :, None])[:, :, 0]
        r = xp.hypot(xp.abs(rotated[:, j]), norm)
        broken = r <= self.tiny * size
        active = active & ~broken
        self._rotate(j, rotated, norm, r, active)
        good = active & (norm > 0)
        factor = xp.where(good, norm, xp.ones_like(norm))
        residual = xp.abs(self.rotations[:, j + 1, 0])
        return xp.where(good, 1 / factor, 0 * norm), broken, residual

    def _rotate(self, j, column, norm, r, active):
        """Append a column to the triangle; items not active get a unit column."""
        xp, a = self.xp, column[:, j]
        one, zero = xp.ones_like(r), xp.zeros_like(r)
        r = xp.where(active, r, one)
        c = xp.where(active, a, xp.astype(one, a.dtype)) / xp.astype(r, self.small)
        s = xp.astype(xp.where(active, norm, zero) / r, self.small)
        self.kept[:, j] = active
        shown = xp.where(active[:, None], column[:, :j], 0 * column[:, :j])
        self.triangle[:, :j, j] = shown
        self.triangle[:, j, j] = xp.astype(r, self.small)
        row = copy(self.rotations[:, j, :])
        self.rotations[:, j, :] = xp.conj(c)[:, None] * row
        self.rotations[:, j, j + 1] = s
        self.rotations[:, j + 1, :] = -s[:, None] * row
        self.rotations[:, j + 1, j + 1] = c

    def solve(self, steps):
        xp = self.xp
        norm = xp.astype(self.norm, self.small)
        right = self.rotations[:, :steps, 0] * norm[:, None]
        right = xp.where(self.kept[:, :steps], right, 0 * right)
        triangle = self.triangle[:, :steps, :steps]
        return xp.linalg.solve(triangle, right[:, :, None])[:, :, 0]
