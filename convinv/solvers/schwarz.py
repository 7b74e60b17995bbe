"""The exact inverse by FFT and corrections along the borders."""

from .._core.declarations import Products, Storage
from .._core.errors import Singular
from .._core.options import Accuracy
from .._inverse.accuracy import FINEST
from .._inverse.border_correction import BorderCorrectedCirculant, check_depth
from .._inverse.gram import is_banded
from .._inverse.gram_inverse import condition_notes, gram_inverse
from .._inverse.storage import application_numbers
from .._planning.ways import accuracy_of
from .._problem.problem import Unsuitable
from ._registry import solver


@solver(
    "schwarz",
    convolution_only=True,
    takes_adjoints=True,
    takes_stacks=True,
    takes=is_banded,
    rate="exact",
    applies_inverse=True,
    condition=True,
    storage=Storage(
        gram=4,
        counts_products=True,
        set_up="the inverses",
        numbers=lambda use: application_numbers(use, 1),
    ),
    products=Products(),
    limits=("rank-deficient", "both"),  # N has no inverse
)
def schwarz(problem, monitor, *, depth=None, accuracy: Accuracy | None = None):
    r"""Iterative refinement with an inverse by FFT, corrected along the borders.

    The exact inverse of images that are too large for `direct`; a few iterations are
    enough as a rule. The set-up is kept with the operator for the next solve. Where the
    inverse decays so slowly that iterations stall, use the same as a preconditioner:
    ``solve(op, b, "cgls", preconditioner="schwarz")``.

    Parameters
    ----------
    depth : int, optional
        Cells that the bands along the borders are deep, at least 1, by default as many
        as `accuracy` needs.
    accuracy : float, optional
        What is left of the inverse of N where the bands end, and about what an
        application leaves of the error, between 0 and 1. By default the one from 1e-2
        to 3e-6 with which set-up and iterations together cost least for the batch and
        the tolerance; 3e-6 where `depth` is given.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        ``depth``, the depth of the bands on every spatial axis; ``nbytes``, the size of
        the set-up; ``rcond``, an upper estimate of the reciprocal condition number of
        N; ``smallest_singular_value``, an estimate of the smallest singular value of A
        (of :math:`[A; \mathrm{damp}\, I]` with `damp`).

    Raises
    ------
    ValueError
        If the layer wraps around the image (periodic boundary with padding), or `depth`
        is less than 1.
    TypeError
        If `depth` is no integer or `accuracy` no number.

    Notes
    -----
    :math:`N = A^H A + \mathrm{damp}^2 I`, for wide operators :math:`A A^H +
    \mathrm{damp}^2 I`, is inverted on a torus by FFT, with a matrix of the size of the
    channels at each frequency. That is T. What it leaves lies within a kernel's reach
    of the borders, and is taken by bands along them, with corners:

    .. math::

        y = T v, \qquad
        M v = y + \sum_k R_k^H N_k^{-1} S_k (v - N y) ,

    where :math:`R_k` restricts to band k, :math:`N_k = R_k N R_k^H`, and the
    :math:`S_k` share the residual out, so that the bands do not wait for each other.
    That is a Schwarz method [1]_ whose subdomains are invariant along their length. An
    iteration is

    .. math::

        x \leftarrow x + M A^H (b - A x) \quad (m \ge n), \qquad
        x \leftarrow x + A^H M (b - A x) \quad (m < n) ,

    with the residual in double precision.

    - *Cost:* time in proportion to n log n per iteration, beside one product with A and
      one with :math:`A^H`.
    - *Storage:* four vectors of length n beside b and x, and the inverses. Large images
      are cut into tiles, and the inverses do not grow with the image.
    - *Convergence:* each iteration multiplies the error by about `accuracy`, the decay
      of N's inverse over the depth of the bands [2]_. The history holds the norm of the
      normal residual.
    - *Inconsistent systems:* x is the least-squares solution, of least norm for wide
      operators, or the one nearest to x0.
    - *Singular systems:* where N is singular on the torus or on a band the solve ends
      with the status BREAKDOWN; `direct` and `cgls` take such systems.
    - *Damping:* `damp` is in N, and x0 in the right-hand side.

    Where bands from both sides would meet, it is `direct`. See :doc:`/guide/exact`.

    References
    ----------
    .. [1] A. Toselli and O. Widlund, "Domain Decomposition Methods: Algorithms and
       Theory", Springer, 2005, doi:10.1007/b137868.
    .. [2] S. Demko, W. F. Moss and P. W. Smith, "Decay rates for inverses of band
       matrices", Mathematics of Computation 43 (1984).

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 48, 48))
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "schwarz", rtol=1e-10)
    >>> result.success, bool(np.allclose(result.x, x)), result.nit <= 6
    (True, True, True)
    >>> sorted(result.extra)
    ['depth', 'nbytes', 'rcond', 'smallest_singular_value']
    """
    op = problem.op
    depth = check_depth(depth)
    if depth is not None and accuracy is None:
        accuracy = FINEST
    accuracy = accuracy_of(problem, accuracy, "schwarz")
    try:
        inverse = border_corrected(op, problem.damp, depth, accuracy)
    except Singular as error:
        way_out = "method='cgls' with preconditioner='schwarz' may take it"
        raise Unsuitable(f"{error}; {way_out}") from None
    notes = {
        "depth": inverse.inner.depth[3 - inverse.gram.ndim :],
        "nbytes": inverse.nbytes,
        **condition_notes(inverse, problem),
    }
    return inverse.correction(problem), notes


def border_corrected(op, damp, depth=None, accuracy=FINEST):
    """The `GramInverse` by a bordered circulant; kept with the layer."""

    def make(gram, dtype, accuracy):
        return _tori(gram, damp, op.xp, dtype, depth, accuracy)

    return gram_inverse(op, "schwarz", (depth,), damp, make, accuracy)


def _tori(gram, damp, xp, dtype, depth, accuracy):
    if not gram.banded:
        raise ValueError(
            "method 'schwarz' takes no layers that wrap around the image; use "
            "'spectral' where the stride divides the image, else 'auto'"
        )
    return BorderCorrectedCirculant(
        gram, damp=damp, xp=xp, dtype=dtype, depth=depth, accuracy=accuracy
    )
