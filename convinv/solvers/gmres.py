"""Restarted GMRES, for square operators and for the normal equations."""

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg

from .._core.arrays import to_numpy
from .._core.blas_threads import one_blas_thread
from .._core.declarations import Products, Storage
from .._core.options import Count
from .._problem.items import BREAKDOWN, CONVERGED, STALLED
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
    storage=Storage(n="restart", numbers=_coefficients),
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
    state = _State(problem.zeros(problem.shape[1]), equations, length)
    state.allocate(problem)
    state.r = equations.first()
    state.norm = problem.xp.sqrt(problem.vectors.sumsq(state.r))
    monitor.end(state.norm == 0, CONVERGED)
    # the host looks at the end of every cycle
    iterate(problem, monitor, _step, state, on_host=True)
    return state.x, _notes(problem, monitor, length)


@dataclass
class _State:
    """A cycle and where it starts; its storage is used again by the next one."""

    x: Any  # where the cycle starts
    equations: Any
    length: int  # steps of a cycle, at most
    r: Any = None  # the residual of x
    norm: Any = None  # ||r||
    steps: int = 0  # that the cycle has made
    active: Any = None  # items that run when the cycle starts
    item_nit: Any = None  # their iterations then
    basis: Any = None  # shape (length + 1, B, n)
    gram: Any = None  # memory of the Gram-Schmidt process
    qr: Any = None  # of the Hessenberg matrix

    def allocate(self, problem):
        xp, batch, dtype = problem.xp, problem.batch, problem.b.dtype
        shape = (self.length + 1, batch, problem.shape[1])
        self.basis = xp.zeros(shape, dtype=dtype, **problem.place)
        small = xp.complex128 if problem.is_complex else xp.float64
        shape = (batch, self.length + 1, self.length + 1)
        self.gram = xp.zeros(shape, dtype=small, **problem.place)
        tiny = float(10 * xp.finfo(dtype).eps)
        self.qr = hessenberg_qr(problem, self.length, tiny)


def _step(problem, monitor, state):
    """Extend the basis by one vector; the last step of a cycle moves x."""
    if state.steps == 0:
        _start_cycle(problem, monitor, state)
    _extend_basis(problem, monitor, state)
    state.steps += 1
    x, steps = state.x, state.steps
    monitor.update(
        lambda: x + _correction(problem, state, steps),
        **state.equations.norms(state.qr.residual(steps)),
    )
    if monitor.stopped or steps == state.length:
        _end_cycle(problem, monitor, state)


def _start_cycle(problem, monitor, state):
    """The first vector of the basis is the residual, normalized."""
    xp, norm = problem.xp, state.norm
    state.qr.start(norm)
    state.active, state.item_nit = monitor.active, monitor.items.nit
    good = state.active & (norm > 0)
    factor = xp.where(good, 1 / xp.where(good, norm, xp.ones_like(norm)), 0 * norm)
    state.basis[0, ...] = state.r * xp.astype(factor, state.r.dtype)[:, None]


def _extend_basis(problem, monitor, state):
    """Append a vector, and its column of the Hessenberg matrix."""
    j, xp, basis = state.steps, problem.xp, state.basis
    row, next_row = basis[j, ...], basis[j + 1, ...]
    # the operator may give back what it was given: w is written to, so it is moved
    basis[j + 1, ...] = state.equations.apply(problem.precondition(row), next_row)
    # orthogonal to rounding, where the paper has one pass of modified Gram-Schmidt
    w, *column = problem.vectors.project(basis, j + 1, state.gram, next_row)
    factor, broken = state.qr.append(*column, monitor.active)
    w *= xp.astype(factor, w.dtype)[:, None]
    if w is not next_row:
        basis[j + 1, ...] = w
    monitor.end(broken, BREAKDOWN)


def _correction(problem, state, steps):
    """The iterate's change after `steps` steps of the cycle."""
    xp = problem.xp
    y = xp.astype(state.qr.solve(steps), problem.b.dtype)
    basis = xp.permute_dims(state.basis[:steps, ...], (1, 0, 2))
    with one_blas_thread if xp is np else contextlib.nullcontext():
        d = (y[:, None, :] @ basis)[:, 0, :]
    return problem.precondition(d)


def _end_cycle(problem, monitor, state):
    """Move x and compute its residual; end items that make no progress."""
    xp, equations, before = problem.xp, state.equations, state.norm
    # on a device that is to wait for it
    if monitor.items.known and (xp is np or monitor.goals.conlim is not None):
        _estimate_condition(problem, monitor, state)
    candidate = state.x + _correction(problem, state, state.steps)
    state.r = equations.residual(candidate)
    state.norm = norm = xp.sqrt(problem.vectors.sumsq(state.r))
    if equations.size is not None:  # the steps do not know the residual of A x = b
        monitor.end(equations.size <= monitor.goals.residual, CONVERGED)
    worse = state.active & ~(norm <= before)
    state.x = xp.where(worse[:, None], state.x, candidate)
    same = (norm > SLOW * before) & (norm * SLOW <= before)
    monitor.end(same, STALLED)
    monitor.end(worse, BREAKDOWN)
    state.steps = 0
    monitor.recheck()


def _estimate_condition(problem, monitor, state):
    """Tell the monitor the ends of the triangles, as far as items ran."""
    steps = to_numpy(monitor.items.nit - state.item_nit)
    ran = to_numpy(state.active & (state.qr.norm > 0)) & (steps > 0)
    triangles = to_numpy(state.qr.triangle)
    ends = np.stack([to_numpy(monitor.items.smallest), np.zeros(problem.batch)])
    trtri = linalg.lapack.get_lapack_funcs("trtri", (triangles,))
    for i in np.flatnonzero(ran):
        triangle = triangles[i, : steps[i], : steps[i]]
        inverse, info = trtri(triangle)
        if info == 0:
            sizes = 1 / np.linalg.norm(inverse), np.max(abs(triangle))
            ends[:, i] = state.equations.singular(np.array(sizes))
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

    size = None  # the norm of the residual, where that is not what the steps know

    def __init__(self, problem):
        self.problem = problem

    def apply(self, v, out):
        return self.problem.forward(v, out=out)

    def first(self):
        """The residual of 0, not to be written to."""
        return self.problem.b

    def residual(self, x):
        return self.problem.b - self.problem.forward(x)

    def norms(self, residual):
        return {"residual": residual}

    def singular(self, sizes):
        return sizes


class _NormalEquations:
    """``(A^H A + damp^2 I) x = A^H b``."""

    def __init__(self, problem):
        self.problem, self.size = problem, None

    def apply(self, v, out):
        w = self.problem.adjoint(self.problem.forward(v), out=out)
        return w + self.problem.damp**2 * v if self.problem.damp else w

    def first(self):
        return self.problem.first_normal_residual()[0]

    def residual(self, x):
        r = self.problem.b - self.problem.forward(x)
        self.size = self.problem.xp.sqrt(self.problem.vectors.sumsq(r))
        return self.problem.normal_residual(r, x)[0]

    def norms(self, residual):
        return {"normal": residual}

    def singular(self, sizes):
        return np.sqrt(sizes)
