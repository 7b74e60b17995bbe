"""ADBK: all rows with more than the mean residual in one step, with momentum."""

from .._core.declarations import Products, Storage
from .._core.options import Fraction
from ._registry import solver
from ._surrogate import surrogate


@solver(
    "adbk",
    damp=False,
    consistent_only=True,
    rate="gradient",
    attainable_rtol=1e-3,
    greedy=True,
    storage=Storage(m=4, n=3),
    products=Products(),
)
def adbk(problem, monitor, *, momentum: Fraction = 0.0):
    """Averaging deterministic block Kaczmarz, with momentum mADBK.

    Tan, Guo, Deng and Chen (2025): the rows U are those with ``|r_i|^2 >= ||r||^2 /
    m``, for each item of a batch its own; with eta the residual on U and zero
    elsewhere, x is projected onto ``(eta^H A) x = eta^H b``, and `momentum`, in [0, 1),
    times the last change of x is added (the paper takes 0.5). It needs nothing of the
    operator but its products. On consistent systems the error decreases in every
    iteration without momentum; on inconsistent ones the method ends when the residual
    no longer falls.
    """
    xp, vectors = problem.xp, problem.vectors
    m = problem.shape[0]

    def select(r, squares):
        size = xp.abs(r)
        mean = xp.astype(xp.sqrt(squares / m), size.dtype)
        least = xp.minimum(mean, xp.max(size, axis=1))  # rounding may put it above
        eta = xp.where(size >= least[:, None], r, xp.zeros_like(r))
        return eta, vectors.sumsq(eta)

    return surrogate(problem, monitor, select, momentum=float(momentum))
