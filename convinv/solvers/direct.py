"""Block-Toeplitz Cholesky: the exact inverse in two sweeps over the image."""

import numpy as np

from .._core.declarations import Products, Storage
from .._core.errors import Singular
from .._core.options import Accuracy, Fraction, Positive
from .._inverse.accuracy import FINEST, NARROW, at
from .._inverse.block_cholesky import BlockCholesky
from .._inverse.circulant import look
from .._inverse.gram import is_banded
from .._inverse.gram_inverse import (
    MEMORY,
    condition_notes,
    gram_inverse,
    gram_of,
    shift_for,
    shifted,
    side_of,
)
from .._inverse.storage import application_numbers
from .._planning.costs import refuse_large
from .._planning.ways import accuracy_of
from .._problem.problem import Unsuitable
from ..operators._cells import cells_of, keeper, parts_of
from ._registry import solver

TIKHONOV = "iterated Tikhonov regularization, as of a singular N"


@solver(
    "direct",
    convolution_only=True,
    takes_adjoints=True,
    takes_stacks=True,
    takes=is_banded,
    rate="exact",
    applies_inverse=True,
    condition=True,
    storage=Storage(
        gram=2,
        counts_products=True,
        set_up="the factor",
        numbers=lambda use: application_numbers(use, 0, is_fft=False),
    ),
    products=Products(),
    limits=("rank-deficient", "both"),  # N has no inverse
)
def direct(
    problem,
    monitor,
    *,
    axis: int | None = None,
    memory: Positive = MEMORY,
    accuracy: Accuracy | None = None,
    shift: Fraction | None = None,
):
    r"""Exact inverse by a block Cholesky factor that repeats itself.

    Take it for images with short lines, up to some hundreds of unknowns (pixels times
    channels), and above all for large batches: a solve is two sweeps of matrix
    products. The factor is kept with the operator for the next solve. `schwarz` takes
    larger images.

    Parameters
    ----------
    axis : int, optional
        The spatial axis that the sweeps run along, by default the one that makes lines
        smallest. May be negative.
    memory : float
        Bytes that the factor may take, by default 1 GiB, or `max_memory` of `solve`
        where that is more.
    accuracy : float, optional
        The error that an application leaves, relative, between 0 and 1; 3e-6 or less is
        the exact factor. By default the one that makes set-up and refinements together
        cheapest for the batch and the tolerance, in single precision where the
        condition number allows that.
    shift : float, optional
        At least 0 and below 1: :math:`N + (\mathrm{shift}\, \|A\|)^2 I` is inverted
        instead of N. By default 0, and where N is singular 1e-4, or 1e-3 for tolerances
        below 1e-8.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        ``axis``, the axis of the sweeps, counted from the first spatial one;
        ``nbytes``, the size of the factor. Without a shift: ``rcond``, an upper
        estimate of the reciprocal condition number of N, and
        ``smallest_singular_value``, an estimate of the smallest singular value of A (of
        :math:`[A; \mathrm{damp}\, I]` with `damp`). With one: ``shift``.

    Raises
    ------
    ValueError
        If the factor needs more than `memory`, `axis` is no spatial axis of the layer,
        or the layer wraps around the image (periodic boundary with padding).
    TypeError
        If `accuracy` or `shift` is no number.

    Notes
    -----
    Tall operators are inverted through :math:`N = A^H A + \mathrm{damp}^2 I`, wide ones
    through :math:`N = A A^H + \mathrm{damp}^2 I`:

    .. math::

        x = N^{-1} A^H b \quad (m \ge n), \qquad
        x = A^H N^{-1} b \quad (m < n).

    N couples lines of pixels (planes in 3-D) at most a kernel apart and is block
    Toeplitz between the borders, so that the blocks of its Cholesky factor, of the size
    of a line, converge geometrically. For neighbors only,

    .. math::

        N = (I + L) D (I + L)^H, \qquad
        D_i = N_0 - N_1 D_{i-1}^{-1} N_1^H, \qquad
        L_i = N_1 D_{i-1}^{-1} ,

    a recursion that ends where blocks stop changing; its limit is the spectral
    factorization of [1]_. A solve is a sweep over the lines and one back, each line one
    matrix product for the whole batch. An iteration is one solve of
    :math:`x \leftarrow x + N^{-1} A^H (b - A x)`, with the residual in double
    precision, so that the factor need not be exact.

    - *Cost:* time in proportion to the number of lines times the square of a line's
      unknowns per iteration, beside one product with A and one with :math:`A^H`; for
      the set-up, the cube of a line's unknowns for each of the 10 to 50 lines of the
      recursion.
    - *Storage:* two vectors of length n beside b and x, and the factor: the square of a
      line's unknowns for each line of the recursion.
    - *Convergence:* each iteration multiplies the error by `accuracy`, or by the
      rounding of the factor times the condition number of N. The history holds the norm
      of the normal residual.
    - *Inconsistent systems:* x is the least-squares solution, of least norm for wide
      operators, or the one nearest to x0.
    - *Singular systems:* iterations with the shifted N are iterated Tikhonov
      regularization [2]_, which tends to the solution of least norm: an iteration
      multiplies the error in a singular value of :math:`s \|A\|` by
      :math:`\mathrm{shift}^2 / (\mathrm{shift}^2 + s^2)`, about. A second solve and
      four products in each keep rounding out of the null space of A.
    - *Damping:* `damp` is in N, and x0 in the right-hand side.

    See :doc:`/guide/exact`.

    References
    ----------
    .. [1] F. L. Bauer, "Ein direktes Iterationsverfahren zur Hurwitz-Zerlegung eines
       Polynoms", Archiv der elektrischen Übertragung 9 (1955).
    .. [2] M. Hanke and C. W. Groetsch, "Nonstationary iterated Tikhonov
       regularization", Journal of Optimization Theory and Applications 98 (1998).

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 12, 12))
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "direct", rtol=1e-10)
    >>> result.success, bool(np.allclose(result.x, x)), result.nit <= 5
    (True, True, True)
    >>> sorted(result.extra)
    ['axis', 'nbytes', 'rcond', 'smallest_singular_value']
    """
    g = cells_of(keeper(problem.op)).geometry
    axis = _axis(g, axis) - 3 + g.ndim
    accuracy = accuracy_of(problem, accuracy, "direct", axis=axis)
    options = {"axis": axis, "memory": memory, "accuracy": accuracy}
    _refuse_large(problem, axis, accuracy, memory)
    try:
        try:
            inverse = factored(problem.op, problem.damp, **options, shift=shift or 0.0)
        except Singular:
            if problem.damp or shift is not None:
                raise
            shift = shift_for(problem.rtol)
            inverse = factored(problem.op, 0.0, **options, shift=shift)
    except Singular as error:
        raise Unsuitable(str(error)) from None
    notes = {"axis": axis, "nbytes": inverse.nbytes}
    if shift:
        notes |= {"shift": shift, "message": TIKHONOV}
    else:
        notes |= condition_notes(inverse, problem)
    return inverse.correction(problem), notes


