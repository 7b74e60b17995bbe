"""ADBK: all rows with more than the mean residual in one step, with momentum."""

import numbers

from ._registry import solver
from ._surrogate import surrogate


@solver(
    "adbk",
    damp=False,
    vectors="4 m + 3 n",
    products="1 forward, 1 adjoint",
)
def adbk(problem, monitor, *, momentum=0.0):
    """Averaging deterministic block Kaczmarz, with momentum mADBK.

    Tan, Guo, Deng and Chen (2025): the rows U are those with ``|r_i|^2 >= ||r||^2 /
    m``, for each item of a batch its own; with eta the residual on U and zero
    elsewhere, x is projected onto ``(eta^H A) x = eta^H b``, and `momentum`, in [0, 1),
    times the last change of x is added (the paper takes 0.5). It needs nothing of the
    operator but its products. On consistent systems the error decreases in every
    iteration without momentum; on inconsistent ones the method ends when the residual
    no longer falls.
    """
    if not isinstance(momentum, numbers.Real) or not 0 <= momentum < 1:
        raise ValueError(f"momentum must be a number in [0, 1), got {momentum!r}")
    xp, vectors = problem.xp, problem.vectors
    m = problem.shape[0]

    def select(r, squares):
        size = xp.abs(r)
        mean = xp.astype(xp.sqrt(squares / m), size.dtype)
        least = xp.minimum(mean, xp.max(size, axis=1))  # rounding may put it above
        eta = xp.where(size >= least[:, None], r, xp.zeros_like(r))
        return eta, vectors.sumsq(eta)

    return surrogate(problem, monitor, select, momentum=float(momentum))
