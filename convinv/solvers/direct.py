"""Block-Toeplitz Cholesky: the exact inverse in two sweeps over the image."""

import numpy as np

from .._core.declarations import Products, Storage
from .._core.errors import Singular
from .._core.options import Accuracy, Fraction, Positive
from .._inverse.accuracy import FINEST
from .._inverse.block_cholesky import BlockCholesky
from .._inverse.gram import is_banded
from .._inverse.gram_inverse import (
    MEMORY,
    condition_notes,
    gram_inverse,
    shift_for,
    shifted,
)
from .._inverse.storage import application_numbers
from .._planning.ways import accuracy_of
from .._problem.problem import Unsuitable
from ._registry import solver

TIKHONOV = "iterated Tikhonov regularization, as of a singular N"


@solver(
    "direct",
    convolution_only=True,
    takes_adjoints=True,
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
    """Exact inverse by a block Cholesky factor that repeats itself.

    Tall operators are inverted through ``N = A^H A + damp^2 I``, wide ones through ``N
    = A A^H + damp^2 I`` (least norm). N couples lines of pixels (or planes) at most a
    kernel apart and is block Toeplitz between the borders, so that the recursion of its
    Cholesky factor ``(I + L) D (I + L)^H`` converges geometrically: its blocks, of the
    size of a line, are computed until they stop changing. A solve is a sweep over the
    lines and one back, each line one matrix product for the whole batch. An iteration
    is one solve, which is refined with a residual in double precision until the
    tolerance holds. Since it is, the factor need not be exact: by default it is as
    coarse (`accuracy` is what an application leaves of the error, 3e-6 or less for the
    exact one) as makes set-up and refinements together cheapest for the batch and the
    tolerance, in single precision where the condition allows that.

    Time grows with (pixels of a line)^2 times the number of lines, memory with (pixels
    of a line)^2 times the lines of the recursion, 10 to 50. `axis` is the spatial axis
    that the sweeps run along, by default the one that makes lines smallest. A factor
    that needs more than `memory` bytes is refused with ValueError, as are layers that
    wrap around the image. The factor is kept with the operator.

    Where N is singular, ``N + (shift ||A||)^2 I`` is inverted instead, and iterations
    go on from the residual: iterated Tikhonov regularization (Hanke and Groetsch, J.
    Optim. Theory Appl. 98, 1998), which tends to the solution of least norm, with the
    factor ``shift^2 / (shift^2 + s^2)`` for a singular value of ``s ||A||``. `shift` is
    1e-4 by default, for tolerances below 1e-8 it is 1e-3.
    """
    layer = problem.op.layer
    axis = _axis(layer, axis) - 3 + layer.geometry.ndim
    accuracy = accuracy_of(problem, accuracy, "direct", axis=axis)
    options = {"axis": axis, "memory": memory, "accuracy": accuracy}
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


def factored(op, damp, axis, memory=MEMORY, accuracy=FINEST, shift=0.0):
    """The `GramInverse` by a factor along a spatial axis; kept with the layer."""
    first = 3 - op.layer.geometry.ndim
    if shift:
        accuracy = FINEST  # errors are multiplied by 1 / shift^2 outside the range
        damp = shifted(op, damp, shift)

    def make(gram, dtype, accuracy):
        return _factor(gram, axis + first, damp, dtype, memory, accuracy)

    return gram_inverse(op, "direct", (axis, memory), damp, make, accuracy)


def _factor(gram, axis, damp, dtype, memory, accuracy):
    if not gram.local:
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
    )


def _axis(op, axis):
    """The axis of the three that the sweeps run along."""
    g = op.geometry
    if axis is None:
        return int(np.argmax(g.output))
    if axis not in range(-g.ndim, g.ndim):
        raise ValueError(
            f"axis must be one of the operator's {g.ndim} spatial axes, got {axis!r}"
        )
    return axis % g.ndim + 3 - g.ndim
