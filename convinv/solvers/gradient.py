"""Gradient descent on the least-squares functional."""

from typing import Literal

from .._core.arrays import copy, to_numpy
from .._core.declarations import Products, Storage
from .._core.options import Positive
from .._problem.problem import CONVERGED, divide
from ._iterate import iterate
from ._registry import solver


@solver(
    "gradient",
    rate="gradient",
    attainable_rtol=1e-3,
    storage=Storage(m=2, n=1),
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
    """Gradient descent: optimal step, fixed step or Adam.

    ``step="optimal"`` minimises the functional along the gradient; ``"fixed"`` takes
    `step_size`, by default ``1 / ||A||^2`` with the norm estimated by power iterations;
    ``"adam"`` is Kingma and Ba (2015) with learning rate `step_size` (default 0.01, in
    the units of x), decay rates `betas` and `eps`, whose iterates leave the row space,
    so that it does not find the minimiser of least norm.
    """
    _check(step, step_size, betas)
    xp, vectors = problem.xp, problem.vectors
    x = problem.zeros(problem.shape[1])
    r = copy(problem.b)
    s, normal = problem.normal_residual(r, x)
    direction = {"optimal": _Optimal, "fixed": _Fixed, "adam": _Adam}[step](
        problem, step_size, betas, eps
    )
    monitor.end(normal == 0, CONVERGED)
    q = None

    def iteration():
        nonlocal x, r, s, normal, q
        p = direction(s)
        q, qq = problem.forward(p, sumsq=True, out=q)
        alpha = direction.length(p, normal, qq, monitor.active)
        x, _ = vectors.axpy(alpha, p, x)
        r, residual = vectors.axpy(-alpha, q, r)
        s, normal = problem.normal_residual(r, x, out=s)
        monitor.update(x, xp.sqrt(residual), xp.sqrt(normal))

    # Adam's bias correction is a number of the host
    iterate(problem, monitor, iteration, direction, eager=lambda count: step == "adam")
    return x, direction.notes


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


class _Optimal:
    """The step that minimises the functional along the normal residual."""

    def __init__(self, problem, step_size, betas, eps):
        self.problem, self.notes = problem, {}

    def __call__(self, s):
        return s

    def length(self, p, normal, qq, active):
        if self.problem.damp:
            qq = qq + self.problem.damp**2 * normal
        return divide(self.problem.xp, active, normal, qq)


class _Fixed:
    """One step size for all."""

    def __init__(self, problem, step_size, betas, eps):
        self.xp = problem.xp
        if step_size is None:
            size = 1 / (_norm_squared(problem) + problem.damp**2)
        else:
            size = step_size / problem.kernel_scale / problem.kernel_scale
        self.size = problem.fill(size)
        self.notes = {"step_size": size * problem.kernel_scale * problem.kernel_scale}

    def __call__(self, s):
        return s

    def length(self, p, normal, qq, active):
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

    def __call__(self, s):
        xp, (first, second) = self.xp, self.betas
        self.count += 1
        size = xp.abs(s)
        self.mean = first * self.mean + (1 - first) * s
        self.square = second * self.square + (1 - second) * size * size
        mean = self.mean / (1 - first**self.count)
        return mean / (xp.sqrt(self.square / (1 - second**self.count)) + self.eps)

    def length(self, p, normal, qq, active):
        return self.xp.where(active, self.rate, self.xp.zeros_like(self.rate))


def _norm_squared(problem, iterations=30):
    """A slight over-estimate of ``||A||^2`` by power iterations from a random start."""
    xp = problem.xp
    v, w = problem.random(problem.shape[1]), None
    for _ in range(iterations):
        norm = xp.sqrt(problem.vectors.sumsq(v))
        v, _ = problem.vectors.axpby(1 / norm, v, 0 * norm, v)
        w = problem.forward(v, out=w)
        v, sums = problem.adjoint(w, sumsq=True, out=v)
    return 1.05 * float(to_numpy(xp.max(xp.sqrt(sums))))
