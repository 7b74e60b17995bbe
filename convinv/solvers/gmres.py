"""Restarted GMRES, for square operators and for the normal equations."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg

from .._core.arrays import to_numpy
from .._core.declarations import Products, Storage
from .._core.options import Count
from .._problem.items import BREAKDOWN, CONVERGED, STALLED, divide
from .._problem.recurrence import recurrence
from ._hessenberg_qr import hessenberg_qr
from ._iterate import iterate
from ._registry import solver

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
    storage=Storage(n="restart", numbers=_coefficients, captured=True),
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
    r"""Generalized minimal residuals with restarts.

    Take it for square operators that are not Hermitian, and where there is no adjoint.
    With ``normal=True`` it takes any shape; `cgls` and `lsmr` do the same with less
    memory.

    Parameters
    ----------
    restart : int
        Steps of a cycle, at least 1: the basis has as many vectors, of length n. More
        than n make no difference.
    normal : bool
        Whether to solve the normal equations :math:`(A^H A + \mathrm{damp}^2 I) x = A^H
        b` instead of :math:`A x = b`. Needs the adjoint.

    Returns
    -------
    x : array
        The iterate after the last step, shaped to match b.
    extra : dict
        No keys of its own.

    Raises
    ------
    ValueError
        If there is a `damp` and `normal` is False.

    Notes
    -----
    A step extends an orthonormal basis V of the Krylov space by the part of
    :math:`A M v_j` that is orthogonal to it, so that :math:`A M V_j = V_{j+1} H_j` with
    a Hessenberg matrix. The iterate minimizes the residual [1]_:

    .. math::

        x_j = x_0 + M V_j y, \qquad
        y = \arg\min_y \big\| \|r_0\| e_1 - H_j y \big\| ,

    where Givens rotations keep :math:`H_j` triangular and give the norm of the residual
    in every step. M is the preconditioner, an approximation of the inverse of the
    matrix solved with, applied from the right. After `restart` steps x and the residual
    are computed, and the next cycle starts from there. A step is an iteration.

    - *Cost:* one product with A per step, with ``normal=True`` also one with
      :math:`A^H`. The basis is read twice.
    - *Storage:* `restart` vectors of length n, beside b and x, used again by every
      cycle.
    - *Convergence:* the residual never rises. Without restarts it ends after n steps at
      most; with them it may stall, where cycles are too short to bring the residual
      down. The solve then ends with the status STALLED and a message that says so. The
      history holds the norm of the residual, with ``normal=True`` that of the normal
      residual.
    - *Inconsistent or singular systems:* without ``normal=True`` there is no promise:
      the solve ends with STALLED or BREAKDOWN, or finds one of several solutions. With
      it x converges to the least-squares solution of least norm, or to the one nearest
      to x0.
    - *Damping:* `damp` needs ``normal=True``.
    - *Departures from* [1]_: the basis is reorthogonalized, so that it is orthogonal
      to rounding. A batch runs in step. The triangles give
      estimates of the extreme singular values, for ``error_bound`` and `conlim`.

    References
    ----------
    .. [1] Y. Saad and M. H. Schultz, "GMRES: A generalized minimal residual algorithm
       for solving nonsymmetric linear systems", SIAM Journal on Scientific and
       Statistical Computing 7 (1986), 856-869, doi:10.1137/0907058.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, solve
    >>> kernel = np.array([[0, 0.3, 0], [0.1, 1.0, -0.2], [0, 0.1, 0]])[None, None]
    >>> op = ConvLinearOperator(kernel, (1, 16, 16), padding="same")
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "gmres", rtol=1e-10)
    >>> result.success, bool(np.allclose(result.x, x))
    (True, True)
    """
    equations = _NormalEquations(problem) if normal else _SquareSystem(problem)
    length = min(restart, problem.shape[1])
    state = _State(problem.zeros(problem.shape[1]), _Cycle(problem, equations, length))
    state.r = equations.first()
    state.norm = problem.xp.sqrt(problem.vectors.sumsq(state.r))
    monitor.end(state.norm == 0, CONVERGED)
    iterate(
        problem,
        monitor,
        _step,
        state,
        on_host=_estimates_condition(problem, monitor),
        period=length,
    )
    return state.x, _notes(problem, monitor, length)


class _Cycle:
    """What the steps of a cycle leave to its later ones, in memory used by them all."""

    def __init__(self, problem, equations, length):
        xp, batch, dtype = problem.xp, problem.batch, problem.b.dtype
        self.equations, self.length = equations, length  # of steps, at most
        shape = (length + 1, batch, problem.shape[1])
        self.basis = xp.zeros(shape, dtype=dtype, **problem.place)
        small = xp.complex128 if problem.is_complex else xp.float64
        # memory of the Gram-Schmidt process
        shape = (batch, length + 1, length + 1)
        self.gram = xp.zeros(shape, dtype=small, **problem.place)
        tiny = float(10 * xp.finfo(dtype).eps)
        self.qr = hessenberg_qr(problem, length, tiny)  # of the Hessenberg matrix


@dataclass
class _State:
    """Where a cycle starts, and how far it is."""

    x: Any
    cycle: _Cycle
    r: Any = None  # the residual of x
    norm: Any = None  # ||r||
    steps: int = 0  # that the cycle has made
    active: Any = None  # items that run when the cycle starts
    item_nit: Any = None  # their iterations then


def _step(problem, monitor, state):
    """Extend the basis by one vector; the last step of a cycle moves x."""
    cycle = state.cycle
    if state.steps == 0:
        _start_cycle(problem, monitor, state)
    left, broken = _extend_basis(problem, monitor, cycle, state.steps)
    norms = _record(
        problem.xp, monitor.items, state.norm, left, broken, cycle.equations.is_normal
    )
    state.steps += 1
    x, steps = state.x, state.steps
    monitor.count(lambda: x + _correction(problem, cycle, steps), *norms)
    if monitor.stopped or steps == cycle.length:
        _end_cycle(problem, monitor, state)


def _start_cycle(problem, monitor, state):
    """The first vector of the basis is the residual, normalized."""
    xp, basis = problem.xp, state.cycle.basis
    state.cycle.qr.start(state.norm)
    state.active, state.item_nit = monitor.active, monitor.items.nit
    factor = divide(xp, state.active, 1.0, state.norm)
    basis[0, ...] = state.r
    _scale(problem, basis, 0, factor)


def _extend_basis(problem, monitor, cycle, j):
    """Append vector j + 1, and its column of the Hessenberg matrix.

    Returns the norm of the residual relative to the cycle's first, and the items that
    break down.
    """
    basis = cycle.basis
    row, next_row = basis[j, ...], basis[j + 1, ...]
    w = cycle.equations.apply(problem.precondition(row), next_row)
    # the operator may give back what it was given: w is written to, so it is moved
    if w is not next_row:
        basis[j + 1, ...] = w
    # orthogonal to rounding, where the paper has one pass of modified Gram-Schmidt
    w, *column = problem.vectors.project(basis, j + 1, cycle.gram, next_row)
    factor, broken, left = cycle.qr.append(*column, monitor.active)
    if w is not next_row:
        basis[j + 1, ...] = w
    _scale(problem, basis, j + 1, factor)
    return left, broken


def _scale(problem, basis, j, factor):
    """Scale vector j of the basis."""
    row = basis[j, ...]
    scaled = problem.vectors.scale(factor, row)
    if scaled is not row:
        basis[j, ...] = scaled


@recurrence
def _record(xp, items, norm, left, broken, is_normal):
    """The norms of the residual and of the normal residual, one of which is None."""
    items.end(broken, BREAKDOWN)
    norms = (None, norm * left) if is_normal else (norm * left, None)
    items.judge(*norms)
    return norms


def _correction(problem, cycle, steps):
    """The iterate's change after `steps` steps of the cycle."""
    y = cycle.qr.solve(steps)
    return problem.precondition(problem.vectors.combine(cycle.basis, y))


