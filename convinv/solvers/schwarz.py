"""Nested tori: the exact inverse by FFT and corrections along the borders."""

from .._core.declarations import Products, Storage
from .._core.errors import Singular
from .._core.options import Accuracy
from .._inverse.accuracy import FINEST
from .._inverse.border_correction import NestedTori, check_depth
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
    """Iterative refinement with an inverse by FFT, corrected along the borders.

    ``N = A^H A + damp^2 I`` (``A A^H + damp^2 I`` for wide operators) is inverted on a
    torus, at each frequency a matrix of the size of the channels. That leaves a
    residual within a kernel's reach of the borders only, which bands along the borders
    take, `depth` cells deep, which share the residual out and do not wait for each
    other: a Schwarz method with subdomains invariant along their length. The error
    contracts by the decay of N's inverse over the depth, `accuracy`, and each iteration
    is one such correction with a residual in double precision. By default it is the
    accuracy, from 1e-2 to 3e-6, with which set-up and iterations together cost least
    for the batch and the tolerance.

    Time is ``O(n log n)``. If the inverse decays so slowly that iterations stall, use
    the same as a preconditioner: ``method="cgls", preconditioner="schwarz"``. The
    set-up is kept with the operator.
    """
    op = problem.op
    depth = check_depth(depth)
    if depth is not None and accuracy is None:
        accuracy = FINEST
    accuracy = accuracy_of(problem, accuracy, "schwarz")
    try:
        inverse = nested(op, problem.damp, depth, accuracy)
    except Singular as error:
        way_out = "method='cgls' with preconditioner='schwarz' may take it"
        raise Unsuitable(f"{error}; {way_out}") from None
    notes = {
        "depth": inverse.inner.depth[3 - op.layer.geometry.ndim :],
        "nbytes": inverse.nbytes,
        **condition_notes(inverse, problem),
    }
    return inverse.correction(problem), notes


def nested(op, damp, depth=None, accuracy=FINEST):
    """The `GramInverse` by nested tori; kept with the layer."""

    def make(gram, dtype, accuracy):
        return _tori(gram, damp, op.xp, dtype, depth, accuracy)

    return gram_inverse(op, "schwarz", (depth,), damp, make, accuracy)


def _tori(gram, damp, xp, dtype, depth, accuracy):
    if not gram.local:
        raise ValueError(
            "method 'schwarz' takes no layers that wrap around the image; use "
            "'spectral' where the stride divides the image, else 'auto'"
        )
    return NestedTori(
        gram, damp=damp, xp=xp, dtype=dtype, depth=depth, accuracy=accuracy
    )
