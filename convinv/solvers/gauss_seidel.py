"""Gauss-Seidel on the normal equations, which are never formed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._core.options import Relaxation
from ._iterate import iterate
from ._registry import solver
from ._row_actions import (
    ColumnActions,
    Order,
    check_order,
    residuals,
    sweep_order,
)
from ._stagnation import StagnationTest


@solver(
    "gauss-seidel",
    needs_rows=True,
    minimum_norm=False,
    rate="rows",
    storage=Storage(m=2, n=5, shared_n=4, counts_products=True),
    products=Products(besides="the sweep"),
    variants={"symmetric": {"symmetric": True}},
)
def gauss_seidel(
    problem,
    monitor,
    *,
    relaxation: Relaxation = 1.0,
    symmetric: bool = False,
    order: Order = "cyclic",
):
    r"""Gauss-Seidel on the normal equations.

    The column-action counterpart of `kaczmarz`, for all data: the least-squares
    functional decreases in every step. On a convolution, ``order="multicolor"`` is the
    fastest order.

    Parameters
    ----------
    relaxation : float
        Between 0 and 2. With 1 a step minimizes the functional over one unknown, with
        other values it is successive over-relaxation.
    symmetric : bool
        Whether each sweep also goes back again.
    order : {"cyclic", "random", "multicolor"}
        The order of the unknowns in a sweep: by number, a new permutation for every
        sweep (from `rng`), or, for convolutions, the channels of one input pixel after
        the other, where pixels that no output sees together take their steps at the
        same time, on several threads.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        No keys of its own.

    Raises
    ------
    ValueError
        If `order` is "multicolor" and the operator no convolution.

    Notes
    -----
    It is coordinate descent. A step with column :math:`a^j` is [1]_

    .. math::

        t = \mathrm{relaxation}\, \frac{(a^j)^H r - \mathrm{damp}^2 x_j}
        {\|a^j\|^2 + \mathrm{damp}^2}, \qquad
        x_j \leftarrow x_j + t, \qquad r \leftarrow r - t\, a^j ,

    and an iteration is a sweep over all columns.

    - *Cost:* a sweep has as many multiplications as two products, with `symmetric` as
      four. One product with A and one with :math:`A^H` follow it: r is computed anew,
      free of the rounding errors of many steps, and the stopping test needs both.
    - *Storage:* two vectors of length m and five of length n, beside b and x. A dense
      matrix is copied to sparse form.
    - *Convergence:* linear, whatever b is. The functional decreases in every step. The
      history holds the norm of the residual. An item whose normal residual falls by
      less than 1 % in 100 sweeps ends with the status STALLED.
    - *Singular systems:* x converges to a least-squares solution that depends on the
      order and is not the one of least norm.
    - *Damping:* the steps are those of :math:`[A; \mathrm{damp}\, I]`, as above.
    - *Departures from* [1]_: the residual is computed anew after each sweep.

    References
    ----------
    .. [1] Å. Björck and T. Elfving, "Accelerated projection methods for computing
       pseudoinverse solutions of systems of linear equations", BIT 19 (1979), 145-163.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> b = np.random.default_rng(0).random(op.output_shape)  # not in the range of op
    >>> result = solve(op, b, "gauss-seidel", order="multicolor", rtol=1e-8)
    >>> best = solve(op, b, "cgls", rtol=1e-10).x
    >>> result.success, bool(np.allclose(result.x, best, atol=1e-5))
    (True, True)
    """
    check_order(order, problem.op)
    columns = ColumnActions(problem, relaxation)
    following = sweep_order(columns, order, problem.shape[1], problem.rng)
    state = _State(problem.zeros(problem.shape[1]), columns, following, symmetric)
    state.r = copy(problem.b)
    state.s, normal = problem.first_normal_residual()
    state.stagnation = StagnationTest(problem, monitor, normal)
    iterate(problem, monitor, _step, state, on_host=True)
    return state.x, {}


@dataclass
class _State:
    x: Any
    columns: ColumnActions
    order: Callable  # gives the order of the next sweep
    symmetric: bool
    r: Any = None  # b - A x
    s: Any = None  # the normal residual A^H r - damp^2 x
    stagnation: Any = None


def _step(problem, monitor, state):
    order, active, x, r = state.order(), monitor.active, state.x, state.r
    state.columns.sweep(x, r, problem.origin, active, order)
    if state.symmetric:
        state.columns.sweep(x, r, problem.origin, active, order, reverse=True)
    state.r, state.s, residual, normal = residuals(problem, x, r, state.s)
    state.stagnation(normal)
    monitor.update(x, residual, normal)
