"""Circulant embedding: an inverse by FFT on a torus, and CG on the rows added to it."""

from .._core.declarations import Products, Storage
from .._core.errors import Singular
from .._inverse.embedding import Embedding, added_filters, is_embedded, torus_of
from .._problem.items import BREAKDOWN, CONVERGED, divide
from .._problem.problem import Unsuitable
from ._iterate import iterate
from ._registry import solver

SINGLE = 1e-10  # a larger rounding is that of single precision
VECTORS = 7  # as long as the data of the added rows, with those of an FFT


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
    minimum_norm=False,
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
    and 1. Without a preconditioner they have the iterates of `cgls` with the circulant
    preconditioner [1]_, for a third of its transforms. Around a box of data the rows of
    E fill a slab for each axis, in which a transform along the other axes leaves small
    matrices to invert: the sum of these inverses is the preconditioner, where they take
    no more memory than the matrices per frequency.

    - *Cost:* an FFT and its inverse of each channel of the data with added rows.
    - *Storage:* six vectors on the torus, four matrices per frequency and those of the
      slabs.
    - *Convergence:* one or two iterations per digit around a box of data, even with a
      weak penalty. With masks or strides as `cgls` with the circulant preconditioner:
      fast where few rows are added and `damp` or the penalty is not small. The history
      holds the norm of the residual; with `damp` a bound of that of the normal
      residual, which is :math:`S_E^H` times the residual of w.
    - *Inconsistent systems:* x is a least-squares solution, not that of least norm
      where there are several.
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
    x = inverse.solution(gradient)
    if inverse.added is None:
        r = problem.b - problem.forward(x)
        _, squares = problem.normal_residual(r, x)
        norms = problem.vectors.sumsq(r), squares
        monitor.update(x, *map(problem.xp.sqrt, norms))
        return x, notes
    state = _State(problem, inverse, x, gradient)
    monitor.end(state.squares == 0, CONVERGED)
    iterate(problem, monitor, _step, state, on_host=True)
    return state.solution(), notes


class _State:
    """What an iteration leaves to the next.

    Attributes
    ----------
    w : array
        Data of the added rows.
    r, p : array
        The residual of their equation, and the search direction.
    gamma, squares : array, shape (B,)
        ``r^H z`` with the preconditioned residual z, and ``||r||^2``.
    left : array, shape (B,)
        ``||b - A x||^2 + ||r||^2``, for problems without damp.
    """

    def __init__(self, problem, inverse, x, gradient):
        self.inverse, self.gradient = inverse, gradient
        self.r = inverse.start(gradient)
        self.w, self.p = problem.xp.zeros_like(self.r), inverse.precondition(
            self.r.copy()
        )
        self.gamma = problem.real_dot(self.r, self.p)
        self.squares = problem.vectors.sumsq(self.r)
        seen = problem.real_dot(gradient, x)
        self.left = problem.vectors.sumsq(problem.b) - seen
        self.one = problem.fill(1.0)
        self.is_single = problem.xp.finfo(problem.b.dtype).eps > SINGLE

    def solution(self):
        """The iterate."""
        return self.inverse.solution(self.gradient, self.w)


def _step(problem, monitor, state):
    xp, vectors, inverse = problem.xp, problem.vectors, state.inverse
    q = inverse.project(state.p)
    delta = problem.real_dot(state.p, q)
    monitor.end(~(delta > 0), BREAKDOWN)
    alpha = divide(xp, monitor.active, state.gamma, delta)
    state.left = state.left - alpha * state.gamma
    state.w, _ = vectors.axpy(alpha, state.p, state.w)
    state.r, squares = vectors.axpy(-alpha, q, state.r)
    z = inverse.precondition(state.r)
    gamma = problem.real_dot(state.r, z)
    beta = divide(xp, monitor.active, gamma, state.gamma)
    state.gamma, state.squares = gamma, squares
    state.p, _ = vectors.axpby(state.one, z, beta, state.p)
    normal = inverse.largest * xp.sqrt(squares)
    x = None if monitor.report is None else state.solution()
    residual = None
    if not problem.damp:
        residual = xp.sqrt(xp.maximum(state.left - squares, 0 * squares))
        near = monitor.active & (normal <= monitor.goals.normal)
        if state.is_single and bool(xp.any(near)):  # the difference has few digits
            r = problem.b - problem.forward(state.solution())
            residual = xp.sqrt(vectors.sumsq(r))
    monitor.update(x, residual, normal)
