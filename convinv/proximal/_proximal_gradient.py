"""Proximal gradient descent, plain and accelerated."""

from __future__ import annotations

import numpy as np

from .._core.adapted_calls import adapts
from .._core.result import OnFailure
from .._core.typing import ArrayInput, Callback, OperatorInput, Shape
from .._core.validation import number
from ._list_of_priors import PriorInput, single
from ._problem import Problem, ProximalResult, StoppingTest
from ._prox_tolerance import Tolerances
from ._weight_rule import choose_weight

NOISE = 1e3  # rounding errors of the data below which a product is noise


@adapts("b", side="output")
def proximal_gradient(
    op: OperatorInput,
    b: ArrayInput,
    g: PriorInput,
    *,
    x0: ArrayInput | None = None,
    shape: Shape | None = None,
    step: float | None = None,
    rtol: float = 1e-6,
    atol: float = 0.0,
    maxiter: int | None = None,
    callback: Callback = None,
    noise_level: float | None = None,
    on_failure: OnFailure = "warn",
) -> ProximalResult:
    """Minimize ``||A x - b||^2 / 2 + g(x)`` by proximal gradient steps.

    Parameters
    ----------
    op : ConvLinearOperator, LinearOperator, sparse or dense matrix
        The operator ``A`` of shape ``(m, n)``, with an adjoint.
    b : array_like, shape (m,) or (..., *op.output_shape)
        The data, or a batch, which is one problem: tolerances and norms refer to the
        whole batch. It is not modified.
    g : Proximal or sequence of these
        The prior: an object with ``prox(x, step)`` and ``value(x)``. Several are
        possible here if they act on every entry alone: `L1`, `Box`, `NonNegative`.
    x0 : array_like, optional
        Starting point, by default 0.
    shape : tuple of int, optional
        The shape in which g gets x (after the axes of a batch), by default
        ``op.input_shape``.
    step : float, optional
        Length of the steps, less than ``2 / ||A||^2``; by default ``1 / ||A||^2``, the
        norm estimated by 30 products with ``A^H A`` (it is 1 for `MaskOperator` and
        `FourierSampling`).
    rtol, atol : float
        Tolerances, see Notes.
    maxiter : int, optional
        Most iterations, by default 1000.
    callback : callable, optional
        Called as ``callback(state)`` after each iteration, with ``state.nit``,
        ``state.x`` (do not keep it) and ``state.residual_norm``, the norm of the
        proximal gradient. Returning True ends the iterations.
    noise_level : float, optional
        Standard deviation of the noise in b, for a prior with the weight None, see
        `minimize`.
    on_failure : {"warn", "raise", "ignore"}
        What to do where the returned x does not satisfy the tolerance, as in `solve`.

    Returns
    -------
    ProximalResult
        With ``x`` in ``result_type(op, b, x0)``.

    Raises
    ------
    ValueError, TypeError
        For input that makes no sense, before any work.

    Warns
    -----
    ConvergenceWarning
        If the returned x does not satisfy the tolerance.

    Notes
    -----
    ``success`` means that the proximal gradient
    ``(x - prox(x - step A^H (A x - b), step)) / step`` of the returned x was computed
    again and has a norm of at most ``max(rtol ||A^H b||, atol)``, or of four of its
    rounding errors. With ``g = 0`` it is the gradient of the least-squares problem, and
    the tolerances are those of `convinv.solve`.

    An iteration costs one product with A, one with its adjoint and one proximal
    operator; four arrays like x are held, and one like b. Steps that turn out too long
    for A are shortened.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.operators import MaskOperator
    >>> from convinv.proximal import NuclearNorm, proximal_gradient
    >>> rng = np.random.default_rng(0)
    >>> x = np.outer(rng.standard_normal(30), rng.standard_normal(30))
    >>> op = MaskOperator(rng.random(x.shape) < 0.6)
    >>> result = proximal_gradient(op, op.forward(x), NuclearNorm(0.1))
    >>> result.success, bool(np.linalg.norm(result.x - x) < 0.01 * np.linalg.norm(x))
    (True, True)
    """
    common = op, shape, atol, maxiter, callback, on_failure
    return _solve(
        "proximal_gradient", _Plain, g, b, x0, rtol, step, noise_level, common
    )


@adapts("b", side="output")
def fista(
    op: OperatorInput,
    b: ArrayInput,
    g: PriorInput,
    *,
    x0: ArrayInput | None = None,
    shape: Shape | None = None,
    step: float | None = None,
    restart: bool = True,
    rtol: float = 1e-6,
    atol: float = 0.0,
    maxiter: int | None = None,
    callback: Callback = None,
    noise_level: float | None = None,
    on_failure: OnFailure = "warn",
) -> ProximalResult:
    """Minimize ``||A x - b||^2 / 2 + g(x)`` by accelerated proximal gradient steps.

    Parameters
    ----------
    op, b, g, x0, shape, rtol, atol, maxiter, callback, noise_level
        See `proximal_gradient`.
    step : float, optional
        Length of the steps, at most and by default ``1 / ||A||^2``.
    restart : bool
        Whether to begin anew, from where it is, when the momentum points uphill. It
        finds fast convergence where there is some to be found.
    on_failure : {"warn", "raise", "ignore"}
        What to do where the returned x does not satisfy the tolerance, as in `solve`.

    Returns
    -------
    ProximalResult
        See `proximal_gradient`.

    Raises
    ------
    ValueError, TypeError
        For input that makes no sense, before any work.

    Warns
    -----
    ConvergenceWarning
        If the returned x does not satisfy the tolerance.

    Notes
    -----
    Like `proximal_gradient`, with the same cost of an iteration and one more array like
    x and b.

    References
    ----------
    A. Beck, M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear
    inverse problems", SIAM J. Imaging Sci. 2 (2009). B. O'Donoghue, E. Candes,
    "Adaptive restart for accelerated gradient schemes", Found. Comput. Math. 15 (2015).

    Examples
    --------
    A blurred image, with total variation as the prior:

    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery
    >>> from convinv.proximal import TotalVariation, fista
    >>> image = np.zeros((1, 24, 24))
    >>> image[:, 6:18, 8:16] = 1
    >>> kernel = gallery.gaussian_kernel(5, 1.0)[None, None]
    >>> op = ConvLinearOperator(kernel, image.shape, padding="same")
    >>> noise = 0.02 * np.random.default_rng(0).standard_normal(op.output_shape)
    >>> result = fista(op, op.forward(image) + noise, TotalVariation(0.01), rtol=1e-4)
    >>> result.success, bool(abs(result.x - image).max() < 0.3)
    (True, True)
    """
    momentum = _RestartedNesterov if restart else _Nesterov
    common = op, shape, atol, maxiter, callback, on_failure
    return _solve("fista", momentum, g, b, x0, rtol, step, noise_level, common)


