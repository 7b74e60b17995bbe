"""The alternating direction method of multipliers."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from .._core.adapted_calls import adapts
from .._core.result import OnFailure, Status
from .._core.typing import ArrayInput, Callback, OperatorInput, Shape
from .._core.validation import choice, number
from ._elementwise import merged
from ._exact_data import INNER, TINY, ExactData, quiet_solve
from ._list_of_priors import PriorInput, listed, needs_copies, single
from ._penalty import Fixed, Penalty
from ._problem import Problem, ProximalResult, StoppingTest
from ._splitting import RELAX, Splitting
from ._weight_rule import choose_weight

DATA = ("soft", "hard")
RTOL, COPIES_RTOL = 1e-6, 1e-4  # default tolerances, without and with copies
CONFIRM_EVERY = 10  # iterations between two tests of the gradient itself


@adapts("b", side="output")
def admm(
    op: OperatorInput,
    b: ArrayInput,
    g: PriorInput,
    *,
    data: Literal["soft", "hard"] = "soft",
    x0: ArrayInput | None = None,
    shape: Shape | None = None,
    rho: float | None = None,
    dual_step: float | None = None,
    inner: str = "auto",
    rtol: float | None = None,
    atol: float = 0.0,
    maxiter: int | None = None,
    callback: Callback = None,
    noise_level: float | None = None,
    on_failure: OnFailure = "warn",
) -> ProximalResult:
    r"""Minimize ``||A x - b||^2 / 2 + g(x)``, or ``g(x)`` subject to ``A x = b``.

    Parameters
    ----------
    op, b, x0, shape, callback
        See `proximal_gradient`.
    g : Proximal or sequence of these
        The prior, or priors that are added: `TotalVariation`, `NonNegative`, `Box`,
        `L1`, `NuclearNorm`, `Analysis` or your own. For "hard", one that has a proximal
        operator.
    data : {"soft", "hard"}
        "soft" weighs the data against the prior, "hard" treats them as exact.
    rho : float, optional
        The penalty: g's proximal operator has the step ``1 / rho``. It changes the
        speed, not the solution. The default is in the units of the problem and is
        balanced, mainly in the first 100 iterations. For "soft" a given value does not
        change, and is that of every prior; for "hard" it is the start of balancing.
    dual_step : float, optional
        Length of the steps of the multipliers, more than 0 and less than 1.618, by
        default 1. With copies of ``L x`` (see Notes) the over-relaxation instead, by
        default 1.8.
    inner : str
        The method of `convinv.solve` for the least-squares problem of each iteration
        without copies. `MaskOperator` and `FourierSampling` need none.
    rtol, atol : float, optional
        Tolerances, see Notes; `rtol` is 1e-6 by default, with copies 1e-4.
    maxiter : int, optional
        Iterations at most, by default 1000.
    noise_level : float, optional
        Standard deviation of the noise in b, for a prior with the weight None, see
        `minimize`.
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

    For "soft" with several priors, with `TotalVariation` or with `Analysis`, the
    objective is :math:`\|A x - b\|^2 / 2 + \sum_i g_i(L_i x)` and there is a copy
    :math:`z_i` of each :math:`L_i x` with a penalty of its own:

    .. math::

       x &\leftarrow \operatorname{argmin}_x \tfrac12 \|A x - b\|^2
       + \sum_i \tfrac{\rho_i}{2} \|L_i x - z_i + u_i\|^2, \\
       z_i &\leftarrow \operatorname{prox}_{g_i / \rho_i}(L_i x + u_i), \\
       u_i &\leftarrow u_i + L_i x - z_i,

    where L is the identity, for `TotalVariation` the differences of neighbors. The
    first step is exact for layers that a transform diagonalizes: a cosine transform
    those with the boundary "symmetric" and an even kernel, a Fourier transform periodic
    ones. Other layers are written as parts of a periodic one, with copies of their
    data and borders (Almeida and Figueiredo 2013), so that an iteration costs four
    Fourier transforms at most. Other operators take a few steps of conjugate gradients.
    x is the copy that the first prior without L has made, and lies in its domain.

    ``success`` then means that a test of x found
    :math:`\sum_i \delta_i \le \mathtt{rtol}` times the objective and
    :math:`\|e\| \le \max(\mathtt{rtol} \, \|A^H b\|, \mathtt{atol})`. Here
    :math:`p_i` is the subgradient :math:`\rho_i u_i`, :math:`\delta_i` what
    :math:`g_i(L_i x)` is above the lower bound that belongs to it, and
    :math:`e = A^H (A x - b) + \sum_i L_i^H p_i`. The objective is at most
    :math:`\sum_i \delta_i + \|e\| \, \|x - x^*\|` above its minimum. What a step
    against e would lower the objective by counts among the :math:`\delta_i`.

    For "soft" with one prior that has a proximal operator, ``success`` means the same
    as for `proximal_gradient`. For "hard" the
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
    M. Almeida, M. Figueiredo, "Deconvolving images with unknown boundaries using the
    alternating direction method of multipliers", IEEE Trans. Image Process. 22 (2013).
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
    priors = listed(g)
    copies = data == "soft" and needs_copies(priors)
    if dual_step is None:
        dual_step = RELAX if copies else 1.0
    elif number(dual_step, "dual_step", positive=True) >= (1 + math.sqrt(5)) / 2:
        raise ValueError(f"dual_step must be less than 1.618, got {dual_step}")
    rho = None if rho is None else number(rho, "rho", positive=True)
    if rtol is None:
        rtol = COPIES_RTOL if copies else RTOL
    common = op, shape, atol, maxiter, callback, on_failure
    return _solve(data, priors, b, x0, rtol, rho, dual_step, inner, noise_level, common)


