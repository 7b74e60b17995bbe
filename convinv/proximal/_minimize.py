"""The front of the methods with priors."""

from __future__ import annotations

from typing import Any, Literal

from .._core.adapted_calls import adapts
from .._core.result import OnFailure, check_on_failure, deliver
from .._core.typing import ArrayInput, Callback, OperatorInput, Shape
from .._core.validation import choice
from ._admm import admm
from ._list_of_priors import PriorInput, listed, needs_copies
from ._problem import ProximalResult
from ._proximal_gradient import fista, proximal_gradient

METHODS: dict[str, Any] = {
    "admm": admm,
    "fista": fista,
    "proximal_gradient": proximal_gradient,
}


@adapts("b", side="output")
def minimize(
    op: OperatorInput,
    b: ArrayInput,
    priors: PriorInput,
    method: Literal["auto", "admm", "fista", "proximal_gradient"] = "auto",
    *,
    noise_level: float | None = None,
    x0: ArrayInput | None = None,
    shape: Shape | None = None,
    rtol: float | None = None,
    atol: float = 0.0,
    maxiter: int | None = None,
    callback: Callback = None,
    on_failure: OnFailure = "warn",
    **options: Any,
) -> ProximalResult:
    """Minimize ``||A x - b||^2 / 2`` plus a prior, or the sum of several.

    Parameters
    ----------
    op, b, x0, shape, atol, maxiter, callback, on_failure
        See `proximal_gradient`.
    priors : Proximal or sequence of these
        For example ``TotalVariation(0.01)``, or ``[TotalVariation(), NonNegative()]``.
        The weight of one of them may be None: it is chosen from the noise, see Notes.
    method : {"auto", "admm", "fista", "proximal_gradient"}
        "auto" takes `admm` for several priors, for `TotalVariation` and for `Analysis`,
        and `fista` for others.
    noise_level : float, optional
        Standard deviation of the noise in b, where a weight is None. By default it is
        estimated from the finest details of b, which must be an image or images that a
        convolution has made.
    rtol : float, optional
        The tolerance, by default that of the method.
    **options
        Of the method.

    Returns
    -------
    ProximalResult
        With ``extra["weight"]``, ``extra["noise_level"]`` and the number of
        ``extra["weights_tried"]`` where a weight was chosen.

    Raises
    ------
    ValueError, TypeError
        For invalid input, before any work.

    Warns
    -----
    ConvergenceWarning
        If the returned x does not satisfy the tolerance.

    Notes
    -----
    The weight that is chosen has the least of Stein's unbiased estimate of
    ``||A x - A x_true||^2``, for noise that is white and normal. Each weight that is
    tried, usually four and twelve at most, costs two solves with ten times the
    tolerance: for b, and for b with a random change.

    References
    ----------
    S. Ramani, T. Blu, M. Unser, "Monte-Carlo SURE", IEEE Trans. Image Process. 17
    (2008).

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery
    >>> from convinv.proximal import NonNegative, TotalVariation, minimize
    >>> image = np.zeros((1, 32, 32))
    >>> image[:, 6:18, 8:16] = 1
    >>> kernel = gallery.gaussian_kernel(5, 1.0)[None, None]
    >>> op = ConvLinearOperator(kernel, image.shape, padding="same")
    >>> noise = 0.02 * np.random.default_rng(0).standard_normal(op.output_shape)
    >>> b = op.forward(image) + noise
    >>> result = minimize(op, b, [TotalVariation(), NonNegative()], noise_level=0.02)
    >>> result.success, bool(result.x.min() >= 0)
    (True, True)
    >>> bool(np.linalg.norm(result.x - image) < 0.5 * np.linalg.norm(b - image))
    True
    """
    choice(method, "method", ["auto", *METHODS])
    if method == "auto":
        method = "admm" if needs_copies(listed(priors, "priors")) else "fista"
    if rtol is not None:
        options["rtol"] = rtol
    check_on_failure(on_failure)
    result = METHODS[method](
        op,
        b,
        priors,
        noise_level=noise_level,
        x0=x0,
        shape=shape,
        atol=atol,
        maxiter=maxiter,
        callback=callback,
        on_failure="ignore",
        **options,
    )
    return deliver(result, on_failure, stacklevel=3)