def _solve(method, momentum, g, b, x0, rtol, step, noise_level, common):
    """Check the arguments, choose the weight if there is none, and descend."""
    op, shape, atol, maxiter, callback, on_failure = common
    priors = [single(g, method)]

    def run(priors, b, x0, rtol, callback, on_failure, notes):
        problem = Problem(
            op, b, priors[0], x0, shape, rtol, atol, maxiter, callback, on_failure
        )
        return _descend(problem, step, method, momentum, notes)

    def loosely(priors, b, x0, factor):
        return run(priors, b, x0, factor * rtol, None, "ignore", {}).x

    with np.errstate(all="ignore"):
        problem = Problem(
            op, b, None, x0, shape, rtol, atol, maxiter, callback, on_failure
        )
        priors, notes = choose_weight(priors, problem, noise_level, loosely)
        return run(priors, b, x0, rtol, callback, on_failure, notes)


def _descend(problem, step, method, momentum, notes):
    """Proximal steps from extrapolated points; ``A y`` follows from earlier ones."""
    xp, x = problem.xp, problem.x
    step = None if step is None else number(step, "step", positive=True)
    squared = problem.norm_squared()
    if step is None:
        step = 1 / squared if squared > 0 else 1.0
    step = problem.scalar(step)
    wanted = xp.maximum(problem.rtol * problem.norm(problem.atb), problem.atol)
    stopping, momentum = StoppingTest(problem), momentum(problem)
    ax = problem.forward(x)
    y, ay = x, ax
    tolerances = Tolerances(problem, float(step * wanted))
    while stopping.going:
        new = problem.prox(y - step * problem.adjoint(ay - problem.b), step)
        anew = problem.forward(new)
        move, amove = new - y, anew - ay
        length, stretched = problem.norm(move), problem.norm(amove)
        measure = length / step + 0 * stretched  # not finite if either is not
        tolerance = xp.maximum(wanted, problem.floor(new, squared))
        tolerances.follow(length, new)
        if stopping.ends(new, measure, tolerance):
            x = new
            break
        step = _shorter(problem, momentum, step, length, stretched)
        beta = momentum.beta(move, new - x)
        y, ay = new + beta * (new - x), anew + beta * (anew - ax)
        x, ax = new, anew
    tolerances.tight(x)
    z, rest = problem.prox_gradient(x, step)
    optimality = problem.norm(x - z) / step
    tolerance = xp.maximum(wanted, problem.floor(x, squared))
    success = bool(optimality <= tolerance)
    extra = {"step": float(step), **notes}
    return problem.result(
        stopping, x, success, optimality, rest, method, extra, stacklevel=7
    )


def _shorter(problem, momentum, step, length, stretched):
    """A step length that a move proves safe, unless the move is only rounding."""
    xp = problem.xp
    noise = NOISE * float(np.finfo(problem.real).eps) * problem.norm(problem.b)
    ratio = length / xp.where(stretched > 0, stretched, 1)
    longest = (momentum.reach * ratio**2).astype(problem.real)
    return xp.where((stretched > noise) & (step > longest), longest, step)


class _Plain:
    """No momentum."""

    reach = 1.99  # steps by 1 / ||A||^2

    def __init__(self, problem):
        self.zero = problem.scalar(0.0)

    def beta(self, move, change):
        """The momentum coefficient."""
        return self.zero


class _Nesterov:
    """The momentum of FISTA, due to Nesterov."""

    reach = 1.0

    def __init__(self, problem):
        self.problem, self.t = problem, problem.scalar(1.0)

    def beta(self, move, change):
        """The momentum coefficient."""
        xp, t = self.problem.xp, self.t
        later = (1 + xp.sqrt(1 + 4 * t * t)) / 2
        self.t = later.astype(self.problem.real)
        return ((t - 1) / later).astype(self.problem.real)


class _RestartedNesterov(_Nesterov):
    """The same, reset when the last step went against it."""

    def beta(self, move, change):
        """The momentum coefficient."""
        xp = self.problem.xp
        uphill = xp.sum((move.conj() * change).real) < 0
        beta = super().beta(move, change)
        self.t = xp.where(uphill, self.problem.scalar(1.0), self.t)
        return xp.where(uphill, self.problem.scalar(0.0), beta)
