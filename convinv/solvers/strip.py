"""STRIP: one small pseudoinverse, applied to every strip of the output."""

from typing import Literal

import numpy as np

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._core.options import Fraction
from .._linalg.pseudoinverse import Factorization
from .._problem.problem import BREAKDOWN, CONVERGED, STALLED, divide
from ..strips._plan import strip_plan
from ..strips._sweeps import Schwarz, Sweeps
from ._block_iteration import iterate, residuals
from ._registry import solver

PATIENCE = 20  # sweeps without a smaller residual before the method gives up


# Bytes that making a strip's inverse takes, over those of its matrix (with damp I below
# it) in double precision: 7 to 13 were measured.
FACTOR = 12


def _plan_of(use):
    """The strips that the options say."""
    options = use.options
    return strip_plan(use.op, options.get("h_b"), window=options.get("window"))


def _window_numbers(use):
    """Numbers of an item's windows, and of its residuals in them."""
    plan, options = _plan_of(use), use.options
    unknowns = plan.memory["windows"] // use.op.dtype.itemsize
    if use.damped or options.get("refine") or options.get("overlap") == "average":
        return 2 * unknowns + plan.strips * plan.groups * plan.shape[0]
    return unknowns


def _factor_bytes(use):
    """Bytes of the strips' inverses while they are made, and of those kept."""
    plan = _plan_of(use)
    rows, columns = plan.shape
    making = FACTOR * (rows + use.damped * columns) * columns * use.double
    return making + (1 + 2 * use.damped) * plan.memory["factors"]


@solver(
    "strip",
    convolution_only=True,
    minimum_norm=False,
    consistent_only=True,
    start_with_damp=False,
    rate="blocks",
    attainable_rtol=1e-4,
    storage=Storage(
        m=3,
        n=4,
        counts_products=True,
        set_up="the strips' inverses",
        numbers=_window_numbers,
        shared_bytes=_factor_bytes,
    ),
    products=Products(),
    by_setting={
        # averaged sweeps solve in another norm
        ("overlap", "average"): {"limits": ("damped *",)},
        ("symmetric", True): {"limits": ("damped over, two channels",)},
        ("refine", True): {
            "consistent_only": False,
            "attainable_rtol": 0.0,
            "limits": (),
        },
    },
    variants={
        "average": {"overlap": "average"},
        "symmetric": {"symmetric": True},
        "refine": {"refine": True},
    },
    limits=("damped torus",),
)
def strip(
    problem,
    monitor,
    *,
    h_b=None,
    window=None,
    factorization: Factorization = "qr",
    overlap: Literal["overwrite", "average"] = "overwrite",
    symmetric: bool = False,
    refine: bool = False,
    rcond: Fraction | None = None,
):
    """Scalable trimmed iterative projections: local solutions, strip by strip.

    "Fast and scalable inversion of convolution layers", Algorithm 1. A strip takes the
    same window of every output channel (`h_b` or `window`, see
    `convinv.strips.strip_plan`); its unknowns are updated by ``x_s += A_s^+ (b_s - A_s
    x_s)``, with the pseudoinverse made by `factorization` ("qr", "svd" or "normal";
    singular values below `rcond` times the largest count as zero). An iteration is a
    sweep over all strips, with `symmetric` also back again.

    Where every A_s has full column rank (as a rule the default strips of layers with at
    least C_in + 2 filters) one sweep does all: it solves a consistent system. Later
    strips overwrite the overlap, or are averaged with ``overlap="average"``. With noise
    the result differs from the least-squares solution in proportion to the noise, and
    the solve ends with the status STALLED; only a residual that looks like rounding
    errors is swept again. Otherwise the sweeps are block Kaczmarz: they converge to the
    solution of least norm if the system is consistent, near to a least-squares solution
    if it is not. Averaged sweeps treat all strips at once; of several solutions they
    find one that is not of least norm.

    With `damp` the strips are those of ``[A, damp I]`` and the sweeps converge to the
    damped solution whatever the rank (averaged ones to one in another norm, weighted by
    the number of strips that hold a sample). They make no use of a starting point.

    ``refine=True`` leads to the least-squares solution itself: conjugate gradients on
    the normal equations from the first sweep's x, preconditioned by an additive Schwarz
    method whose subdomains are the strips' unknowns. Where strips have no full column
    rank and damp is 0 the preconditioner, which would lose the least norm, is left out.
    """
    if symmetric and overlap == "average":
        raise ValueError("symmetric sweeps need overlap='overwrite'")
    plan = strip_plan(problem.op, h_b, window=window)
    sweeps = Sweeps(problem, plan, factorization, rcond)
    sweeps.symmetric = bool(symmetric)
    sweeps.average = overlap == "average"
    notes = {"plan": plan, "factorization": sweeps.used, "direct": sweeps.direct}
    monitor.end(problem.vectors.sumsq(problem.b) == 0, CONVERGED)
    if refine:
        x = _refine(problem, monitor, sweeps)
    elif sweeps.direct:
        x = _correct(problem, monitor, sweeps)
        if bool(problem.xp.any(monitor.code == STALLED)):
            notes["message"] = (
                "every strip determines its unknowns, so that further sweeps change "
                "nothing; refine=True leads to the least-squares solution"
            )
    else:
        x = _iterate(problem, monitor, sweeps)
    return x, notes