def _end_cycle(problem, monitor, state):
    """Move x and compute its residual; end items that make no progress."""
    xp, equations = problem.xp, state.cycle.equations
    if _estimates_condition(problem, monitor):
        _estimate_condition(problem, monitor, state)
    candidate = state.x + _correction(problem, state.cycle, state.steps)
    state.r, squares, size = equations.residual(candidate)
    worse = _compare(xp, state, monitor.items, squares, size)
    state.x = xp.where(worse[:, None], state.x, candidate)
    state.steps = 0
    monitor.recheck()


@recurrence
def _compare(xp, state, items, squares, size):
    """The new norm; ends items and returns those of which the cycle made it larger."""
    before, state.norm = state.norm, xp.sqrt(squares)
    if size is not None:  # the steps do not know the residual of A x = b
        items.end(size <= items.goals.residual, CONVERGED)
    worse = state.active & ~(state.norm <= before)
    same = (state.norm > SLOW * before) & (state.norm * SLOW <= before)
    items.end(same, STALLED)
    items.end(worse, BREAKDOWN)
    return worse


def _estimates_condition(problem, monitor):
    """Whether cycles estimate it: on a device, which waits then, only if asked for."""
    on_host = problem.xp is np or monitor.goals.conlim is not None
    return monitor.items.known and on_host


