"""REK: randomized Kaczmarz for the consistent part of b, which it finds on the way."""

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from ._registry import solver
from ._row_actions import ColumnActions, Draws, RowActions


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
    """Randomized extended Kaczmarz.

    Zouzias and Freris (2013): column actions ``z -= (a^j)^H z / ||a^j||^2 a^j`` on z,
    at first b, so that z tends to the part of b outside the range of A, and the row
    actions of `rk` on ``A x = b - z``. Columns and rows are drawn with probabilities in
    proportion to their squared norms. An iteration is as many column actions as there
    are rows, followed by as many row actions (the paper has them alternate), with the
    multiplications of four products; all items of a batch have the same draws.

    It converges linearly to the least-squares solution of least norm, whatever b is.
    It takes no `damp`, with which the system of `kaczmarz` and `rk` is consistent. A
    dense matrix is copied to sparse form.
    """
    rows, columns = RowActions(problem), ColumnActions(problem)
    draw_row = Draws(problem.rng, rows.norms)
    draw_column = Draws(problem.rng, columns.norms)
    m, n = problem.shape
    z, unused = copy(problem.b), problem.zeros(n)
    one, rows.b = problem.fill(1.0), copy(problem.b)
    stop = not monitor.any_active()
    while not stop:
        active = monitor.active
        columns.sweep(unused, z, None, active, rows.put(draw_column(m)))
        rows.b[...] = problem.b
        problem.vectors.axpy(-one, z, rows.b)
        rows.sweep(active, rows.put(draw_row(m)))
        d, residual, normal = rows.measure()
        stop = monitor.update(d, residual, normal)
    return rows.x, {}
