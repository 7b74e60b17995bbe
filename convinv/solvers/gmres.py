"""Restarted GMRES, for square operators and for the normal equations."""

import contextlib

import numpy as np
from scipy import linalg

from .._core.arrays import to_numpy
from .._core.blas_threads import one_blas_thread
from .._core.declarations import Products, Storage
from .._core.options import Count
from .._problem.problem import BREAKDOWN, CONVERGED, STALLED
from ._registry import solver
from ._rotations import rotations

RESTART = 50  # steps of a cycle
SLOW = 0.9999  # of the residual left after a cycle is no progress


def _coefficients(use):
    """Numbers of an item's small matrices, which are in double precision."""
    m, n = use.op.shape
    steps = min(use.options.get("restart", RESTART), n)
    small = (steps + 1) ** 2 * use.double / use.itemsize
    return m + 3 * n + (3 - use.on_host) * small


@solver(
    "gmres",
    square=True,
    needs_adjoint=False,
    damp=False,
    preconditioner=True,
    minimum_norm=False,
    condition=True,
    storage=Storage(n="restart", numbers=_coefficients),
    products=Products(1, 0),
    by_setting={
        ("normal", True): {
            "square": False,
            "needs_adjoint": True,
            "damp": True,
            "minimum_norm": True,
            "products": Products(1, 1),
        }
    },
    variants={"restart": {"restart": 7}, "normal": {"normal": True}},
)
def gmres(problem, monitor, *, restart: Count = RESTART, normal: bool = False):
    """Generalised minimal residuals with restarts.

    Saad and Schultz (1986), with a basis orthogonal to rounding and Givens rotations
    that give the residual norm in every step; the basis is stored once and used again
    by every restart; where cycles are too short to bring the residual down, the
    result says so. A step is an iteration. With ``normal=True`` it solves ``(A^H A +
    damp^2 I) x = A^H b``, which takes any shape, needs the adjoint, and finds the
    minimiser of least norm; the history then holds the normal residual. `damp` needs
    ``normal=True``. A preconditioner approximates the inverse of the matrix solved
    with, and is applied from the right.
    """
    xp, vectors = problem.xp, problem.vectors
    equations = _Normal(problem) if normal else _Plain(problem)
    x = problem.zeros(problem.shape[1])
    length = min(restart, problem.shape[1])
    cycle = _Cycle(problem, monitor, equations, length)
    r = equations.first()
    norm = xp.sqrt(vectors.sumsq(r))
    monitor.end(norm == 0, CONVERGED)
    stop = not monitor.any_active()
    while not stop:
        active = monitor.active
        d, stop = cycle.run(r, norm, x)
        candidate = x + d
        r = equations.residual(candidate)
        before, norm = norm, xp.sqrt(vectors.sumsq(r))
        if normal:  # the steps do not know the residual of A x = b
            monitor.end(equations.size <= monitor.goals.residual, CONVERGED)
        worse = active & ~(norm <= before)
        x = xp.where(worse[:, None], x, candidate)
        same = (norm > SLOW * before) & (norm * SLOW <= before)
        monitor.end(same, STALLED)
        monitor.end(worse, BREAKDOWN)
        stop = stop or not monitor.any_active()
    cycle.monitor = (
        None  # which holds the cycle: its basis can go without the collector
    )
    return x, _notes(problem, monitor, length)


def _notes(problem, monitor, length):
    """What to do where short cycles get nowhere; longer ones might."""
    stalled = length < problem.shape[1] and bool(
        problem.xp.any(monitor.code == STALLED)
    )
    if not stalled:
        return {}
    return {
        "message": f"a cycle of {length} steps does not bring the residual down: raise "
        f"restart (now {length}, at most {problem.shape[1]} is of use)"
    }


class _Plain:
    """``A x = b``."""

    def __init__(self, problem):
        self.problem = problem

    def apply(self, v, out):
        return self.problem.forward(v, out=out)

    def first(self):
        """The residual of 0, not to be written to."""
        return self.problem.b

    def residual(self, x):
        return self.problem.b - self.problem.forward(x)

    def norms(self, residual):
        return {"residual": residual}

    def singular(self, sizes):
        return sizes


