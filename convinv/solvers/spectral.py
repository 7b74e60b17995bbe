"""The pseudoinverse of layers that a known transform takes apart."""

import numpy as np

from .._closed_forms.forms import closed_form, why_no_closed_form
from .._core.declarations import Products, Storage
from .._core.options import Fraction
from .._inverse.storage import padded_length, start_numbers, transform_numbers
from .._problem.problem import Unsuitable
from ._registry import solver


def _application_numbers(use):
    """Numbers that an application holds for an item, beside the vectors."""
    form = closed_form(use.op)
    scratch = 0 if form is None else form.scratch(use.damped)
    transform = transform_numbers(use, padded_length(use.op))
    return scratch + start_numbers(use) + transform


@solver(
    "spectral",
    convolution_only=True,
    takes_adjoints=True,
    takes_stacks=True,
    takes=lambda op: closed_form(op) is not None,
    rate="exact",
    applies_inverse=True,
    storage=Storage(
        m=2,
        n=2,
        counts_products=True,
        set_up="C_out C_in entries per frequency",
        numbers=_application_numbers,
    ),
    products=Products(0, 0, besides="one application of the pseudoinverse"),
)
def spectral(problem, monitor, *, rcond: Fraction | None = None):
    r"""The exact inverse of a layer that a transform takes apart.

    Take it wherever it applies, whatever the rank of the layer: to periodic layers,
    patch embeddings, blurs with even or separable kernels. The set-up, one small
    factorization per frequency, is kept with the operator for the next solve.

    Parameters
    ----------
    rcond : float, optional
        Singular values up to this times the largest one count as zero (truncated SVD),
        at least 0 and below 1. By default only those count as zero that rounding may
        have made. Excludes `damp`.

    Returns
    -------
    x : array
        The last iterate, shaped to match b.
    extra : dict
        Without `damp`: ``rank``, the number of singular values that do not count as
        zero.

    Raises
    ------
    ValueError
        If no known transform takes the layer apart, if both `rcond` and `damp` are
        given, or one of them for a layer with boundary "reflect" and a kernel that is
        not separable.

    Notes
    -----
    The layers, in the order in which they are looked for:

    - Layers whose windows do not overlap, as in a patch embedding: one small matrix for
      all windows. Samples under no window are zero in x.
    - Layers that are invariant under shifts around a torus: with periodic boundary and
      as many outputs as steps of the stride fit into the input. The :math:`s^d` samples
      of a cell of stride s are taken as channels; then the discrete Fourier transform
      leaves one matrix of shape ``(C_out / groups, C_in / groups * s^d)`` per
      frequency.
    - Layers of stride 1 with boundary "symmetric", padding "same" and a kernel that is
      even along every axis: the cosine transform leaves one matrix of shape ``(C_out /
      groups, C_in / groups)`` per frequency [1]_. (NumPy arrays only.)
    - Layers with a separable kernel, ``M[o, c] a[u] b[v] c[w]`` in every group, of any
      boundary, padding, stride and dilation, with up to 1024 samples per axis: one SVD
      of M and of the matrix of each axis, which serve every damp [2]_.
    - With boundary "reflect" instead of "symmetric" as many filters as channels, and
      no `damp`: the transform then is orthonormal in another norm, so that there is an
      inverse of layers of full rank alone.

    The pseudoinverses of all matrices together are the pseudoinverse of the layer. With
    the transform F, unitary on both sides, and the matrices :math:`A_\omega`,

    .. math::

        x = F^H \big( A_\omega^H A_\omega + \mathrm{damp}^2 I \big)^{+} A_\omega^H
        (F b)_\omega .

    - *Cost:* an iteration is one application of the pseudoinverse. A second one is
      needed in single precision only, as a rule.
    - *Storage:* two vectors of length m and two of length n beside b and x, and
      ``C_out C_in`` entries per frequency.
    - *Convergence:* one application leaves rounding errors. The history holds the norm
      of the normal residual.
    - *Inconsistent or singular systems:* x is the least-squares solution of least norm,
      or the one nearest to x0. Where `rcond` changes x, it is no least-squares solution
      any more, and the solve ends with the status STALLED and a message that says so.
    - *Damping:* x is the damped solution.

    See :doc:`/guide/exact` and :doc:`/guide/spectra`.

    References
    ----------
    .. [1] M. K. Ng, R. H. Chan and W.-C. Tang, "A fast algorithm for deblurring models
       with Neumann boundary conditions", SIAM Journal on Scientific Computing 21
       (1999), 851-866, doi:10.1137/S1064827598341384.
    .. [2] P. C. Hansen, "Deconvolution and regularization with Toeplitz matrices",
       Numerical Algorithms 29 (2002).

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> kernel = gallery.conv_layer(1, 2, rng=0)
    >>> op = ConvLinearOperator(kernel, (1, 12, 12), padding="same",
    ...                         boundary="periodic")
    >>> x = np.random.default_rng(0).random(op.input_shape)
    >>> result = solve(op, op.forward(x), "spectral", rtol=1e-10)
    >>> result.success, result.nit, result.extra["rank"]
    (True, 1, 144)
    """
    op, damp = problem.op, problem.damp
    form = _form(op, damp, rcond)
    key = ("spectral", problem.b.dtype, damp, rcond)
    try:
        inverted = op.cached(key, lambda: form.inverse(damp, rcond))
    except np.linalg.LinAlgError as error:
        raise Unsuitable(f"{error}; use method='auto'") from None
    d = inverted.apply(problem.b)
    if damp and problem.origin is not None:
        # the damped pseudoinverse of the residual, less what damping takes from the
        # start; A^H r - damp^2 origin would lose more to rounding where damp is small
        also = ("spectral remainder", problem.b.dtype, damp)
        d = d - op.cached(also, lambda: form.remainder(damp)).apply(problem.origin)
    return d, {} if damp else _notes(inverted, rcond)


def _form(op, damp, rcond):
    """The closed form of a layer; raises for what it does not take."""
    form = closed_form(op)
    if form is None:
        raise ValueError(
            "method 'spectral' needs a layer that a known transform takes apart, but "
            f"{why_no_closed_form(op)}; use method='auto'"
        )
    if rcond is not None and damp:
        raise ValueError("rcond truncates and damp damps: take one of them, not both")
    if not form.orthonormal and (damp or rcond is not None):
        raise ValueError(
            "method 'spectral' takes neither damp nor rcond where the boundary is "
            "'reflect' and the kernel not separable, since the transform is not "
            "orthonormal; use method='auto', or boundary='symmetric'"
        )
    return form


def _notes(inverted, rcond):
    notes = {"rank": inverted.count - inverted.zeros}
    if inverted.zeros:
        size = "rounding" if rcond is None else f"rcond={rcond:g}"
        notes["message"] = (
            f"{inverted.zeros} of {inverted.count} singular values are below {size} "
            "and count as zero"
        )
    return notes