def _estimate_condition(problem, monitor, state):
    """Tell the monitor the ends of the triangles, as far as items ran."""
    steps = to_numpy(monitor.items.nit - state.item_nit)
    ran = to_numpy(state.active & (state.cycle.qr.norm > 0)) & (steps > 0)
    triangles = to_numpy(state.cycle.qr.triangle)
    ends = np.stack([to_numpy(monitor.items.smallest), np.zeros(problem.batch)])
    trtri = linalg.lapack.get_lapack_funcs("trtri", (triangles,))
    for i in np.flatnonzero(ran):
        triangle = triangles[i, : steps[i], : steps[i]]
        inverse, info = trtri(triangle)
        if info == 0:
            sizes = 1 / np.linalg.norm(inverse), np.max(abs(triangle))
            ends[:, i] = state.cycle.equations.singular(np.array(sizes))
    monitor.items.ends(*(problem.xp.asarray(end, **problem.place) for end in ends))


def _notes(problem, monitor, length):
    """What to do where short cycles get nowhere; longer ones might."""
    stalled = length < problem.shape[1] and bool(
        problem.xp.any(monitor.items.code == STALLED)
    )
    if not stalled:
        return {}
    return {
        "message": f"a cycle of {length} steps does not bring the residual down: raise "
        f"restart (now {length}, at most {problem.shape[1]} is of use)"
    }


class _SquareSystem:
    """``A x = b``."""

    is_normal = False

    def __init__(self, problem):
        self.problem = problem

    def apply(self, v, out):
        """The product with v: `out`, if it could be written there."""
        w = self.problem.forward(v, out=out)
        return out if self.problem.op.fused else w

    def first(self):
        """The residual of 0, not to be written to."""
        return self.problem.b

    def residual(self, x):
        """The residual, its squared norm, and the norm of ``b - A x`` if another."""
        r = self.problem.b - self.problem.forward(x)
        return r, self.problem.vectors.sumsq(r), None

    def singular(self, sizes):
        return sizes


class _NormalEquations:
    """``(A^H A + damp^2 I) x = A^H b``."""

    is_normal = True

    def __init__(self, problem):
        self.problem = problem

    def apply(self, v, out):
        problem = self.problem
        w = problem.adjoint(problem.forward(v), out=out)
        w = out if problem.op.fused else w
        if problem.damp:
            w, _ = problem.vectors.axpy(problem.fill(problem.damp**2), v, w)
        return w

    def first(self):
        return self.problem.first_normal_residual()[0]

    def residual(self, x):
        problem = self.problem
        r = problem.b - problem.forward(x)
        size = problem.xp.sqrt(problem.vectors.sumsq(r))
        return *problem.normal_residual(r, x), size

    def singular(self, sizes):
        return np.sqrt(sizes)
