"""Error estimates of learned singular values."""

from dataclasses import dataclass

import numpy as np

from .._core.arrays import namespace, to_numpy
from .._core.blas_threads import one_blas_thread
from .._core.typing import ArrayIfAsked

SIGMAS = 3  # standard deviations of the noise in the error of a trusted singular value
CHUNK = 64  # images processed together


@dataclass(frozen=True, eq=False)
class SpectralDiagnostics:
    """The accuracy of a learned singular system; see `SpectralOperator.diagnostics`.

    Attributes
    ----------
    orthogonality_loss : float
        ``||Q^H Q - I||_2`` of the basis of the images.
    condition : float
        Condition number of the images' coefficients in that basis, for the given
        scaling.
    noise : float
        Standard deviation of the noise in the data (the root of its mean square over
        all entries): the given one, or estimated from pairs whose images depend on
        others. NaN if it is unknown; then `stderr` is 0.
    rounding, stderr : ndarray, shape (k,)
        For each singular value, a first-order bound of the effect of rounding errors,
        and the standard deviation due to the noise.
    bias : ndarray, shape (k,)
        The amount by which noise increases each singular value, on average.
    residuals : ndarray, shape (k,), or None
        ``||F^* v_k - s_k u_k||``, if an adjoint was given: F has a singular value
        within this distance of s_k, divided by the square root of two.
    trusted : ndarray of bool, shape (k,)
        Where the sum of these errors is below a fraction of s_k. Without an adjoint
        this refers to F restricted to the span of the images.
    """

    orthogonality_loss: float
    condition: float
    noise: float
    rounding: np.ndarray
    stderr: np.ndarray
    bias: np.ndarray
    residuals: ArrayIfAsked
    trusted: np.ndarray


def _products(adjoint, output_shape, input_shape):
    """The adjoint as a function of a batch of shaped arrays."""
    if hasattr(adjoint, "rmatmat"):
        return lambda Y: adjoint.rmatmat(Y.reshape((Y.shape[0], -1)).T).T.reshape(
            (Y.shape[0], *input_shape)
        )
    if callable(adjoint):
        return adjoint
    raise TypeError(
        "adjoint must be a linear operator or a function of a batch of shape (k, "
        f"{', '.join(map(str, output_shape))}), got {type(adjoint).__name__}"
    )


def _amplification(state, left):
    """For each singular value ``||T^-H a||``, the factor of errors of the data."""
    xp = namespace(left)
    if not left.shape[1]:
        return np.zeros(0)
    with one_blas_thread:
        return to_numpy(xp.linalg.norm(xp.linalg.solve(state.T.conj().T, left), axis=0))


def _orthogonality_loss(Q):
    xp = namespace(Q)
    with one_blas_thread:
        gram = Q.conj() @ Q.T - xp.eye(Q.shape[0], dtype=Q.dtype)
        return float(np.linalg.norm(to_numpy(gram), 2)) if Q.shape[0] else 0.0


def diagnose(state, system, sides, adjoint, noise, rtol):
    """`SpectralDiagnostics` of the system ``(a, s, u, v)`` of scaled, weighted rows."""
    a, s, _, _ = system
    values = to_numpy(s).astype(float)
    spread = _amplification(state, a)
    unit = _unit_noise(sides[1])
    level = _noise(state, noise, unit)
    norms = state.y_squares**0.5 + values.max(initial=0) * state.x_squares**0.5
    rounding = float(np.finfo(s.dtype).eps) * norms * spread
    stderr = (0.0 if np.isnan(level) else level) * spread
    with np.errstate(divide="ignore", invalid="ignore"):
        bias = np.nan_to_num(stderr**2 * state.P.shape[1] / (2 * values))
    error = rounding + SIGMAS * stderr + bias
    scale, residuals = sides[0].scale / sides[1].scale, None
    if adjoint is not None:
        residuals = _residuals(adjoint, system, sides, scale)
        error = error + residuals / scale / 2**0.5
    with one_blas_thread:
        condition = float(np.linalg.cond(to_numpy(state.T))) if len(spread) else 1.0
    return SpectralDiagnostics(
        orthogonality_loss=_orthogonality_loss(state.Q),
        condition=condition,
        noise=level / unit,
        rounding=rounding * scale,
        stderr=stderr * scale,
        bias=bias * scale,
        residuals=residuals,
        trusted=(error <= rtol * values) & (values > 0),
    )


def _unit_noise(side):
    """The root mean square of noise of level 1, in the rows of the data."""
    mean = 1.0 if side.root is None else float((side.root**2).mean())
    return side.scale * mean**0.5


def _noise(state, noise, unit):
    """The level of the noise in the rows of the data, NaN if it is unknown."""
    if noise is not None:
        if not 0 <= noise < np.inf:
            raise ValueError(f"noise must be finite and not negative, got {noise!r}")
        return noise * unit
    if not state.spare:
        return np.nan
    return (max(state.misfit, 0.0) / (state.spare * state.P.shape[1])) ** 0.5


def _residuals(adjoint, system, sides, scale):
    """``||F^* v - s u||`` of every singular value, in the units of the pairs."""
    images, data = sides
    apply = _products(adjoint, data.shape, images.shape)
    _, s, u, v = system
    xp, found = namespace(s), []
    for i in range(0, len(s), CHUNK):
        part = slice(i, i + CHUNK)
        # <F x, v> with weights w is <x, F^H (w v)> without
        y = data.weighted(v[part]).reshape((-1, *data.shape))
        x = images.unweighted(apply(y).reshape(y.shape[0], -1))
        x = x - (s[part] * scale)[:, None] * u[part]
        found.append(to_numpy(xp.linalg.norm(x, axis=1)))
    return np.concatenate(found) if found else np.zeros(0)
