"""The alternating direction method of multipliers."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from .._core.result import OnFailure, Status
from .._core.typing import ArrayInput, Callback, OperatorInput, Shape
from .._core.validation import choice, number
from ._exact_data import INNER, TINY, ExactData, quiet_solve
from ._penalty import Fixed, Penalty
from ._priors import Proximal
from ._problem import Problem, ProximalResult, StoppingTest

DATA = ("soft", "hard")
CONFIRM_EVERY = 10  # iterations between two tests of the gradient itself


def admm(
    op: OperatorInput,
    b: ArrayInput,
    g: Proximal,
    *,
    data: Literal["soft", "hard"] = "soft",
    x0: ArrayInput | None = None,
    shape: Shape | None = None,
    rho: float | None = None,
    dual_step: float = 1.0,
    inner: str = "auto",
    rtol: float = 1e-6,
    atol: float = 0.0,
    maxiter: int | None = None,
    callback: Callback = None,
    on_failure: OnFailure = "warn",
) -> ProximalResult:
    r"""Minimize ``||A x - b||^2 / 2 + g(x)``, or ``g(x)`` subject to ``A x = b``.

    Parameters
    ----------
    op, b, g, x0, shape, callback
        See `proximal_gradient`.
    data : {"soft", "hard"}
        "soft" weighs the data against the prior, "hard" treats them as exact.
    rho : float, optional
        The penalty: g's proximal operator has the step ``1 / rho``. It changes the
        speed, not the solution. The default is in the units of the problem and is
        balanced, mainly in the first 100 iterations. For "soft" a given value does not
        change; for "hard" it is the start of balancing.
    dual_step : float
        Length of the steps of the multipliers, more than 0 and less than 1.618.
    inner : str
        The method of `convinv.solve` for the least-squares problem of each iteration.
        `MaskOperator` and `FourierSampling` need none.
    rtol, atol : float
        Tolerances, see Notes.
    maxiter : int, optional
        Iterations at most, by default 1000.
    on_failure : {"warn", "raise", "ignore"}
        What to do where the returned x does not satisfy the tolerance, as in `solve`.

    Returns
    -------
    ProximalResult
        With ``x`` in ``result_type(op, b, x0)``. For "soft" x is the result of g's
        proximal operator; for "hard" x agrees with the data, and for a `MaskOperator`
        its known entries are those of b to the last bit.

    Raises
    ------
    ValueError, TypeError
        For invalid input, before any work.

    Warns
    -----
    ConvergenceWarning
        If the returned x does not satisfy the tolerance.

    Notes
    -----
    With the penalty :math:`\rho` and the step :math:`\gamma` = `dual_step`, an
    iteration is

    .. math::

       z &\leftarrow \operatorname{prox}_{g / \rho}(x + u), \\
       x &\leftarrow \operatorname{argmin}_x \tfrac12 \|A x - b\|^2
       + \tfrac{\rho}{2} \|x - (z - u)\|^2, \\
       u &\leftarrow u + \gamma (x - z),

    where for "hard" the new x is the point nearest to :math:`z - u` with
    :math:`A x = b`.

    For "soft", ``success`` means the same as for `proximal_gradient`. For "hard" the
    last iteration, from x' to x, was repeated, with

    .. math::

       \|x - z\| &\le \max(\mathtt{rtol}, \mathtt{atol} / \|x\|)
       \max(\|x\|, \|z\|), \\
       \rho \|x - x'\| &\le \max(\mathtt{rtol}, \mathtt{atol} / \|x\|) \, \|y\|, \\
       \|A x - b\| &\le \max(\mathtt{rtol} \, \|b\|, \mathtt{atol}),

    where :math:`y = \rho (x' + u - z)` is a subgradient of g at z (or one at the first
    x, if that is larger): up to :math:`\rho (x - x')` it is orthogonal to the null
    space of A, as at a solution. These tests do not depend on the scale of A, of b or
    of g, nor on rho.

    An iteration costs one proximal operator, and one product with `MaskOperator` or
    `FourierSampling` and their adjoints, or a damped least-squares problem, whose
    set-up `convinv.solve` keeps with the operator. Five arrays like x are held.

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
    problem, stopping = steps.problem, StoppingTest(steps.problem)
    x = old = steps.first(problem.x)
    penalty = steps.penalty(rho, x)
    u = before = problem.xp.zeros_like(x)
    z = x
    while stopping.going:
        old, before, rho = x, u, penalty.rho
        z = problem.prox(x + u, problem.scalar(1 / rho))
        x = steps.toward(z - u, x, rho)
        u = u + problem.scalar(dual_step) * (x - z)
        measure, tolerance = steps.measure(old, before, z, x, rho)
        if stopping.ends(steps.answer(x, z), measure, tolerance):
            claims = stopping.status is Status.CONVERGED
            if not claims or steps.holds(stopping, old, before, z, rho):
                break
            stopping.status = Status.MAXITER
        if stopping.nit % CONFIRM_EVERY == 0 and steps.confirms(z):
            stopping.status = Status.CONVERGED
            break
        if penalty.due(stopping.nit):
            primal, dual = steps.residuals(old, before, z, x, rho)
            factor = penalty.balance(stopping.nit, float(primal), float(dual))
            u = u / problem.scalar(factor)
    return steps.finish(
        stopping, old, before, z, x, penalty.rho if not stopping.nit else rho
    )


