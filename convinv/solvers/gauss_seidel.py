"""Gauss-Seidel on the normal equations, which are never formed."""

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._core.options import Relaxation
from ._registry import solver
from ._row_actions import ColumnActions, Order, check_order, orders
from ._surrogate import Horizon


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
    """Gauss-Seidel on the normal equations.

    Coordinate descent (Bjorck and Elfving 1979): one unknown after the other is set to
    where the functional is least, ``x_j += relaxation (a^j)^H r / ||a^j||^2`` and ``r
    -= t a^j`` for column a^j of A and the change t, with relaxation 1; between 0 and 2
    it is successive over-relaxation. An iteration is a sweep over all columns, as many
    multiplications as in two products, with `symmetric` also back again. The `order` is
    "cyclic", "random" (a new one for every sweep) or, for convolutions, "multicolour":
    the channels of one input pixel after the other, and pixels that no output sees
    together at the same time, on several threads.

    The functional decreases in every step, and x converges to a least-squares solution,
    whatever b is: if there are several, to one that depends on the order and is not of
    least norm. A dense matrix is copied to sparse form.
    """
    check_order(order, problem.op)
    columns = ColumnActions(problem, relaxation)
    following = orders(columns, order, problem.shape[1], problem.rng)
    x, r, one = problem.zeros(problem.shape[1]), copy(problem.b), problem.fill(1.0)
    s, normal = problem.first_normal_residual()
    horizon = Horizon(problem, monitor, normal)
    stop = not monitor.any_active()
    while not stop:
        chosen, active = following(), monitor.active
        columns.sweep(x, r, problem.origin, active, chosen)
        if symmetric:
            columns.sweep(x, r, problem.origin, active, chosen, reverse=True)
        r = problem.forward(x, out=r)  # free of the rounding errors of many steps
        r, squares = problem.vectors.axpby(one, problem.b, -one, r)
        s, normal = problem.normal_residual(r, x, out=s)
        normal = problem.xp.sqrt(normal)
        horizon(normal)
        stop = monitor.update(x, problem.xp.sqrt(squares), normal)
    return x, {}
