"""Restarted GMRES, for square operators and for the normal equations."""

import operator

from .._array import copy
from ._problem import BREAKDOWN, CONVERGED, STALLED
from ._registry import solver


@solver(
    "gmres",
    square=True,
    needs_adjoint=False,
    preconditioner=True,
    minimum_norm=False,
    vectors="restart n",
    products="1 forward (normal=True: and 1 adjoint)",
)
def gmres(problem, monitor, *, restart=50, normal=False):
    """Generalised minimal residuals with restarts.

    Saad and Schultz (1986), with classical Gram-Schmidt done twice and Givens rotations
    that give the residual norm in every step; the basis is stored once and used again
    by every restart. A step is an iteration. With ``normal=True`` it solves ``(A^H A +
    damp^2 I) x = A^H b``, which takes any shape, needs the adjoint, and finds the
    minimiser of least norm; the history then holds the normal residual. `damp` needs
    ``normal=True``. A preconditioner approximates the inverse of the matrix solved
    with, and is applied from the right.
    """
    try:
        restart = operator.index(restart)
    except TypeError:
        restart = 0
    if restart < 1:
        raise ValueError("restart must be a positive integer")
    if problem.damp and not normal:
        raise ValueError("damp needs normal=True: GMRES solves A x = b otherwise")
    xp, vectors = problem.xp, problem.vectors
    equations = _Normal(problem) if normal else _Plain(problem)
    x = problem.zeros(problem.shape[1])
    cycle = _Cycle(problem, monitor, equations, min(restart, problem.shape[1]))
    r = equations.residual(x)
    norm = xp.sqrt(vectors.sumsq(r))
    monitor.end(norm == 0, CONVERGED)
    stop = not monitor.any_active()
    while not stop:
        active = monitor.active
        d, stop = cycle.run(r, norm, x)
        candidate = x + d
        r = equations.residual(candidate)
        before, norm = norm, xp.sqrt(vectors.sumsq(r))
        worse = active & ~(norm <= before)
        x = xp.where(worse[:, None], x, candidate)
        monitor.end(worse, BREAKDOWN)
        monitor.end(norm > 0.9999 * before, STALLED)
        stop = stop or not monitor.any_active()
    return x, {}


class _Plain:
    """``A x = b``."""

    def __init__(self, problem):
        self.problem = problem

    def apply(self, v):
        return self.problem.forward(v)

    def residual(self, x):
        return self.problem.b - self.problem.forward(x)

    def norms(self, residual):
        return {"residual": residual}


class _Normal:
    """``(A^H A + damp^2 I) x = A^H b``."""

    def __init__(self, problem):
        self.problem = problem

    def apply(self, v):
        w = self.problem.adjoint(self.problem.forward(v))
        return w + self.problem.damp**2 * v if self.problem.damp else w

    def residual(self, x):
        r = self.problem.b - self.problem.forward(x)
        return self.problem.normal_residual(r, x)[0]

    def norms(self, residual):
        return {"normal": residual}


class _Cycle:
    """Up to `length` steps from one residual; the storage is reused by every cycle."""

    def __init__(self, problem, monitor, equations, length):
        self.problem, self.monitor, self.equations = problem, monitor, equations
        self.length, self.xp = length, problem.xp
        shape = (length + 1, problem.batch, problem.shape[1])
        like = problem.b
        self.basis = self.xp.zeros(shape, dtype=like.dtype, **problem.place)
        self.small = self.xp.complex128 if problem.is_complex else self.xp.float64
        tiny = 10 * self.xp.finfo(like.dtype).eps
        self.breakdown = float(tiny)

    def run(self, r, norm, x):
        """Steps from residual `r`; returns the correction and whether to stop."""
        problem, monitor, xp = self.problem, self.monitor, self.xp
        size, batch = self.length, problem.batch
        place = problem.place
        self.norm = norm
        self.triangle = xp.zeros((batch, size, size), dtype=self.small, **place)
        square = (batch, size + 1, size + 1)
        self.rotations = xp.zeros(square, dtype=self.small, **place)
        self.rotations[:, 0, 0] = 1
        self.kept = xp.zeros((batch, size), dtype=xp.bool, **place)
        good = monitor.active & (norm > 0)
        factor = xp.where(good, 1 / xp.where(good, norm, xp.ones_like(norm)), 0 * norm)
        self.basis[0, ...] = self._scaled(r, factor)
        stop, j = False, 0
        while j < size and not stop:
            residual = self._step(j)
            j += 1
            stop = monitor.update(
                lambda j=j: x + self._correction(j), **self.equations.norms(residual)
            )
            if not stop and problem.xp.__name__ == "numpy":
                stop = not monitor.any_active()
        return self._correction(j), stop

    def _scaled(self, v, factor):
        return v * self.xp.astype(factor, v.dtype)[:, None]

    def _step(self, j):
        """Extend the basis by one vector; returns the new residual norm."""
        xp, problem, monitor = self.xp, self.problem, self.monitor
        w = self.equations.apply(problem.precondition(self.basis[j, ...]))
        size = xp.sqrt(problem.vectors.sumsq(w))
        basis = xp.permute_dims(self.basis[: j + 1, ...], (1, 0, 2))
        h = 0
        for _ in range(2):
            part = self._project(basis, w)
            w = w - (part[:, None, :] @ basis)[:, 0, :]
            h = h + part
        h = xp.astype(h, self.small)
        norm = xp.sqrt(problem.vectors.sumsq(w))
        norm = xp.where(norm <= self.breakdown * size, 0 * norm, norm)
        rotated = (self.rotations[:, : j + 1, : j + 1] @ h[:, :, None])[:, :, 0]
        a = rotated[:, j]
        r = xp.hypot(xp.abs(a), norm)
        broken = r <= self.breakdown * size
        active = monitor.active & ~broken
        self._rotate(j, rotated, a, norm, r, active)
        factor = xp.where(active & (norm > 0), norm, xp.ones_like(norm))
        factor = xp.where(active & (norm > 0), 1 / factor, 0 * norm)
        self.basis[j + 1, ...] = self._scaled(w, factor)
        monitor.end(broken, BREAKDOWN)
        return self.norm * xp.abs(self.rotations[:, j + 1, 0])

    def _project(self, basis, w):
        """``V^H w`` without a conjugated copy of the basis."""
        xp = self.xp
        if not self.problem.is_complex:
            return (w[:, None, :] @ xp.permute_dims(basis, (0, 2, 1)))[:, 0, :]
        part = xp.conj(w)[:, None, :] @ xp.permute_dims(basis, (0, 2, 1))
        return xp.conj(part[:, 0, :])

    def _rotate(self, j, column, a, norm, r, active):
        """Append a column to the triangle; items not active get a unit column."""
        xp = self.xp
        one, zero = xp.ones_like(r), xp.zeros_like(r)
        r = xp.where(active, r, one)
        c = xp.astype(xp.where(active, a, xp.astype(one, a.dtype)), self.small)
        c = c / xp.astype(r, self.small)
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

    def _correction(self, steps):
        """The iterate's change after `steps` steps."""
        xp, problem = self.xp, self.problem
        norm = xp.astype(self.norm, self.small)
        right = self.rotations[:, :steps, 0] * norm[:, None]
        right = xp.where(self.kept[:, :steps], right, 0 * right)
        y = xp.linalg.solve(self.triangle[:, :steps, :steps], right[:, :, None])
        y = xp.astype(y[:, :, 0], problem.b.dtype)
        basis = xp.permute_dims(self.basis[:steps, ...], (1, 0, 2))
        return problem.precondition((y[:, None, :] @ basis)[:, 0, :])