class _Normal:
    """``(A^H A + damp^2 I) x = A^H b``."""

    def __init__(self, problem):
        self.problem = problem

    def apply(self, v, out):
        w = self.problem.adjoint(self.problem.forward(v), out=out)
        return w + self.problem.damp**2 * v if self.problem.damp else w

    def first(self):
        return self.problem.first_normal_residual()[0]

    def residual(self, x):
        r = self.problem.b - self.problem.forward(x)
        self.size = self.problem.xp.sqrt(self.problem.vectors.sumsq(r))
        return self.problem.normal_residual(r, x)[0]

    def norms(self, residual):
        return {"normal": residual}

    def singular(self, sizes):
        return np.sqrt(sizes)


class _Cycle:
    """Up to `length` steps from one residual; the storage is reused by every cycle."""

    def __init__(self, problem, monitor, equations, length):
        self.problem, self.monitor, self.equations = problem, monitor, equations
        self.length, self.xp = length, problem.xp
        xp, batch, dtype = self.xp, problem.batch, problem.b.dtype
        shape = (length + 1, batch, problem.shape[1])
        self.basis = xp.zeros(shape, dtype=dtype, **problem.place)
        small = xp.complex128 if problem.is_complex else xp.float64
        shape = (batch, length + 1, length + 1)
        self.gram = xp.zeros(shape, dtype=small, **problem.place)
        self.matrix = rotations(problem, length, float(10 * xp.finfo(dtype).eps))

    def run(self, r, norm, x):
        """Steps from residual `r`; returns the correction and whether to stop."""
        monitor, xp = self.monitor, self.xp
        self.matrix.start(norm)
        good = monitor.active & (norm > 0)
        factor = xp.where(good, 1 / xp.where(good, norm, xp.ones_like(norm)), 0 * norm)
        before = monitor.item_nit
        self.basis[0, ...] = r * xp.astype(factor, r.dtype)[:, None]
        stop, j = False, 0
        while j < self.length and not stop:
            self._step(j)
            j += 1
            stop = monitor.update(
                lambda j=j: x + self._correction(j),
                **self.equations.norms(self.matrix.residual(j)),
            )
        # on a device that is to wait for it
        if monitor.known and (xp is np or monitor.goals.conlim is not None):
            self._condition(good, monitor.item_nit - before)
        return self._correction(j), stop

    def _condition(self, items, steps):
        """Tell the monitor the ends of the triangles, as far as items ran."""
        problem, monitor = self.problem, self.monitor
        triangles, steps = to_numpy(self.matrix.triangle), to_numpy(steps)
        ends = np.stack([to_numpy(monitor.smallest), np.zeros(problem.batch)])
        trtri = linalg.lapack.get_lapack_funcs("trtri", (triangles,))
        for i in np.flatnonzero(to_numpy(items) & (steps > 0)):
            triangle = triangles[i, : steps[i], : steps[i]]
            inverse, info = trtri(triangle)
            if info == 0:
                sizes = 1 / np.linalg.norm(inverse), np.max(abs(triangle))
                ends[:, i] = self.equations.singular(np.array(sizes))
        monitor.ends(*(problem.xp.asarray(end, **problem.place) for end in ends))

    def _step(self, j):
        """Extend the basis by one vector."""
        problem, monitor = self.problem, self.monitor
        row, next_row = self.basis[j, ...], self.basis[j + 1, ...]
        # the operator may give back what it was given: w is written to, so it is moved
        self.basis[j + 1, ...] = self.equations.apply(
            problem.precondition(row), next_row
        )
        w, *column = problem.vectors.project(self.basis, j + 1, self.gram, next_row)
        factor, broken = self.matrix.append(*column, monitor.active)
        w *= self.xp.astype(factor, w.dtype)[:, None]
        if w is not next_row:
            self.basis[j + 1, ...] = w
        monitor.end(broken, BREAKDOWN)

    def _correction(self, steps):
        """The iterate's change after `steps` steps."""
        xp, problem = self.xp, self.problem
        y = xp.astype(self.matrix.solve(steps), problem.b.dtype)
        basis = xp.permute_dims(self.basis[:steps, ...], (1, 0, 2))
        with one_blas_thread if xp is np else contextlib.nullcontext():
            d = (y[:, None, :] @ basis)[:, 0, :]
        return problem.precondition(d)
