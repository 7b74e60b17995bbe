"""ADMM for exact data: its projection, its residuals and its verdict."""

import math

import numpy as np

from .._core.result import Status
from .._solve.front import solve
from ._penalty import Penalty, typical

INNER = 0.1  # tolerance of the least-squares problem of a step, in units of rtol
REFINED = 3  # most solves for the point with the data, while A x is not b
FLOOR = 4  # least change of x, in its rounding errors
TIGHTER, TIGHTEST = 0.5, 1e-3  # factor on the goal after a failed check; its minimum
TINY = np.finfo(float).tiny


class ExactData:
    """The least g(x) among all x with ``A x = b``.

    With ``z = prox(x + u)`` and the next x, ``rho (x + u - z)`` is a subgradient of g
    at z, and ``rho (x' + u - z)`` is orthogonal to the null space of A. So z is a
    solution if both are equal and z agrees with the data, that is if the primal
    residual ``||x' - z||`` and the dual residual ``rho ||x' - x||`` are zero. Divided
    by the size of x and of a subgradient they have no units, and do not depend on rho
    or on the scale of A, b or g. The subgradient is that at z or, as that may tend to
    zero, a lower bound of those at the first point.
    """

    def __init__(self, problem, inner, notes):
        self.problem, self.inner, self.notes = problem, inner, notes
        for prox in (problem.prox, problem.check_prox):
            if hasattr(prox, "rtol") and not prox.is_given:
                prox.rtol = INNER * problem.rtol
        self.nearest = problem.op.nearest if problem.op.coisometry else None
        self.near = max(problem.rtol * float(problem.norm(problem.b)), problem.atol)

    def first(self, x):
        """The nearest point that agrees with the data."""
        return self.toward(x, x, 0.0)

    def penalty(self, rho, x):
        """The penalty; the first x has the units of the solution."""
        problem = self.problem
        unit = typical(problem, x)
        self.force = 0.0 if unit is None else unit * float(problem.norm(x))
        unit = unit or 1.0
        eps = float(np.finfo(problem.real).eps)
        return Penalty(unit if rho is None else rho, unit, eps)

    def toward(self, v, x, rho):
        """The nearest point to v that agrees with the data."""
        problem = self.problem
        if self.nearest is not None:
            batch = (math.prod(problem.batch), *problem.op.input_shape)
            b = problem.b.reshape((batch[0], *problem.op.output_shape))
            return self.nearest(v.reshape(batch), b).reshape(problem.shape)
        rtol = max(INNER * problem.rtol, float(np.finfo(problem.real).eps))
        left = math.inf
        for _ in range(REFINED):
            rest = problem.b - problem.forward(v)
            before, left = left, float(problem.norm(rest))
            if not INNER * self.near < left <= before / 2:
                break
            v = v + quiet_solve(problem, rest, None, 0.0, rtol, self.inner)
        return v

    def answer(self, x, z):
        """Return x, which agrees with the data."""
        return x

    def residuals(self, x, u, z, new, rho):
        """The primal and the dual residual of an iteration, both relative."""
        norm, xp = self.problem.norm, self.problem.xp
        size = xp.maximum(norm(new), norm(z))
        primal = norm(new - z) / xp.maximum(size, TINY)
        force = xp.maximum(norm(x + u - z), norm(new + u - z))
        force = xp.maximum(force, self.force / rho)
        least = FLOOR * float(np.finfo(self.problem.real).eps) * size
        least = least / xp.maximum(self.tolerance(new), TINY)
        dual = norm(new - x) / xp.maximum(xp.maximum(force, least), TINY)
        return primal, dual

    def measure(self, x, u, z, new, rho):
        """The larger of the two residuals, and its tolerance."""
        primal, dual = self.residuals(x, u, z, new, rho)
        return self.problem.xp.maximum(primal, dual), self.tolerance(new)

    def tolerance(self, x):
        """The tolerance of the residuals: the larger of rtol and atol in units of x."""
        problem = self.problem
        relative = problem.atol / problem.xp.maximum(problem.norm(x), TINY)
        return problem.xp.maximum(problem.rtol + 0 * relative, relative)

    def confirms(self, z):
        """False: the measure is no bound but exact."""
        return False

    def holds(self, stopping, x, u, z, rho):
        """Whether the iteration from x and u, repeated, is within the tolerance.

        If it is not, the method continues with a smaller goal.
        """
        new, measure, rest = self._again(x, u, rho)
        good = self._is_good(new, measure, rest)
        if not good and stopping.aim > TIGHTEST:
            stopping.aim *= TIGHTER
            return False
        return True

    def _again(self, x, u, rho):
        """``(new, measure, A new - b)`` of an iteration."""
        problem = self.problem
        z = problem.check_prox(x + u, problem.scalar(1 / rho))
        new = self.toward(z - u, x, rho)
        primal, dual = self.residuals(x, u, z, new, rho)
        return new, max(float(primal), float(dual)), problem.forward(new) - problem.b

    def _is_good(self, x, measure, rest):
        fits = float(self.problem.norm(rest)) <= self.near
        return fits and measure <= float(self.tolerance(x))

    def finish(self, stopping, x, u, z, new, rho):
        """Repeat the last iteration, from x and u to new."""
        problem, measure = self.problem, math.nan
        if stopping.status is not Status.NONFINITE and stopping.nit:
            new, measure, rest = self._again(x, u, rho)
        else:
            rest = problem.forward(new) - problem.b
        success = self._is_good(new, measure, rest)
        extra = {"data": "hard", "rho": rho, **self.notes}
        return problem.result(
            stopping, new, success, measure, rest, "admm", extra, stacklevel=8
        )


def quiet_solve(problem, rest, start, damp, rtol, method):
    """The minimizer of ``||A d - rest||^2 + damp^2 ||d||^2``, in the shape of x.

    The later check of x tells whether it was accurate enough.
    """
    if not problem.is_finite(rest):
        return problem.nothing()  # the stopping test notices it
    shape = (*problem.batch, *problem.op.input_shape)
    start = None if start is None else start.reshape(shape)
    found = solve(
        problem.op, rest, method, x0=start, damp=damp, rtol=rtol, on_failure="ignore"
    )
    return found.x.reshape(problem.shape).astype(problem.dtype, copy=False)
