"""Gradient descent on the least-squares functional."""

from dataclasses import dataclass
from typing import Any, Literal

from .._core.arrays import copy, to_numpy
from .._core.declarations import Products, Storage
from .._core.options import Positive
from .._problem.items import CONVERGED, divide
from ._iterate import iterate
from ._registry import solver


@solver(
    "gradient",
    rate="gradient",
    attainable_rtol=1e-3,
    storage=Storage(m=2, n=1, captured=True),
    products=Products(),
    by_setting={
        ("step", "fixed"): {"limits": ("groups",)},
        ("step", "adam"): {
            "rate": "unknown",
            "minimum_norm": False,
            "limits": ("*",),
            "storage": Storage(m=2, n=3),
        },
    },
    variants={
        "fixed": {"step": "fixed"},
        "adam": {"step": "adam", "step_size": 0.02},
    },
)
def gradient(
    problem,
    monitor,
    *,
    step: Literal["optimal", "fixed", "adam"] = "optimal",
    step_size: Positive | None = None,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: Positive = 1e-8,
):
    r"""Gradient descent: optimal step, fixed step or Adam.

    It is here to compare with: `cgls` has the same cost per iteration and needs about
    the square root of the number of iterations.

    Parameters
    ----------
    step : {"optimal", "fixed", "adam"}
        How far to go: as far as the functional decreases along the gradient (steepest
        descent), `step_size` times the gradient, or as Adam has it.
    step_size : float, optional
        With "fixed", the factor of the gradient :math:`A^H r - \mathrm{damp}^2 x`, by
        default :math:`1 / (\|A\|^2 + \mathrm{damp}^2)`, where 30 power iterations from
        a random start estimate the norm and 5 % are added to its square. With "adam",
        the learning rate in units of x, by default 0.01. Positive; "optimal" takes
        none.
    betas : pair of float
        Adam's decay rates of the mean of the gradients and of their squares, each at
        least 0 and below 1.
    eps : float
        What Adam adds to the root of the mean of squares, in the units of the gradient.
        Positive.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        With "fixed": ``step_size``, the one that was taken.

    Notes
    -----
    With :math:`s = A^H (b - A x) - \mathrm{damp}^2 x`, the negative gradient of half
    the functional, an iteration is :math:`x \leftarrow x + \alpha s` with

    .. math::

        \alpha = \frac{\|s\|^2}{\|A s\|^2 + \mathrm{damp}^2 \|s\|^2}
        \quad \text{("optimal")}, \qquad
        \alpha = \text{step\_size} \quad \text{("fixed")}.

    Adam [1]_ goes along :math:`\hat\mu / (\sqrt{\hat\nu} + \mathrm{eps})`, where

    .. math::

        \mu \leftarrow \beta_1 \mu + (1 - \beta_1) s, \quad
        \nu \leftarrow \beta_2 \nu + (1 - \beta_2) |s|^2, \quad
        \hat\mu = \mu / (1 - \beta_1^k), \quad
        \hat\nu = \nu / (1 - \beta_2^k)

    entry by entry, in iteration k.

    - *Cost:* one product with A and one with :math:`A^H` per iteration.
    - *Storage:* two vectors of length m and one of length n beside b and x, three of
      length n with Adam.
    - *Convergence:* steepest descent lowers :math:`\|A (x_k - x)\|` by
      :math:`(\kappa^2 - 1) / (\kappa^2 + 1)` at least, with :math:`\kappa` the
      condition number of A over its nonzero singular values. A fixed step converges
      below :math:`2 / \|A\|^2`, at the rate :math:`1 - \text{step\_size}\, \sigma^2`
      for the part of x that belongs to the singular value :math:`\sigma`. Adam with a
      constant learning rate ends in a neighborhood of the solution, whose size is in
      proportion to the rate. The history holds the norm of r.
    - *Inconsistent or singular systems:* "optimal" and "fixed" converge to the
      least-squares solution of least norm, or to the one nearest to x0. Adam's iterates
      leave the row space, so that it finds another minimizer where there are many.
    - *Departures from* [1]_: complex data take the magnitudes of the entries in
      :math:`\nu`.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: A method for stochastic optimization",
       International Conference on Learning Representations, 2015, arXiv:1412.6980.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "gradient", rtol=1e-4)
    >>> result.success, result.nit > solve(op, op.forward(x), "cgls", rtol=1e-4).nit
    (True, True)
    """
    _check(step, step_size, betas)
    rule = {"optimal": _OptimalStep, "fixed": _FixedStep, "adam": _Adam}[step]
    state = _State(problem.zeros(problem.shape[1]), copy(problem.b))
    state.s, state.normal = problem.normal_residual(state.r, state.x)
    state.rule = rule(problem, step_size, betas, eps)
    monitor.end(state.normal == 0, CONVERGED)
    # Adam's bias correction is a number of the host
    iterate(problem, monitor, _step, state, on_host=step == "adam")
    return state.x, state.rule.notes


