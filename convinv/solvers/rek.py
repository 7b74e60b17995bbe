"""REK: randomized Kaczmarz for the consistent part of b, which it finds on the way."""

from dataclasses import dataclass
from typing import Any

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from ._iterate import iterate
from ._registry import solver
from ._row_actions import ColumnActions, RowActions, WeightedSampler, residuals


@solver(
    "rek",
    needs_rows=True,
    damp=False,
    rate="rows",
    storage=Storage(m=9, n=6, shared_m=6, shared_n=3, counts_products=True),
    products=Products(besides="the sweeps"),
    limits=("groups",),  # from afar, more than 3000 sweeps
)
def rek(problem, monitor):
    r"""Randomized extended Kaczmarz.

    The form of `rk` for all data: it finds the least-squares solution at twice the
    cost. `gauss-seidel` and `cgls` are faster where there is one solution only.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        No keys of its own.

    Notes
    -----
    Column actions on z, at first b, and row actions on :math:`A x = b - z` are [1]_

    .. math::

        z \leftarrow z - \frac{(a^j)^H z}{\|a^j\|^2}\, a^j , \qquad
        x \leftarrow x + \frac{b_i - z_i - a_i x}{\|a_i\|^2}\, a_i^H ,

    with columns :math:`a^j` and rows :math:`a_i` drawn with probabilities in proportion
    to their squared norms. z tends to the part of b outside the range of A.

    An iteration is as many column actions as there are rows, followed by as many row
    actions. All items of a batch have the same draws, which come from `rng`.

    - *Cost:* an iteration has as many multiplications as four products, but it is much
      slower than those, as it reads at random. One product with A and one with
      :math:`A^H` follow it for the stopping test.
    - *Storage:* nine vectors of length m, with the draws, and six of length n, beside b
      and x. A dense matrix is copied to sparse form.
    - *Convergence:* linear, whatever b is: in T steps of both kinds the expected
      squared error of x falls by :math:`(1 - \sigma_{\min}^2 / \|A\|_F^2)^{T/2}`, up to
      a factor, with the smallest nonzero singular value of A. The history holds the
      norm of the residual.
    - *Inconsistent or singular systems:* x converges to the least-squares solution of
      least norm, or to the one nearest to x0.
    - *Damping:* it takes no `damp`, with which the system of `kaczmarz` and `rk` is
      consistent.
    - *Departures from* [1]_: in the paper the two kinds of steps alternate. The
      stopping tests are those of `convinv.solve`.

    References
    ----------
    .. [1] A. Zouzias and N. M. Freris, "Randomized extended Kaczmarz for solving least
       squares", SIAM Journal on Matrix Analysis and Applications 34 (2013), 773-793,
       doi:10.1137/120889897.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> b = np.random.default_rng(0).random(op.output_shape)  # not in the range of op
    >>> result = solve(op, b, "rek", rtol=1e-4, rng=0)
    >>> best = solve(op, b, "cgls", rtol=1e-10).x
    >>> result.success, bool(np.allclose(result.x, best, atol=1e-2))
    (True, True)
    """
    rows, columns = RowActions(problem), ColumnActions(problem)
    state = _State(
        x=problem.zeros(problem.shape[1]),
        z=copy(problem.b),
        b=copy(problem.b),
        unused=problem.zeros(problem.shape[1]),
        rows=rows,
        columns=columns,
        draw_row=WeightedSampler(problem.rng, rows.norms),
        draw_column=WeightedSampler(problem.rng, columns.norms),
    )
    iterate(problem, monitor, _step, state, on_host=True)
    return state.x, {}


@dataclass
class _State:
    x: Any
    z: Any  # tends to the part of b outside the range of A
    b: Any  # b - z
    unused: Any  # the solution that column actions find: A times it is b - z
    rows: RowActions
    columns: ColumnActions
    draw_row: WeightedSampler
    draw_column: WeightedSampler
    r: Any = None  # the residual of x
    s: Any = None  # its normal residual


def _step(problem, monitor, state):
    """A sweep of column actions, then one of row actions; the paper alternates them."""
    m, active, put = problem.shape[0], monitor.active, state.rows.put
    state.columns.sweep(state.unused, state.z, None, active, put(state.draw_column(m)))
    state.b[...] = problem.b
    problem.vectors.axpy(problem.fill(-1.0), state.z, state.b)
    state.rows.sweep(state.x, state.b, None, active, put(state.draw_row(m)))
    state.r, state.s, residual, normal = residuals(problem, state.x, state.r, state.s)
    monitor.update(state.x, residual, normal)
