"""GBK: least squares on the rows with the largest residuals."""

from typing import Annotated

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._core.options import Range
from .._problem.problem import divide
from ._greedy import GreedyRows
from ._registry import solver
from ._surrogate import Horizon

Share = Annotated[float, Range(0, 1, open_least=True)]
INNER = 50  # iterations of the inner method, at most
# Rounding errors of ||A_U|| ||r_U|| below which a gradient, and of ||A_U|| ||p|| below
# which a product, is nothing but rounding: its direction may lie in the null space.
FLOOR = 16


@solver(
    "gbk",
    needs_rows=True,
    damp=False,
    consistent_only=True,
    rate="gradient",
    attainable_rtol=1e-3,
    greedy=True,
    storage=Storage(m=8, n=6),
    products=Products(besides="as many in every inner iteration"),
)
def gbk(problem, monitor, *, eta: Share | None = None, inner_rtol: Share = 1e-6):
    """Greedy block Kaczmarz.

    Niu and Zheng (2020): ``x += A_U^+ r_U`` with the rows U of ``|r_i|^2 / ||a_i||^2 >=
    eta max_j |r_j|^2 / ||a_j||^2``, for each item of a batch its own; by default the
    threshold is that of `fdbk`. The block is solved by CGLS until the normal residual
    of its rows has fallen by `inner_rtol`, but in at most 50 iterations. On consistent
    systems the error decreases in every iteration; on inconsistent ones the method ends
    when the residual no longer falls.
    """
    xp, vectors = problem.xp, problem.vectors
    rows = GreedyRows(problem, eta)
    x, r = problem.zeros(problem.shape[1]), copy(problem.b)
    squares = vectors.sumsq(r)
    horizon, one = Horizon(problem, monitor), problem.fill(1.0)
    stop = not monitor.any_active()
    while not stop:
        mask = rows(r, squares) & monitor.active[:, None]
        rest = xp.where(mask, r, xp.zeros_like(r))
        size = rows.squares_of(mask)
        d = _block(problem, rest, mask, size, inner_rtol, monitor.check_every)
        x, _ = vectors.axpy(one, d, x)
        r, squares = vectors.axpy(-one, problem.forward(d), r)
        residual = xp.sqrt(squares)
        horizon(residual)
        stop = monitor.update(x, residual)
    return x, horizon.notes()


def _block(problem, r, mask, size, rtol, check_every):
    """The least-norm d that minimises ``||A_U d - r_U||``, by CGLS; overwrites r.

    `size` is ``||A_U||_F^2``. A gradient that is only rounding, as where ``r_U`` is
    orthogonal to the range of ``A_U``, ends the item: such steps leave the row space.
    """
    xp, vectors = problem.xp, problem.vectors
    nothing = xp.zeros_like(r)
    floor = (FLOOR * float(xp.finfo(r.dtype).eps)) ** 2 * size
    d = problem.zeros(problem.shape[1])
    p, gamma = problem.adjoint(r, sumsq=True)
    one, length, least = problem.fill(1.0), gamma, rtol**2 * gamma
    active = gamma > floor * vectors.sumsq(r)
    for step in range(1, INNER + 1):
        q = xp.where(mask, problem.forward(p), nothing)
        squares = vectors.sumsq(q)
        active = active & (squares > floor * length)
        alpha = divide(xp, active, gamma, squares)
        d, _ = vectors.axpy(alpha, p, d)
        r, left = vectors.axpy(-alpha, q, r)
        s, normal = problem.adjoint(r, sumsq=True)
        previous, gamma = gamma, normal
        active = active & (gamma > least) & (gamma > floor * left)
        if step % check_every == 0 and not bool(xp.any(active)):
            break
        p, length = vectors.axpby(one, s, divide(xp, active, gamma, previous), p)
    return d
