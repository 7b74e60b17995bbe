"""The alternating direction method of multipliers."""

import math
import warnings

import numpy as np

from .._result import ConvergenceWarning, Status
from .._solve import solve
from ._iteration import Problem, Watch, number

DATA = ("soft", "hard")
CONFIRM_EVERY = 10  # iterations between two looks at the gradient itself
INNER = 0.1  # of rtol: what the least-squares problem of a step is solved to
# rho is balanced every few iterations, by a factor, and then left alone.
BALANCE_EVERY, BALANCE_UNTIL, BALANCE, FACTOR = 10, 100, 5.0, 2.0
TINY = np.finfo(float).tiny


def admm(
    op,
    b,
    g,
    *,
    data="soft",
    x0=None,
    shape=None,
    rho=None,
    dual_step=1.0,
    inner="auto",
    rtol=1e-6,
    atol=0.0,
    maxiter=None,
    callback=None,
):
    """Minimise ``||A x - b||^2 / 2 + g(x)``, or ``g(x)`` where ``A x = b``.

    Parameters
    ----------
    op, b, g, x0, shape, callback
        See `proximal_gradient`.
    data : {"soft", "hard"}
        "soft" weighs the data against the prior, "hard" takes them as exact.
    rho : float, optional
        The penalty: g's proximal operator is taken with the step ``1 / rho``. It
        changes the speed, not the solution. By default it is found in the first 100
        iterations.
    dual_step : float
        Length of the steps of the multipliers, more than 0 and less than 1.618.
    inner : str
        The method of `convinv.solve` for the least-squares problem of each iteration,
        where `op` is neither `MaskOperator` nor `FourierSampling`, which need none.
    rtol, atol : float
        Tolerances, see Notes.
    maxiter : int, optional
        Iterations at most, by default 1000.

    Returns
    -------
    ProximalResult
        With ``x`` in ``result_type(op, b, x0)``. For "soft" what g's proximal operator
        gave, for "hard" what agrees with the data: for a `MaskOperator` the known
        entries are those of b to the last bit.

    Raises
    ------
    ValueError, TypeError
        For input that makes no sense, before any work.

    Warns
    -----
    ConvergenceWarning
        If the returned x does not satisfy the tolerance.

    Notes
    -----
    .. code-block:: none

       z = prox(x + u, 1 / rho)
       x = argmin ||A x - b||^2 / 2 + rho ||x - (z - u)||^2 / 2   ("soft")
           the point nearest to z - u with A x = b                ("hard")
       u = u + dual_step (x - z)

    ``success`` means for "soft" what it means for `proximal_gradient`. For "hard" one
    more iteration was made and neither the change of x nor ``x - z`` is larger than
    ``max(rtol ||x||, atol)``, and ``||A x - b|| <= max(rtol ||b||, atol)``.

    An iteration costs one proximal operator, and one product with `MaskOperator` or
    `FourierSampling` and their adjoints, or a damped least-squares problem (`convinv.
    solve` keeps its set-up with the operator). Five arrays like x are held.

    References
    ----------
    S. Boyd et al., "Distributed optimization and statistical learning via the
    alternating direction method of multipliers", Found. Trends Mach. Learn. 3 (2010).
    B. Wohlberg, "ADMM penalty parameter selection by residual balancing" (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.lowrank import MaskOperator, NuclearNorm, admm
    >>> rng = np.random.default_rng(0)
    >>> x = np.outer(rng.standard_normal(30), rng.standard_normal(30))
    >>> op = MaskOperator(rng.random(x.shape) < 0.6)
    >>> result = admm(op, op.forward(x), NuclearNorm(), data="hard")
    >>> result.success, bool(np.allclose(result.x, x, atol=1e-4))
    (True, True)
    """
    if data not in DATA:
        raise ValueError(f"data must be 'soft' or 'hard', got {data!r}")
    dual_step = number(dual_step, "dual_step", positive=True)
    if dual_step >= (1 + math.sqrt(5)) / 2:
        raise ValueError(f"dual_step must be less than 1.618, got {dual_step}")
    rho = None if rho is None else number(rho, "rho", positive=True)
    kind = _Soft if data == "soft" else _Hard
    with np.errstate(all="ignore"):
        problem = Problem(op, b, g, x0, shape, rtol, atol, maxiter, callback)
        return _alternate(kind(problem, inner), rho, dual_step)


def _alternate(steps, rho, dual_step):
    problem, watch = steps.problem, Watch(steps.problem)
    penalty = _Penalty(problem, rho, steps.start)
    x = steps.first(problem.x)
    u, z = problem.xp.zeros_like(x), x
    while watch.going:
        z = problem.prox(x + u, problem.scalar(1 / penalty.rho))
        new = steps.toward(z - u, x, penalty.rho)
        gap, move = problem.norm(new - z), problem.norm(new - x)
        u = u + problem.scalar(dual_step) * (new - z)
        x = new
        measure, tolerance = steps.measure(x, z, gap, move, penalty.rho)
        if watch.ends(steps.answer(x, z), measure, tolerance):
            break
        if watch.nit % CONFIRM_EVERY == 0 and steps.confirms(z):
            watch.status = Status.CONVERGED
            break
        u = penalty.balance(watch.nit, x, z, u, gap, move)
    return steps.finish(watch, x, z, u, penalty.rho)