def _solve(data, priors, b, x0, rtol, rho, dual_step, inner, noise_level, common):
    """Choose the weight if there is none, and the iteration."""
    op, shape, atol, maxiter, callback, on_failure = common

    def run(priors, b, x0, rtol, callback, on_failure, notes):
        one = None if needs_copies(priors) and data == "soft" else priors[0]
        problem = Problem(
            op, b, one, x0, shape, rtol, atol, maxiter, callback, on_failure
        )
        if one is None:
            return _split(problem, priors, rho, dual_step, x0 is not None, notes)
        kind = _Soft if data == "soft" else ExactData
        return _alternate(kind(problem, inner, notes), rho, dual_step)

    def loosely(priors, b, x0, factor):
        return run(priors, b, x0, factor * rtol, None, "ignore", {}).x

    with np.errstate(all="ignore"):
        if data == "hard":
            one, notes = single(priors, "admm(data='hard')"), {}
            if getattr(one, "weight", 1.0) is None:  # no weight changes the solution
                one = one.with_weight(1.0)
            priors = [one]
        else:
            problem = Problem(
                op, b, None, x0, shape, rtol, atol, maxiter, callback, on_failure
            )
            priors, notes = choose_weight(priors, problem, noise_level, loosely)
            priors = merged(priors)
        return run(priors, b, x0, rtol, callback, on_failure, notes)


def _split(problem, priors, rho, relax, has_start, notes):
    """The iteration with a copy for every prior."""
    splitting = Splitting(problem, priors, rho, relax)
    stopping, x, check = splitting.run(problem.x if has_start else None)
    penalties = tuple(term.rho for term in splitting.terms)
    extra = {"data": "soft", "rho": penalties, **notes}
    return problem.valued_result(
        stopping,
        x,
        check.measure <= problem.rtol,
        check.measure,
        check.rest,
        check.value,
        "admm",
        extra,
        stacklevel=7,
    )


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

    def __init__(self, problem, inner, notes):
        self.problem, self.inner, self.notes = problem, inner, notes
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
        extra = {"data": "soft", "rho": rho, **self.notes}
        return self.problem.result(
            stopping, z, success, optimality, rest, "admm", extra, stacklevel=8
        )
