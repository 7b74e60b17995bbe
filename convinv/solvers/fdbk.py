"""FDBK: all rows with a large residual in one step, without a pseudoinverse."""

from .._core.declarations import Products, Storage
from ._greedy import GreedyRows
from ._registry import solver
from ._surrogate import surrogate


@solver(
    "fdbk",
    needs_rows=True,
    damp=False,
    consistent_only=True,
    rate="gradient",
    attainable_rtol=1e-3,
    greedy=True,
    storage=Storage(m=4, n=2),
    products=Products(),
)
def fdbk(problem, monitor):
    """Fast deterministic block Kaczmarz.

    Chen and Huang (2022): the rows U are those of greedy block Kaczmarz, ``|r_i|^2 >=
    eps ||r||^2 ||a_i||^2`` with ``eps = (max_i (|r_i| / ||a_i||)^2 / ||r||^2 + 1 /
    ||A||_F^2) / 2``, for each item of a batch its own. With eta the residual on U and
    zero elsewhere, x is projected onto ``(eta^H A) x = eta^H b``. On consistent systems
    the error decreases in every iteration; on inconsistent ones the method ends when
    the residual no longer falls.
    """
    rows, xp, vectors = GreedyRows(problem), problem.xp, problem.vectors

    def select(r, squares):
        eta = xp.where(rows(r, squares), r, xp.zeros_like(r))
        return eta, vectors.sumsq(eta)

    return surrogate(problem, monitor, select)