class _Penalty:
    """rho, balanced so that both residuals shrink alike (Wohlberg 2017)."""

    def __init__(self, problem, rho, start):
        self.problem, self.given = problem, rho is not None
        self.rho = rho if self.given else start()

    def balance(self, nit, x, z, u, gap, move):
        """Change rho now and then; returns u in its units."""
        if self.given or nit % BALANCE_EVERY or nit > BALANCE_UNTIL:
            return u
        norm, maximum = self.problem.norm, self.problem.xp.maximum
        primal = float(gap / maximum(maximum(norm(x), norm(z)), TINY))
        dual = float(move / maximum(norm(u), TINY))
        if primal > BALANCE * dual:
            factor = FACTOR
        elif dual > BALANCE * primal:
            factor = 1 / FACTOR
        else:
            return u
        self.rho *= factor
        return u / self.problem.scalar(factor)


class _Soft:
    """The data are weighed against the prior."""

    def __init__(self, problem, inner):
        self.problem, self.inner = problem, inner
        self.exact = getattr(problem.op, "coisometry", False)
        self.squared = problem.norm_squared()
        xp = problem.xp
        self.wanted = xp.maximum(
            problem.rtol * problem.norm(problem.atb), problem.atol
        )

    def start(self):
        """The first rho."""
        return self.squared if self.squared > 0 else 1.0

    def first(self, x):
        """The first x."""
        return x

    def toward(self, v, x, rho):
        """The least-squares problem near v, begun from x."""
        problem = self.problem
        rest = problem.b - problem.forward(v)
        if self.exact:
            return v + problem.adjoint(rest) / problem.scalar(1 + rho)
        rtol = max(INNER * problem.rtol, float(np.finfo(problem.real).eps))
        d = _quiet_solve(problem, rest, x - v, math.sqrt(rho), rtol, self.inner)
        return v + d

    def answer(self, x, z):
        """What is returned: what g likes."""
        return z

    def measure(self, x, z, gap, move, rho):
        """A bound of the proximal gradient at z, and what it should be."""
        floor = self.problem.floor(z, self.squared)
        return self.squared * gap + rho * move, self.problem.xp.maximum(
            self.wanted, floor
        )

    def confirms(self, z):
        """Whether z is good enough, where the bound is too large to tell."""
        return self._check(z)[0]

    def _check(self, z):
        """``(success, proximal gradient, residual)``."""
        problem = self.problem
        step = 1 / self.squared if self.squared > 0 else 1.0
        again, rest = problem.prox_gradient(z, step)
        optimality = problem.norm(z - again) / step
        tolerance = problem.xp.maximum(self.wanted, problem.floor(z, self.squared))
        return bool(optimality <= tolerance), optimality, rest

    def finish(self, watch, x, z, u, rho):
        """Check z."""
        success, optimality, rest = self._check(z)
        extra = {"data": "soft", "rho": rho}
        return self.problem.result(
            watch, z, success, optimality, rest, "admm", extra, stacklevel=5
        )


class _Hard:
    """The data are exact."""

    def __init__(self, problem, inner):
        self.problem, self.inner = problem, inner
        self.nearest = getattr(problem.op, "_nearest", None)

    def start(self):
        """The first rho: the threshold it gives is a typical singular value."""
        problem = self.problem
        value = getattr(problem.g, "value", None)
        size = float(problem.norm(problem.atb))
        first = float(value(problem.atb)) if callable(value) and size else 0.0
        return first / size**2 if 0 < first < math.inf else 1.0

    def first(self, x):
        """The nearest point with the data."""
        return self.toward(x, x, 0.0)

    def toward(self, v, x, rho):
        """The nearest point to v with the data."""
        problem = self.problem
        if self.nearest is not None:
            batch = (math.prod(problem.batch), *problem.op.input_shape)
            b = problem.b.reshape((batch[0], *problem.op.output_shape))
            return self.nearest(v.reshape(batch), b).reshape(problem.shape)
        rest = problem.b - problem.forward(v)
        rtol = max(INNER * problem.rtol, float(np.finfo(problem.real).eps))
        return v + _quiet_solve(problem, rest, None, 0.0, rtol, self.inner)

    def answer(self, x, z):
        """What is returned: what agrees with the data."""
        return x

    def measure(self, x, z, gap, move, rho):
        """The larger of the two residuals, and what it should be."""
        return self.problem.xp.maximum(gap, move), self._tolerance(x)

    def confirms(self, z):
        """The measure says it all."""
        return False

    def _tolerance(self, x):
        problem = self.problem
        return problem.xp.maximum(problem.rtol * problem.norm(x), problem.atol)

    def finish(self, watch, x, z, u, rho):
        """Make one more iteration from x."""
        problem, new = self.problem, self.problem.nothing()
        if watch.status is not Status.NONFINITE:
            z = problem.prox(x + u, problem.scalar(1 / rho))
            new = self.toward(z - u, x, rho)
        change = max(float(problem.norm(x - z)), float(problem.norm(new - x)))
        rest = problem.forward(x) - problem.b
        near = max(problem.rtol * float(problem.norm(problem.b)), problem.atol)
        fits = float(problem.norm(rest)) <= near
        success = fits and change <= float(self._tolerance(x))
        extra = {"data": "hard", "rho": rho}
        return problem.result(
            watch, x, success, change, rest, "admm", extra, stacklevel=5
        )


def _quiet_solve(problem, rest, start, damp, rtol, method):
    """The minimiser of ``||A d - rest||^2 + damp^2 ||d||^2``, in the shape of x.

    Whether it was accurate enough shows when x is checked.
    """
    if not problem.is_finite(rest):
        return problem.nothing()  # for the watch to see
    shape = (*problem.batch, *problem.op.input_shape)
    start = None if start is None else start.reshape(shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = solve(problem.op, rest, method, x0=start, damp=damp, rtol=rtol)
    return found.x.reshape(problem.shape).astype(problem.dtype, copy=False)
