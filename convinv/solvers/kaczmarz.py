"""Kaczmarz: one row after the other."""

from .._core.declarations import Products, Storage
from .._core.options import Relaxation
from ._registry import solver
from ._row_actions import Order, RowActions, check_order, orders


@solver(
    "kaczmarz",
    needs_rows=True,
    consistent_only=True,
    start_with_damp=False,
    rate="rows",
    storage=Storage(m=4, n=3, shared_m=3, damped_m=2, counts_products=True),
    products=Products(besides="the sweep"),
    by_setting={
        ("order", "random"): {"limits": ()},
        ("symmetric", True): {
            "limits": (
                "damped over",
                "damped over, two channels",
                "damped 3-D",
                "damped strided",
                "damped groups",
                "damped torus",
            )
        },
    },
    variants={
        "symmetric": {"symmetric": True, "relaxation": 1.3},
        "random": {"order": "random"},
    },
    # in order, what is outside the range of A leaves at a rate of damp^2
    limits=("damped over", "damped 3-D", "damped torus"),
)
def kaczmarz(
    problem,
    monitor,
    *,
    relaxation: Relaxation = 1.0,
    symmetric: bool = False,
    order: Order = "cyclic",
):
    """Kaczmarz's method (ART).

    Kaczmarz (1937): ``x += relaxation (b_i - a_i x) / ||a_i||^2 a_i^H`` for one row a_i
    of A after the other, a projection onto its hyperplane where `relaxation`, between 0
    and 2, is 1. An iteration is a sweep over all rows, with as many multiplications as
    two products have, with `symmetric` also back again. The `order` is "cyclic",
    "random" (a new one for every sweep) or, for convolutions, "multicolour": the
    filters of one output pixel after the other, and pixels that share no sample at the
    same time, on several threads and in vectors: several times faster.

    On consistent systems it converges linearly to the solution of least norm. On others
    the sweeps end in a cycle near to a least-squares solution: the method ends when the
    residual no longer falls. With `damp` the rows are those of ``[A, damp I]``, a
    consistent system, and x converges to the damped solution; a starting point is of no
    use then. A dense matrix is copied to sparse form.
    """
    check_order(order, problem.op)
    rows = RowActions(problem, relaxation)
    following = orders(rows, order, problem.shape[0], problem.rng)

    def sweep():
        chosen = following()
        rows.sweep(monitor.active, chosen)
        if symmetric:
            rows.sweep(monitor.active, chosen, reverse=True)

    return rows.iterate(monitor, sweep)
