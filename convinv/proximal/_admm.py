"""The alternating direction method of multipliers."""

import math

import numpy as np

from .._core.result import Status
from .._core.validation import choice, number
from ._exact_data import INNER, TINY, ExactData, quiet_solve
from ._penalty import Fixed, Penalty
from ._problem import Problem, Watch

DATA = ("soft", "hard")
CONFIRM_EVERY = 10  # iterations between two looks at the gradient itself


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
    on_failure="warn",
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
        changes the speed, not the solution. By default one is taken in the units of the
        problem and balanced, mostly in the first 100 iterations. For "soft" one that is
        given stays as it is; for "hard" it is where balancing starts.
    dual_step : float
        Length of the steps of the multipliers, more than 0 and less than 1.618.
    inner : str
        The method of `convinv.solve` for the least-squares problem of each iteration,
        where `op` is neither `MaskOperator` nor `FourierSampling`, which need none.
    rtol, atol : float
        Tolerances, see Notes.
    maxiter : int, optional
        Iterations at most, by default 1000.
    on_failure : {"warn", "raise", "ignore"}
        What to do where the returned x does not satisfy the tolerance, as in `solve`.

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

    ``success`` means for "soft" what it means for `proximal_gradient`. For "hard" the
    last iteration, from x' to x, was made once more, with

    .. code-block:: none

       ||x - z|| <= max(rtol, atol / ||x||) max(||x||, ||z||)
       rho ||x - x'|| <= max(rtol, atol / ||x||) ||y||
       ||A x - b|| <= max(rtol ||b||, atol)

    where ``y = rho (x' + u - z)`` is a subgradient of g at z (or one at the first x, if
    that is larger): it is orthogonal to the null space of A, as at a solution, up to
    ``rho (x - x')``. Neither the scale of A,
    of b or of g nor rho changes what that means.

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
    >>> from convinv.operators import MaskOperator
    >>> from convinv.proximal import NuclearNorm, admm
    >>> rng = np.random.default_rng(0)
    >>> x = np.outer(rng.standard_normal(30), rng.standard_normal(30))
    >>> op = MaskOperator(rng.random(x.shape) < 0.6)
    >>> result = admm(op, op.forward(x), NuclearNorm(), data="hard")
    >>> result.success, bool(np.allclose(result.x, x, atol=1e-4))
    (True, True)
    """
    choice(data, "data", DATA)
    dual_step = number(dual_step, "dual_step", positive=True)
    if dual_step >= (1 + math.sqrt(5)) / 2:
        raise ValueError(f"dual_step must be less than 1.618, got {dual_step}")
    rho = None if rho is None else number(rho, "rho", positive=True)
    kind = _Soft if data == "soft" else ExactData
    with np.errstate(all="ignore"):
        problem = Problem(
            op, b, g, x0, shape, rtol, atol, maxiter, callback, on_failure
        )
        return _alternate(kind(problem, inner), rho, dual_step)


def _alternate(steps, rho, dual_step):
    problem, watch = steps.problem, Watch(steps.problem)
    x = old = steps.first(problem.x)
    penalty = steps.penalty(rho, x)
    u = before = problem.xp.zeros_like(x)
    z = x
    while watch.going:
        old, before, rho = x, u, penalty.rho
        z = problem.prox(x + u, problem.scalar(1 / rho))
        x = steps.toward(z - u, x, rho)
        u = u + problem.scalar(dual_step) * (x - z)
        measure, tolerance = steps.measure(old, before, z, x, rho)
        if watch.ends(steps.answer(x, z), measure, tolerance):
            claims = watch.status is Status.CONVERGED
            if not claims or steps.holds(watch, old, before, z, rho):
                break
            watch.status = Status.MAXITER
        if watch.nit % CONFIRM_EVERY == 0 and steps.confirms(z):
            watch.status = Status.CONVERGED
            break
        if penalty.due(watch.nit):
            primal, dual = steps.residuals(old, before, z, x, rho)
            factor = penalty.balance(watch.nit, float(primal), float(dual))
            u = u / problem.scalar(factor)
    return steps.finish(watch, old, before, z, x, penalty.rho if not watch.nit else rho)


class _Soft:
    """The data are weighed against the prior."""

    def __init__(self, problem, inner):
        self.problem, self.inner = problem, inner
        self.exact = getattr(problem.op, "coisometry", False)
        self.squared = problem.norm_squared()
        xp = problem.xp
        self.wanted = xp.maximum(problem.rtol * problem.norm(problem.atb), problem.atol)

    def first(self, x):
        """The first x."""
        return x

    def penalty(self, rho, x):
        """The penalty: one that is given stays."""
        if rho is not None:
            return Fixed(rho)
        unit = self.squared if self.squared > 0 else 1.0
        return Penalty(unit, unit, float(np.finfo(self.problem.real).eps))

    def toward(self, v, x, rho):
        """The least-squares problem near v, begun from x."""
        problem = self.problem
        rest = problem.b - problem.forward(v)
        if self.exact:
            return v + problem.adjoint(rest) / problem.scalar(1 + rho)
        rtol = max(INNER * problem.rtol, float(np.finfo(problem.real).eps))
        d = quiet_solve(problem, rest, x - v, math.sqrt(rho), rtol, self.inner)
        return v + d

    def answer(self, x, z):
        """What is returned: what g likes."""
        return z

    def residuals(self, x, u, z, new, rho):
        """The primal and the dual residual of an iteration, both relative."""
        norm, xp = self.problem.norm, self.problem.xp
        primal = norm(new - z) / xp.maximum(xp.maximum(norm(new), norm(z)), TINY)
        return primal, norm(new - x) / xp.maximum(norm(new + u - z), TINY)

    def measure(self, x, u, z, new, rho):
        """A bound of the proximal gradient at z, and what it should be."""
        norm, floor = self.problem.norm, self.problem.floor(z, self.squared)
        bound = self.squared * norm(new - z) + rho * norm(new - x)
        return bound, self.problem.xp.maximum(self.wanted, floor)

    def holds(self, watch, x, u, z, rho):
        """Whether to believe the bound: `finish` does its own check."""
        return True

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

    def finish(self, watch, x, u, z, new, rho):
        """Check z."""
        success, optimality, rest = self._check(z)
        extra = {"data": "soft", "rho": rho}
        return self.problem.result(
            watch, z, success, optimality, rest, "admm", extra, stacklevel=5
        )
