"""RSHEK: RSHK for the consistent part of b, which it finds on the way."""

from dataclasses import dataclass
from typing import Any

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._problem.items import CONVERGED, divide
from ._iterate import iterate
from ._registry import solver


@solver(
    "rshek",
    rate="gradient",
    attainable_rtol=1e-3,
    storage=Storage(m=4, n=5, augmented=True, captured=True),
    products=Products(2, 2),
    limits=("groups",),
)
def rshek(problem, monitor):
    r"""Residual-based surrogate hyperplane extended Kaczmarz.

    The form of `rshk` for all data: it finds the least-squares solution at twice the
    cost. It needs nothing of the operator but its products. `cgls` needs fewer
    iterations.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        No keys of its own.

    Notes
    -----
    A step of `rshk` on :math:`A^H z = 0`, from :math:`z = b`, is followed by one on
    :math:`A x = b - z` [1]_:

    .. math::

        w &= A^H z, \qquad z \leftarrow z - \frac{\|w\|^2}{\|A w\|^2}\, A w, \\
        r &= b - z - A x, \qquad y = A^H r, \qquad
        x \leftarrow x + \frac{\|r\|^2}{\|y\|^2}\, y .

    z tends to the part of b outside the range of A. Both systems are consistent, so
    that the steps get short.

    - *Cost:* two products with A and two with :math:`A^H` per iteration.
    - *Storage:* four vectors of length m and five of length n, beside b and x.
    - *Convergence:* linear, each of the two systems at the rate of `rshk`. The history
      holds the norm of :math:`b - A x`.
    - *Inconsistent or singular systems:* x converges to the least-squares solution of
      least norm, or to the one nearest to x0.
    - *Damping:* it runs on :math:`[A; \mathrm{damp}\, I]`, which stores n more numbers
      in every vector of length m.
    - *Departures from* [1]_: the method was built from the idea of the paper, without
      its text. The products :math:`A^H z`, :math:`A^H r` and :math:`b - A x` are
      updated in each step and not computed anew.

    References
    ----------
    .. [1] Zhang, Chen and Jiang, on the residual-based surrogate hyperplane extended
       Kaczmarz method, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> b = np.random.default_rng(0).random(op.output_shape)  # not in the range of op
    >>> result = solve(op, b, "rshek", rtol=1e-4)
    >>> best = solve(op, b, "cgls", rtol=1e-10).x
    >>> result.success, bool(np.allclose(result.x, best, atol=1e-2))
    (True, True)
    """
    problem = problem.augmented()
    state = _State(problem.zeros(problem.shape[1]), copy(problem.b))
    state.r, state.one = problem.xp.zeros_like(state.e), problem.fill(1.0)
    state.w, state.size = problem.adjoint(state.e, sumsq=True)
    state.y = problem.xp.zeros_like(state.w)
    monitor.end(state.size == 0, CONVERGED)
    iterate(problem, monitor, _step, state)
    return state.x, {}


@dataclass
class _State:
    """z is not kept: ``b - A x - r`` is what it is."""

    x: Any
    e: Any  # b - A x
    r: Any = None  # b - z - A x
    w: Any = None  # A^H z
    size: Any = None  # ||w||^2
    y: Any = None  # A^H r
    v: Any = None  # A w, then A y
    u: Any = None  # A^H v
    one: Any = None


def _step(problem, monitor, state):
    """The halves of the step update w, r and y, which saves computing them anew."""
    xp, vectors = problem.xp, problem.vectors
    state.v, curvature = problem.forward(state.w, sumsq=True, out=state.v)
    state.u = problem.adjoint(state.v, out=state.u)
    alpha = divide(xp, monitor.active, state.size, curvature)
    state.w, state.size = vectors.axpy(-alpha, state.u, state.w)
    state.y, normal = vectors.axpy(alpha, state.u, state.y)
    state.r, squares = vectors.axpy(alpha, state.v, state.r)
    alpha = divide(xp, monitor.active, squares, normal)
    state.x, _ = vectors.axpy(alpha, state.y, state.x)
    state.v = problem.forward(state.y, out=state.v)
    state.u = problem.adjoint(state.v, out=state.u)
    state.r, _ = vectors.axpy(-alpha, state.v, state.r)
    state.e, residual = vectors.axpy(-alpha, state.v, state.e)
    state.y, _ = vectors.axpy(-alpha, state.u, state.y)
    _, normal = vectors.axpby(state.one, state.w, state.one, copy(state.y))  # A^H e
    monitor.update(state.x, xp.sqrt(residual), xp.sqrt(normal))
