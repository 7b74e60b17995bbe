"""Circulant embedding: an inverse by FFT on a torus, and CG on the rows added to it."""

from dataclasses import dataclass
from typing import Any

from .._core.declarations import Products, Storage
from .._core.errors import Singular
from .._inverse.embedding import Embedding, added_filters, is_embedded, torus_of
from .._problem.problem import BREAKDOWN, CONVERGED, Unsuitable, divide
from ._iterate import iterate
from ._registry import solver

VECTORS = 6  # as long as the data of the added rows, with those of an FFT


def _numbers(use):
    """Numbers of the vectors on the torus, and of a solution."""
    torus = 1
    for n in torus_of(use.op):
        torus *= n
    image = use.op.input_shape[0] * torus
    return VECTORS * added_filters(use.op) * torus + 3 * image


@solver(
    "embedding",
    convolution_only=True,
    takes_stacks=True,
    takes_weights=True,
    takes=is_embedded,
    storage=Storage(
        n=3,
        counts_products=True,
        set_up="four matrices per frequency",
        numbers=_numbers,
    ),
    products=Products(0, 0, besides="an FFT and its inverse on the torus"),
    limits=("rank-deficient", "both"),  # N has no inverse
)
def embedding(problem, monitor):
    r"""Circulant embedding: conjugate gradients on the rows that a torus adds.

    Take it for blurs without padding, whose scene goes on beyond the image, with a
    penalty on differences: an iteration is an FFT and its inverse, whatever the size of
    the kernel. It also takes masks of the data. The set-up is kept with the operator.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        ``torus``, the samples of the torus on every spatial axis.

    Raises
    ------
    ValueError
        If an output of a convolution reads samples that are padded, other than around a
        ring; differences at the border, which vanish, are taken.

    Notes
    -----
    A convolution without padding, of any stride, has some of the rows of one on a
    torus; a mask takes more of them away. Let S be all convolutions on the torus, E the
    rows that A does not have, and :math:`N = S^H S + \mathrm{damp}^2 I`, which the FFT
    turns into one small matrix per frequency. Data w in E with which the solution
    agrees change nothing, so that

    .. math::

        (I - S_E N^{-1} S_E^H)\, w &= S_E N^{-1} A^H b , \\
        x &= N^{-1} (A^H b + S_E^H w) .

    Conjugate gradients solve the first equation, whose matrix has eigenvalues between 0
    and 1. They have the iterates of `cgls` with the circulant preconditioner, for a
    third of its transforms.

    - *Cost:* an FFT and its inverse of each channel of the data with added rows.
    - *Storage:* five vectors on the torus, and four matrices per frequency.
    - *Convergence:* as `cgls` with the circulant preconditioner: fast where few rows
      are added and `damp` or the penalty is not small. The history holds a bound of the
      norm of the normal residual, which is :math:`S_E^H` times the residual of w.
    - *Inconsistent systems:* x is the least-squares solution.
    - *Singular systems:* where N is singular at a frequency of the torus the solve ends
      with the status BREAKDOWN.
    - *Damping:* `damp` is in N, and x0 in the right-hand side.

    References
    ----------
    .. [1] R. H. Chan and M. K. Ng, "Conjugate gradient methods for Toeplitz systems",
       SIAM Review 38 (1996), 427-482, doi:10.1137/S0036144594276474.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> blur = gallery.gaussian_kernel(9, 1.5)[None, None]
    >>> op = ConvLinearOperator(blur, (1, 48, 48))
    >>> x = gallery.image("camera", 48)
    >>> result = solve(op, op.forward(x), "embedding", damp=0.01)
    >>> result.success, result.extra["torus"]
    (True, (48, 48))
    """
    op = problem.op
    if not is_embedded(op):
        raise ValueError(
            "method 'embedding' needs convolutions without padding or periodic ones, "
            "with weights of 0 and 1 if any; use method='auto'"
        )
    key = ("embedding", problem.damp, problem.b.dtype)
    try:
        inverse = op.cached(key, lambda: Embedding(op, problem.damp, problem.b.dtype))
    except Singular as error:
        raise Unsuitable(str(error)) from None
    ndim = op.weighted_convolutions[0][0].geometry.ndim
    notes = {"torus": inverse.torus[3 - ndim :]}
    gradient, _ = problem.first_normal_residual()
    if inverse.added is None:
        monitor.end(monitor.active, CONVERGED)
        return inverse.solution(gradient, None), notes
    r = inverse.start(gradient)
    gamma = problem.vectors.sumsq(r)
    monitor.end(gamma == 0, CONVERGED)
    state = _State(problem.xp.zeros_like(r), r, r.copy(), gamma, inverse, gradient)
    state.one = problem.fill(1.0)
    iterate(problem, monitor, _step, state, on_host=True)
    return inverse.solution(gradient, state.w), notes


@dataclass
class _State:
    w: Any  # data of the added rows
    r: Any  # the residual of their equation
    p: Any  # the search direction
    gamma: Any  # ||r||^2
    inverse: Any
    gradient: Any
    one: Any = None


def _step(problem, monitor, state):
    xp, vectors, inverse = problem.xp, problem.vectors, state.inverse
    q = inverse.project(state.p)
    delta = problem.real_dot(state.p, q)
    monitor.end(~(delta > 0), BREAKDOWN)
    alpha = divide(xp, monitor.active, state.gamma, delta)
    state.w, _ = vectors.axpy(alpha, state.p, state.w)
    state.r, squares = vectors.axpy(-alpha, q, state.r)
    beta = divide(xp, monitor.active, squares, state.gamma)
    state.gamma = squares
    state.p, _ = vectors.axpby(state.one, state.r, beta, state.p)
    x = None
    if monitor.report is not None:
        x = inverse.solution(state.gradient, state.w)
    monitor.update(x, normal=inverse.largest * xp.sqrt(squares))
