"""GBK: least squares on the rows with the largest residuals."""

from dataclasses import dataclass
from typing import Annotated, Any

from .._core.arrays import copy
from .._core.declarations import Products, Storage
from .._core.options import Range
from .._problem.items import divide
from ._greedy import GreedyRows
from ._iterate import iterate
from ._registry import solver
from ._stagnation import StagnationTest

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
    r"""Greedy block Kaczmarz.

    A method for consistent data that solves the equations with the largest residuals
    in each iteration, which takes many products. `fdbk` makes one step on the same rows
    with two products.

    Parameters
    ----------
    eta : float, optional
        The rows with a quotient :math:`|r_i|^2 / \|a_i\|^2` of at least eta times the
        largest one form the block. In (0, 1]; by default the threshold is that of
        `fdbk`.
    inner_rtol : float
        The inner method ends when the normal residual of the block's equations has
        fallen by this factor, or after 50 iterations. In (0, 1].

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        No keys of its own.

    Notes
    -----
    An iteration is [1]_

    .. math::

        U = \{ i : \frac{|r_i|^2}{\|a_i\|^2} \ge
        \mathrm{eta} \max_j \frac{|r_j|^2}{\|a_j\|^2} \}, \qquad
        x \leftarrow x + A_U^+ r_U , \qquad r \leftarrow b - A x .

    Each item of a batch has its own rows. The least-squares solution of the block's
    equations comes from CGLS.

    - *Cost:* one product with A and one with :math:`A^H` per iteration, and as many in
      every inner iteration. The norms of the rows are computed once, for a convolution
      from its kernel.
    - *Storage:* six vectors of length m and five of length n, beside b and x.
    - *Convergence:* on consistent data the squared error of x falls in every iteration,
      at least by the factor :math:`1 - \eta_k\, (\|A_U\|_F^2 /
      \sigma_{\max}(A_U)^2)\, \sigma_{\min}^2 / \|A\|_F^2`, with the threshold of the
      iteration in units of the largest quotient and the smallest nonzero singular value
      of A. The history holds the norm of the residual.
    - *Inconsistent systems:* x keeps moving about the solution. The method ends with
      the status STALLED when the residual falls by less than 1 % in 100 iterations.
    - *Singular systems:* x converges to the solution of least norm, or to the one
      nearest to x0.
    - *Damping:* it takes no `damp`.
    - *Departures from* [1]_: CGLS takes the place of the pseudoinverse. It ends where a
      gradient is nothing but rounding, so that x does not leave the row space. The
      default threshold is that of greedy randomized Kaczmarz [2]_.

    References
    ----------
    .. [1] Y.-Q. Niu and B. Zheng, "A greedy block Kaczmarz algorithm for solving
       large-scale linear systems", Applied Mathematics Letters 104 (2020), 106294.
    .. [2] Z.-Z. Bai and W.-T. Wu, "On greedy randomized Kaczmarz method for solving
       large sparse linear systems", SIAM Journal on Scientific Computing 40 (2018),
       A592-A606.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "gbk", rtol=1e-6, eta=0.1)
    >>> result.success, bool(np.allclose(result.x, x, atol=1e-4))
    (True, True)
    """
    rows = GreedyRows(problem, eta)
    state = _State(problem.zeros(problem.shape[1]), copy(problem.b), rows, inner_rtol)
    state.squares, state.one = problem.vectors.sumsq(state.r), problem.fill(1.0)
    state.stagnation = StagnationTest(problem, monitor)
    # the inner method looks at its own stopping test
    iterate(problem, monitor, _step, state, on_host=True)
    return state.x, state.stagnation.notes()


@dataclass
class _State:
    x: Any
    r: Any  # b - A x
    rows: GreedyRows
    inner_rtol: float
    squares: Any = None  # ||r||^2
    one: Any = None
    stagnation: Any = None


def _step(problem, monitor, state):
    xp, vectors = problem.xp, problem.vectors
    mask = state.rows(state.r, state.squares) & monitor.active[:, None]
    rest = xp.where(mask, state.r, xp.zeros_like(state.r))
    size = state.rows.squares_of(mask)
    d = _block(problem, rest, mask, size, state.inner_rtol, monitor.check_every)
    state.x, _ = vectors.axpy(state.one, d, state.x)
    state.r, state.squares = vectors.axpy(-state.one, problem.forward(d), state.r)
    residual = xp.sqrt(state.squares)
    state.stagnation(residual)
    monitor.update(state.x, residual)


def _block(problem, r, mask, size, rtol, check_every):
    """The least-norm d that minimizes ``||A_U d - r_U||``, by CGLS; overwrites r.

    The paper takes the pseudoinverse of ``A_U``, which would have to be formed. `size`
    is ``||A_U||_F^2``. A gradient that is only rounding, as where ``r_U`` is orthogonal
    to the range of ``A_U``, ends the item: such steps leave the row space.
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
