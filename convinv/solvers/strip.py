"""STRIP: one small pseudoinverse, applied to every strip of the output."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._core.options import Fraction
from .._linalg.pseudoinverse import Factorization
from .._problem.items import BREAKDOWN, CONVERGED, STALLED, divide
from ..strips._plan import strip_plan
from ..strips._sweeps import AdditiveSchwarz, Sweeps
from ._block_sweeps import block_sweeps, residuals
from ._iterate import iterate
from ._registry import solver

PATIENCE = 20  # sweeps without a smaller residual before the method gives up


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
    r"""Scalable trimmed iterative projections: local solutions, strip by strip.

    Take it for layers with at least two filters more than channels and consistent data:
    one sweep of small matrix products solves the system then. With noise it is a start
    for the least-squares solution, to which ``refine=True`` leads.

    Parameters
    ----------
    h_b : int, optional
        Outputs of a strip in each output channel; see `convinv.strips.strip_plan`, also
        for the default.
    window : sequence of int, optional
        Instead of `h_b`: the extent of a strip on every spatial axis.
    factorization : {"qr", "svd", "normal"}
        What the strips' pseudoinverses are made by; see
        `convinv.strips.pseudoinverse`.
    overlap : {"overwrite", "average"}
        Whether later strips overwrite the unknowns that they share with earlier ones,
        or all strips start from the same x and their results are averaged.
    symmetric : bool
        Whether each sweep also goes back again. Needs ``overlap="overwrite"``.
    refine : bool
        Whether conjugate gradients go on from the first sweep to the least-squares
        solution.
    rcond : float, optional
        Singular values of a strip up to this times its largest one count as zero, at
        least 0 and below 1, by default those that rounding may have made.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        ``plan``, the `convinv.strips.StripPlan`; ``factorization``, a tuple of the
        factorizations that were used; ``direct``, whether every strip determines its
        unknowns.

    Raises
    ------
    ValueError
        If `h_b` or `window` does not fit the output, or `symmetric` is given with
        averages.

    Notes
    -----
    A strip s takes the same window of every output channel (Algorithm 1 of [1]_). With
    the columns that are zero left out, its rows form a small matrix :math:`A_s`, which
    most strips share. Strip after strip,

    .. math::

        x_s \leftarrow x_s + A_s^+ (b_s - A_s x_s) ,

    and an iteration is a sweep over all strips.

    - *Cost:* a sweep multiplies each strip with :math:`A_s^+`, and with
      :math:`I - A_s^+ A_s` where that is not zero. One product with A and one with
      :math:`A^H` serve the stopping test. The strips' inverses are kept with the
      operator for the next solve.
    - *Storage:* three vectors of length m and four of length n beside b and x, and the
      strips' inverses.
    - *Strips that determine their unknowns:* where every :math:`A_s` has full column
      rank (as a rule the default strips of layers with at least C_in + 2 filters) one
      sweep solves a consistent system, and further sweeps change nothing. On other data
      the result differs from the least-squares solution in proportion to the
      inconsistent part of b, and the solve ends with the status STALLED; only a
      residual that looks like rounding errors is swept again.
    - *Other strips:* the sweeps are block Kaczmarz, which converges linearly. On
      consistent data x converges to the solution of least norm, or to the one nearest
      to x0, on others to a point near a least-squares solution. Averaged sweeps find,
      of several solutions, one that is not of least norm. Items whose residual has not
      fallen in 20 sweeps, or whose x stands still, end with the status STALLED. The
      history holds the norm of the residual.
    - *Damping:* the strips are those of :math:`[A, \mathrm{damp}\, I]`, a consistent
      system, and the sweeps converge to the damped solution whatever the rank.
      Averaged ones converge to one in another norm, weighted by the number of strips
      that hold a sample. The sweeps start at zero, and x0 makes no difference.
    - *Refinement:* preconditioned conjugate gradients on the normal equations from the
      first sweep's x. The preconditioner is an additive Schwarz method whose subdomains
      are the strips' unknowns. Where strips have no full column rank and `damp` is 0 it
      is left out, as with it x would lose the least norm.
    - *Departures from* [1]_: the printed listing computes its inverse in a branch that
      is never reached, skips the first strip and makes one sweep too many; here strips
      and sweeps are counted from the first to the last. The explanation of the paper,
      by nearly orthogonal strips, does not hold for its default strips; see
      :doc:`/guide/strip`. Windows may be rectangles, layers may have padding, stride
      and groups.

    References
    ----------
    .. [1] "Fast and scalable inversion of convolution layers", anonymous submission to
       the International Conference on Learning Representations, 2026.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "strip", rtol=1e-10)
    >>> result.success, result.nit, result.extra["direct"]
    (True, 1, True)
    >>> noisy = op.forward(x) + 0.01 * np.random.default_rng(1).random(op.output_shape)
    >>> solve(op, noisy, "strip", refine=True).success
    True
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
        x = _sweep_once(problem, monitor, sweeps)
        if bool(problem.xp.any(monitor.items.code == STALLED)):
            notes["message"] = (
                "every strip determines its unknowns, so that further sweeps change "
                "nothing; refine=True leads to the least-squares solution"
            )
    else:
        best, since = problem.fill(np.inf), problem.fill(0.0)
        test = _StandstillTest(problem, monitor, best, since)
        x = block_sweeps(problem, monitor, sweeps, test)
    return x, notes