def _correct(problem, monitor, sweeps):
    """One sweep, and more on the residual where that is rounding errors only.

    There is no damp.
    """
    xp, vectors = problem.xp, problem.vectors
    x = problem.zeros(problem.shape[1])
    rounding = float(xp.finfo(problem.b.dtype).eps) ** 0.5
    limit = rounding * xp.sqrt(vectors.sumsq(problem.b))
    best, minus, excess = problem.fill(np.inf), problem.fill(-1.0), None
    stop = not monitor.any_active()
    while not stop:
        first = excess is None
        sweeps.load(problem.b if first else excess)
        correction = sweeps(problem.zeros(problem.shape[1]))
        if first and bool(xp.all(monitor.active)):
            x = correction
        else:
            sign = 1.0 if first else -1.0
            x, _ = vectors.axpy(xp.where(monitor.active, sign, 0.0), correction, x)
        # A x - b, in the memory of the product: to copy b would cost more
        excess, squared = vectors.axpy(minus, problem.b, problem.forward(x))
        residual = xp.sqrt(squared)
        _, normal = problem.normal_residual(excess, x)
        stop = monitor.update(x, residual, xp.sqrt(normal))
        monitor.end((residual > limit) | (residual > best / 2), STALLED)
        best = residual
        stop = stop or not monitor.any_active()
    return x


def _iterate(problem, monitor, sweeps):
    """Sweep until the solution, or until nothing changes."""
    xp, vectors = problem.xp, problem.vectors
    eps = 10 * float(xp.finfo(problem.b.dtype).eps)
    best, since = problem.fill(np.inf), problem.fill(0.0)

    def ended(x, change, residual, normal):
        nonlocal best, since
        watched = normal if problem.damp else residual
        since = xp.where(watched < best, 0.0, since + 1)
        best = xp.minimum(watched, best)
        still = vectors.sumsq(change) <= eps**2 * vectors.sumsq(x)
        monitor.end(still | (since >= PATIENCE), STALLED)

    return iterate(problem, monitor, sweeps, ended)


def _refine(problem, monitor, sweeps):
    """Preconditioned CG on the normal equations from the x of one sweep."""
    xp, vectors = problem.xp, problem.vectors
    unique = sweeps.direct or problem.damp
    if not unique:
        sweeps.average = False  # averages leave the row space
    schwarz = Schwarz(problem, sweeps) if unique else lambda s: s
    x = problem.zeros(problem.shape[1])
    if monitor.any_active() and (problem.origin is None or not problem.damp):
        sweeps.load(copy(problem.b))
        x = xp.where(monitor.active[:, None], sweeps(x), 0)
        _, residual, normal = residuals(problem, x)
        if monitor.update(x, residual, normal):
            return x
    sweeps.unload()
    r, _, _ = residuals(problem, x)
    s, _ = problem.normal_residual(r, x)
    p = copy(schwarz(s))
    gamma = problem.real_dot(s, p)
    one, q = problem.fill(1.0), None
    monitor.end(gamma == 0, CONVERGED)
    stop = not monitor.any_active()
    while not stop:
        q, delta = problem.forward(p, sumsq=True, out=q)
        if problem.damp:
            delta = delta + problem.damp**2 * vectors.sumsq(p)
        monitor.end(~(delta > 0), BREAKDOWN)
        alpha = divide(xp, monitor.active, gamma, delta)
        x, _ = vectors.axpy(alpha, p, x)
        r, residual = vectors.axpy(-alpha, q, r)
        s, normal = problem.normal_residual(r, x, out=s)
        z = schwarz(s)
        previous, gamma = gamma, problem.real_dot(s, z)
        monitor.end(~(gamma >= 0), BREAKDOWN)
        p, _ = vectors.axpby(one, z, divide(xp, monitor.active, gamma, previous), p)
        stop = monitor.update(x, xp.sqrt(residual), xp.sqrt(normal))
    return x