@dataclass
class _State:
    x: Any
    r: Any  # b - A x
    s: Any = None  # the normal residual A^H r - damp^2 x
    normal: Any = None  # ||s||^2
    q: Any = None  # A times the direction
    rule: Any = None  # direction and length of the step


def _step(problem, monitor, state):
    xp, vectors = problem.xp, problem.vectors
    p = state.rule.direction(state.s)
    state.q, curvature = problem.forward(p, sumsq=True, out=state.q)
    alpha = state.rule.length(state.normal, curvature, monitor.active)
    state.x, _ = vectors.axpy(alpha, p, state.x)
    state.r, residual = vectors.axpy(-alpha, state.q, state.r)
    state.s, state.normal = problem.normal_residual(state.r, state.x, out=state.s)
    monitor.update(state.x, xp.sqrt(residual), xp.sqrt(state.normal))


def _check(step, step_size, betas):
    if step_size is not None and step == "optimal":
        raise ValueError(
            "step_size belongs to step='fixed' or 'adam', got "
            f"step_size={step_size!r} with step={step!r}"
        )
    try:
        first, second = map(float, betas)
    except (TypeError, ValueError):
        first = second = -1.0
    if not (0 <= first < 1 and 0 <= second < 1):
        raise ValueError(f"betas must be two numbers in [0, 1), got {betas!r}")


class _OptimalStep:
    """The step that minimizes the functional along the normal residual."""

    def __init__(self, problem, step_size, betas, eps):
        self.problem, self.notes = problem, {}

    def direction(self, s):
        return s

    def length(self, normal, curvature, active):
        if self.problem.damp:
            curvature = curvature + self.problem.damp**2 * normal
        return divide(self.problem.xp, active, normal, curvature)


class _FixedStep:
    """One step size for all."""

    def __init__(self, problem, step_size, betas, eps):
        self.xp = problem.xp
        if step_size is None:
            size = 1 / (_norm_squared(problem) + problem.damp**2)
        else:
            size = step_size / problem.kernel_scale / problem.kernel_scale
        self.size = problem.fill(size)
        self.notes = {"step_size": size * problem.kernel_scale * problem.kernel_scale}

    def direction(self, s):
        return s

    def length(self, normal, curvature, active):
        return self.xp.where(active, self.size, self.xp.zeros_like(self.size))


class _Adam:
    """Adam's direction; its learning rate and eps are in the user's units."""

    def __init__(self, problem, step_size, betas, eps):
        self.problem, self.betas, self.xp = problem, betas, problem.xp
        self.mean = self.square = 0.0
        self.count, self.notes = 0, {}
        rate = 0.01 if step_size is None else step_size
        self.rate = rate / problem.x_scale
        # a gradient A^H r in the problem's units is kernel_scale^2 / x_scale times that
        # in the user's
        real = self.xp.real(problem.b[:, :1]).dtype if problem.is_complex else None
        scaled = eps * problem.kernel_scale / problem.x_scale * problem.kernel_scale
        self.eps = self.xp.astype(scaled, real or problem.b.dtype)[:, None]

    def direction(self, s):
        xp, (first, second) = self.xp, self.betas
        self.count += 1
        size = xp.abs(s)
        self.mean = first * self.mean + (1 - first) * s
        self.square = second * self.square + (1 - second) * size * size
        mean = self.mean / (1 - first**self.count)
        return mean / (xp.sqrt(self.square / (1 - second**self.count)) + self.eps)

    def length(self, normal, curvature, active):
        return self.xp.where(active, self.rate, self.xp.zeros_like(self.rate))


def _norm_squared(problem, iterations=30):
    """A slight over-estimate of ``||A||^2`` by power iterations from a random start.

    With the problem's fused vectors and reused memory, also on a device; `proximal` has
    no such problem.
    """
    xp = problem.xp
    v, w = problem.random(problem.shape[1]), None
    for _ in range(iterations):
        norm = xp.sqrt(problem.vectors.sumsq(v))
        v, _ = problem.vectors.axpby(1 / norm, v, 0 * norm, v)
        w = problem.forward(v, out=w)
        v, sums = problem.adjoint(w, sumsq=True, out=v)
    return 1.05 * float(to_numpy(xp.max(xp.sqrt(sums))))
