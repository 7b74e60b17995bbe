"""RK: Kaczmarz with rows drawn at random."""

from .._core.declarations import Products, Storage
from .._core.options import Relaxation
from ._registry import solver
from ._row_actions import Draws, RowActions


@solver(
    "rk",
    needs_rows=True,
    consistent_only=True,
    start_with_damp=False,
    rate="rows",
    storage=Storage(m=7, n=3, shared_m=6, damped_m=2, counts_products=True),
    products=Products(besides="the sweep"),
    limits=("groups",),  # from afar, more than 3000 sweeps
)
def rk(problem, monitor, *, relaxation: Relaxation = 1.0):
    """Randomized Kaczmarz.

    Strohmer and Vershynin (2009): row actions as in `kaczmarz`, with row i drawn with
    probability ``||a_i||^2 / ||A||_F^2``. An iteration is as many draws as there are
    rows, with the multiplications of two products, but much slower than those as it
    reads at random; all items of a batch have the same draws.
    The expected squared error falls in every draw by ``1 - s^2 / ||A||_F^2``, where s
    is the least singular value that is not zero, whatever the order of the rows is.

    On consistent systems it converges to the solution of least norm. On others x keeps
    moving about the solution at a distance in proportion to what is inconsistent (the
    noise horizon): the method ends when the residual no longer falls. With `damp` the
    rows are those of ``[A, damp I]``, a consistent system, and x converges to the
    damped solution; a starting point is of no use then. A dense matrix is copied to
    sparse form.
    """
    rows = RowActions(problem, relaxation)
    draw = Draws(problem.rng, (rows.norms + problem.damp**2) * (rows.norms > 0))

    def sweep():
        rows.sweep(monitor.active, rows.put(draw(problem.shape[0])))

    return rows.iterate(monitor, sweep)
