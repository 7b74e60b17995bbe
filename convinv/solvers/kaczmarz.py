"""Kaczmarz: one row after the other."""

from ._registry import solver
from ._row_actions import RowActions, check_order, check_relaxation, orders


@solver(
    "kaczmarz",
    needs_rows=True,
    vectors="4 m + 3 n",
    products="1 forward, 1 adjoint, beside the sweep",
)
def kaczmarz(problem, monitor, *, relaxation=1.0, symmetric=False, order="cyclic"):
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
    check_relaxation(relaxation)
    check_order(order, problem.op)
    rows = RowActions(problem, relaxation)
    following = orders(rows, order, problem.shape[0], problem.rng)

    def sweep():
        chosen = following()
        rows.sweep(monitor.active, chosen)
        if symmetric:
            rows.sweep(monitor.active, chosen, reverse=True)

    return rows.iterate(monitor, sweep)