class _Soft:
    """The data are weighed against the prior."""

    def __init__(self, problem, inner):
        self.problem, self.inner = problem, inner
        self.exact = problem.op.coisometry
        self.squared = problem.norm_squared()
        xp = problem.xp
        self.wanted = xp.maximum(problem.rtol * problem.norm(problem.atb), problem.atol)

    def first(self, x):
        """The first x."""
        return x

    def penalty(self, rho, x):
        """The penalty: a given one is fixed."""
        if rho is not None:
            return Fixed(rho)
        unit = self.squared if self.squared > 0 else 1.0
        return Penalty(unit, unit, float(np.finfo(self.problem.real).eps))

    def toward(self, v, x, rho):
        """Solve the least-squares problem near v, starting from x."""
        problem = self.problem
        rest = problem.b - problem.forward(v)
        if self.exact:
            return v + problem.adjoint(rest) / problem.scalar(1 + rho)
        rtol = max(INNER * problem.rtol, float(np.finfo(problem.real).eps))
        d = quiet_solve(problem, rest, x - v, math.sqrt(rho), rtol, self.inner)
        return v + d

    def answer(self, x, z):
        """Return z, which lies in the domain of g."""
        return z

    def residuals(self, x, u, z, new, rho):
        """The primal and the dual residual of an iteration, both relative."""
        norm, xp = self.problem.norm, self.problem.xp
        primal = norm(new - z) / xp.maximum(xp.maximum(norm(new), norm(z)), TINY)
        return primal, norm(new - x) / xp.maximum(norm(new + u - z), TINY)

    def measure(self, x, u, z, new, rho):
        """A bound of the proximal gradient at z, and its tolerance."""
        norm, floor = self.problem.norm, self.problem.floor(z, self.squared)
        bound = self.squared * norm(new - z) + rho * norm(new - x)
        return bound, self.problem.xp.maximum(self.wanted, floor)

    def holds(self, stopping, x, u, z, rho):
        """Whether to accept the bound: always, as `finish` makes its own check."""
        return True

    def confirms(self, z):
        """Whether z passes although the bound is too large."""
        return self._check(z)[0]

    def _check(self, z):
        """``(success, proximal gradient, residual)``."""
        problem = self.problem
        step = 1 / self.squared if self.squared > 0 else 1.0
        again, rest = problem.prox_gradient(z, step)
        optimality = problem.norm(z - again) / step
        tolerance = problem.xp.maximum(self.wanted, problem.floor(z, self.squared))
        return bool(optimality <= tolerance), optimality, rest

    def finish(self, stopping, x, u, z, new, rho):
        """Check z."""
        success, optimality, rest = self._check(z)
        extra = {"data": "soft", "rho": rho}
        return self.problem.result(
            stopping, z, success, optimality, rest, "admm", extra, stacklevel=5
        )