def _refuse_large(problem, axis, accuracy, memory):
    """Raise MemoryLimit for a factor that is too large, before any work on it."""
    op = problem.op
    gram = gram_of(op, side_of(op))
    if gram.banded:
        found = at(accuracy, look(gram, problem.damp).rcond)
        axis = axis + 3 - gram.ndim
        refuse_large(gram, problem.damp, found, axis, memory)


def factored(op, damp, axis, memory=MEMORY, accuracy=FINEST, shift=0.0):
    """The `GramInverse` by a factor along a spatial axis; kept with the layer."""
    first = 3 - parts_of(op)[0].geometry.ndim
    if shift:
        accuracy = FINEST  # errors are multiplied by 1 / shift^2 outside the range
        damp = shifted(op, damp, shift)

    def make(gram, dtype, accuracy):
        return _factor(gram, axis + first, damp, dtype, memory, accuracy)

    return gram_inverse(op, "direct", (axis, memory), damp, make, accuracy)


def _factor(gram, axis, damp, dtype, memory, accuracy):
    if not gram.banded:
        raise ValueError(
            "method 'direct' takes no layers that wrap around the image; use "
            "'spectral' where the stride divides the image, else 'auto'"
        )
    return BlockCholesky(
        gram,
        axis,
        damp=damp,
        dtype=dtype,
        memory=memory,
        settle=accuracy.settle,
        compute=dtype if accuracy.narrow else None,
        # else `sound` would have the same recursion made again
        widen=0.0 if accuracy.single else NARROW,
        xp=gram.op.xp,
    )


def _axis(g, axis):
    """The axis of the three that the sweeps run along."""
    if axis is None:
        return int(np.argmax(g.output))
    if axis not in range(-g.ndim, g.ndim):
        raise ValueError(
            f"axis must be one of the operator's {g.ndim} spatial axes, got {axis!r}"
        )
    return axis % g.ndim + 3 - g.ndim