def _sweep_once(problem, monitor, sweeps):
    """One sweep, and more on the residual where that is rounding errors only.

    There is no damp.
    """
    xp = problem.xp
    rounding = float(xp.finfo(problem.b.dtype).eps) ** 0.5
    state = _DirectState(
        x=problem.zeros(problem.shape[1]),
        sweeps=sweeps,
        limit=rounding * xp.sqrt(problem.vectors.sumsq(problem.b)),
        best=problem.fill(np.inf),
    )
    iterate(problem, monitor, _direct_step, state, on_host=True)
    return state.x


@dataclass
class _DirectState:
    x: Any
    sweeps: Sweeps
    limit: Any  # a norm of the residual that may be rounding
    best: Any  # the norm of the last residual
    excess: Any = None  # A x - b; None before the first sweep


def _direct_step(problem, monitor, state):
    xp, vectors = problem.xp, problem.vectors
    first = state.excess is None
    state.sweeps.load(problem.b if first else state.excess)
    correction = state.sweeps(problem.zeros(problem.shape[1]))
    if first and bool(xp.all(monitor.active)):
        state.x = correction
    else:
        length = xp.where(monitor.active, 1.0 if first else -1.0, 0.0)
        state.x, _ = vectors.axpy(length, correction, state.x)
    # A x - b, in the memory of the product: to copy b would cost more
    state.excess, squared = vectors.axpy(
        problem.fill(-1.0), problem.b, problem.forward(state.x)
    )
    residual = xp.sqrt(squared)
    _, normal = problem.normal_residual(state.excess, state.x)
    monitor.update(state.x, residual, xp.sqrt(normal))
    monitor.end((residual > state.limit) | (residual > state.best / 2), STALLED)
    state.best = residual
    monitor.recheck()


@dataclass
class _StandstillTest:
    """Ends items whose x stands still, or whose norm has not fallen for long."""

    problem: Any
    monitor: Any
    best: Any  # the least norm so far
    since: Any  # sweeps since it was found

    def __call__(self, x, change, residual, normal):
        problem, xp = self.problem, self.problem.xp
        eps = 10 * float(xp.finfo(problem.b.dtype).eps)
        watched = normal if problem.damp else residual
        self.since = xp.where(watched < self.best, 0.0, self.since + 1)
        self.best = xp.minimum(watched, self.best)
        moved, size = problem.vectors.sumsq(change), problem.vectors.sumsq(x)
        still = moved <= eps**2 * size
        self.monitor.end(still | (self.since >= PATIENCE), STALLED)


def _refine(problem, monitor, sweeps):
    """Preconditioned CG on the normal equations from the x of one sweep."""
    xp = problem.xp
    unique = sweeps.direct or problem.damp
    if not unique:
        sweeps.average = False  # averages leave the row space
    precondition = AdditiveSchwarz(problem, sweeps) if unique else lambda s: s
    state = _CGState(problem.zeros(problem.shape[1]), precondition)
    if monitor.any_active() and (problem.origin is None or not problem.damp):
        sweeps.load(copy(problem.b))
        state.x = xp.where(monitor.active[:, None], sweeps(state.x), 0)
        _, residual, normal = residuals(problem, state.x)
        if monitor.update(state.x, residual, normal):
            return state.x
    sweeps.unload()
    state.r, _, _ = residuals(problem, state.x)
    state.s, _ = problem.normal_residual(state.r, state.x)
    state.p = copy(precondition(state.s))
    state.gamma, state.one = problem.real_dot(state.s, state.p), problem.fill(1.0)
    monitor.end(state.gamma == 0, CONVERGED)
    # the gathers of the strips' unknowns are not made for graphs
    iterate(problem, monitor, _cg_step, state, on_host=True)
    return state.x


@dataclass
class _CGState:
    x: Any
    precondition: Any
    r: Any = None  # b - A x
    s: Any = None  # the normal residual A^H r - damp^2 x
    p: Any = None  # the search direction
    q: Any = None  # A p
    gamma: Any = None  # s^H M s
    one: Any = None


def _cg_step(problem, monitor, state):
    """An iteration of `cgls`, less what that takes from its coefficients."""
    xp, vectors = problem.xp, problem.vectors
    state.q, delta = problem.forward(state.p, sumsq=True, out=state.q)
    if problem.damp:
        delta = delta + problem.damp**2 * vectors.sumsq(state.p)
    monitor.end(~(delta > 0), BREAKDOWN)
    alpha = divide(xp, monitor.active, state.gamma, delta)
    state.x, _ = vectors.axpy(alpha, state.p, state.x)
    state.r, residual = vectors.axpy(-alpha, state.q, state.r)
    state.s, normal = problem.normal_residual(state.r, state.x, out=state.s)
    z, previous = state.precondition(state.s), state.gamma
    state.gamma = problem.real_dot(state.s, z)
    monitor.end(~(state.gamma >= 0), BREAKDOWN)
    beta = divide(xp, monitor.active, state.gamma, previous)
    state.p, _ = vectors.axpby(state.one, z, beta, state.p)
    monitor.update(state.x, xp.sqrt(residual), xp.sqrt(normal))
