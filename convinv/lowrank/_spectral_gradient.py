"""Gradients through functions of singular values, by divided differences.

The derivative of ``f(A) = U diag(f(s)) V^H`` needs no derivative of U and V, whose
``1 / (s_j^2 - s_i^2)`` has no bound. It consists of differences
``(f_i - f_j) / (s_i - s_j)``, which stay bounded where values coincide (Daleckii and
Krein 1965; Lewis 1996 for spectral functions).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .._core.arrays import copy, namespace
from .._core.typing import AnyArray, ArrayInput
from .._core.validation import choice
from .._linalg.batched import (
    adjoint,
    eigh,
    matrices,
    real_dtype,
    square,
    svd,
    thresholds,
)
from ._svd_gradient import VARIANTS, eigh_vjp, svd_vjp
from ._svt import check_form, shrunk


def svt_vjp(
    a: ArrayInput,
    threshold: ArrayInput,
    g: ArrayInput,
    *,
    form: Literal["general", "hermitian", "psd"] = "general",
    variant: Literal["exact", "standard", "inv", "tf", "clip", "taylor"] = "exact",
    factors: tuple[Any, ...] | None = None,
) -> tuple[AnyArray, AnyArray]:
    r"""The gradient of a loss with respect to the arguments of `svt`.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
        The argument of `svt`.
    threshold : float or array_like
        Likewise.
    g : array_like, shape (..., m, n)
        Gradient with respect to the result: of a real loss ``L``, ``dL = Re sum(conj(g)
        * d svt)``, as in PyTorch for complex numbers.
    form : {"general", "hermitian", "psd"}
        The argument of `svt`.
    variant : {"exact", "standard", "inv", "tf", "clip", "taylor"}
        "exact" uses divided differences. The others go through the gradients of the
        factors, see `svd_vjp`; they are for comparison.
    factors : tuple of array, optional
        ``(u, s, vh)`` of a thin SVD of `a` (for the other forms ``(w, v)`` of
        `numpy.linalg.eigh`), if already known.

    Returns
    -------
    ga : array, shape (..., m, n)
        Gradient with respect to `a`. For "exact", ``||ga|| <= ||g||`` for every matrix.
    gthreshold : array
        Gradient with respect to `threshold`, in its shape.

    Raises
    ------
    ValueError, TypeError
        As `svt`; if `g` does not have the shape of `a`; or for an unknown `variant`.

    Notes
    -----
    With :math:`M = U^H G V`, :math:`f(s) = \max(s - \tau, 0)` for the threshold
    :math:`\tau`, and the Hermitian and skew-Hermitian parts :math:`M_+` and :math:`M_-`
    of M,

    .. math::

       G_A &= U (D_1 \circ M_+ + D_2 \circ M_-) V^H
       + (I - U U^H) G V \operatorname{diag}(f / s) V^H
       + U \operatorname{diag}(f / s) U^H G (I - V V^H), \\
       D_{1, ij} &= \frac{f_i - f_j}{s_i - s_j}, \qquad
       D_{2, ij} = \frac{f_i + f_j}{s_i + s_j}, \qquad f_i = f(s_i),

    where :math:`D_1`, :math:`D_2` and :math:`f / s` lie between 0 and 1. If a singular
    value equals the threshold, `svt` has no derivative and this is the one-sided
    derivative from below. The cost is one
    singular value decomposition (none with `factors`) and some products of that size.

    References
    ----------
    A. S. Lewis, "Derivatives of spectral functions", Math. Oper. Res. 21 (1996).

    Examples
    --------
    A double singular value, for which the usual formula divides by zero:

    >>> import numpy as np
    >>> from convinv.lowrank import svt, svt_vjp
    >>> a, g = np.array([[2.0, 4.0], [-4.0, 2.0]]), np.ones((2, 2))
    >>> ga, gt = svt_vjp(a, 1.0, g)
    >>> h = 1e-6 * np.array([[0, 1.0], [0, 0]])
    >>> slope = np.sum(svt(a + h, 1.0) - svt(a - h, 1.0)) / 2e-6
    >>> bool(np.isclose(ga[0, 1], slope))
    True
    >>> bool(np.isclose(svt_vjp(a, 1.0, g, variant="standard")[0][0, 1], slope))
    False
    """
    a = matrices(a) if check_form(form) == "general" else square(a)
    choice(variant, "variant", ("exact", *VARIANTS))
    xp, shape = namespace(a), np.shape(threshold)
    g = cotangent(g, a)
    tau = thresholds(threshold, a)
    if a.size == 0:
        return copy(g), xp.zeros(shape, dtype=tau.dtype)
    wide = xp.broadcast_to(tau, a.shape[:-2])[..., None]
    if factors is None:
        factors = svd(a) if form == "general" else eigh(a)
    with np.errstate(invalid="ignore", over="ignore"):
        if form == "general":
            ga, gt = _general(factors, wide, g, variant)
        else:
            ga, gt = _hermitian(factors, wide, (g + adjoint(g)) / 2, variant, form)
    return ga, sum_to(gt, shape)


def svt_and_factors(a, threshold, form="general"):
    """`svt`, and the factors for `svt_vjp`."""
    if check_form(form) == "general":
        a = matrices(a)
        xp, tau = namespace(a), thresholds(threshold, a)
        u, s, vh = svd(a)
        f = xp.maximum(s - tau[..., None], 0)
        return (u * f[..., None, :]) @ vh, (u, s, vh)
    a = square(a)
    tau = thresholds(threshold, a)
    w, v = eigh(a)
    return (v * shrunk(w, tau[..., None], form)[..., None, :]) @ adjoint(v), (w, v)


def cotangent(g, a):
    """`g` as an array like `a`; NaN and infinity are allowed."""
    g = matrices(g, "g", finite=False)
    if g.shape != a.shape:
        raise ValueError(f"g must have the shape of a, {a.shape}, got {g.shape}")
    if a.dtype.kind == "f" and g.dtype.kind == "c":
        g = g.real
    return g.astype(a.dtype, copy=False)


def sum_to(values, shape):
    """The gradient of an array that was broadcast from `shape` to that of `values`."""
    extra = values.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + i for i, n in enumerate(shape) if n == 1 != values.shape[extra + i]
    )
    return values.sum(axis=axes, keepdims=False).reshape(shape) if axes else values


def _general(factors, tau, g, variant):
    xp = namespace(g)
    u, s, vh = factors
    f = xp.maximum(s - tau, 0)
    v = adjoint(vh)
    diagonal = xp.sum(u.conj() * (g @ v), axis=-2).real
    above = s > tau
    gt = -xp.sum(xp.where(above, diagonal, 0), axis=-1)
    if variant == "exact":
        return lift(u, vh, g, *_soft_differences(s, f, tau)), gt
    gs = xp.where(above, diagonal, 0)
    gu, gvh = (g @ v) * f[..., None, :], f[..., :, None] * (adjoint(u) @ g)
    return svd_vjp(u, s, vh, gu, gs, gvh, variant=variant), gt


def _soft_differences(s, f, tau):
    """``(D1, D2, f / s)`` of the soft threshold."""
    xp = namespace(s)
    above = (s > tau) | (tau == 0)  # with threshold 0 it is the identity
    slope = above.astype(s.dtype)
    d1 = _quotients(s, f, slope, slope)
    one, other = s[..., :, None], s[..., None, :]
    total = one + other
    d2 = (f[..., :, None] + f[..., None, :]) / xp.where(total > 0, total, 1)
    at_zero = (tau == 0).astype(s.dtype)  # f'(0)
    d2 = xp.where(total > 0, d2, at_zero[..., None])
    return d1, d2, xp.where(s > 0, f / xp.where(s > 0, s, 1), at_zero)


def _quotients(s, f, slope, piece):
    """``(f_i - f_j) / (s_i - s_j)`` of a piecewise linear function.

    Values on one piece have its slope; values on two pieces differ.
    """
    xp = namespace(s)
    same = piece[..., :, None] == piece[..., None, :]
    gap = xp.where(same, 1, s[..., :, None] - s[..., None, :])
    steps = (f[..., :, None] - f[..., None, :]) / gap
    return xp.where(same, slope[..., :, None], steps)


def lift(u, vh, g, d1, d2, ratio):
    """The gradient with respect to A from divided differences."""
    v, uh = adjoint(vh), adjoint(u)
    gv = g @ v
    inner = uh @ gv
    mirrored = adjoint(inner)
    core = d1 * ((inner + mirrored) / 2) + d2 * ((inner - mirrored) / 2)
    result = u @ core @ vh
    k = vh.shape[-2]
    if u.shape[-2] > k:
        result = result + ((gv - u @ inner) * ratio[..., None, :]) @ vh
    if vh.shape[-1] > k:
        rest = uh @ g - inner @ vh
        result = result + u @ (ratio[..., :, None] * rest)
    return result


def _hermitian(factors, tau, g, variant, form):
    """For ``f(w) = max(w - tau, 0)``, or its odd continuation."""
    xp = namespace(g)
    w, v = factors
    above = (w > tau).astype(w.dtype)
    below = (w < -tau).astype(w.dtype) if form == "hermitian" else 0 * above
    f = above * (w - tau) + below * (w + tau)
    inner = adjoint(v) @ g @ v
    diagonal = xp.sum(v.conj() * (g @ v), axis=-2).real
    gt = -xp.sum((above - below) * diagonal, axis=-1)
    if variant != "exact":
        gw, gv = (above + below) * diagonal, 2 * (g @ v) * f[..., None, :]
        return eigh_vjp(w, v, gw, gv, variant=variant), gt
    if form == "hermitian":  # with threshold 0 it is the identity
        whole = (tau == 0).astype(w.dtype)
        slope = xp.maximum(above + below, whole)
        piece = xp.where(tau == 0, 0, above - below)
    else:
        slope = piece = above
    core = _quotients(w, f, slope, piece) * inner
    return v @ core @ adjoint(v), gt


def spectral_vjp(
    u: AnyArray,
    s: AnyArray,
    vh: AnyArray,
    g: ArrayInput,
    values: ArrayInput,
    slopes: ArrayInput,
) -> AnyArray:
    """The gradient through any function ``U diag(f(s)) V^H`` of the singular values.

    Parameters
    ----------
    u, s, vh : array, shapes (..., m, k), (..., k) and (..., k, n)
        A thin SVD with ``k = min(m, n)``.
    g : array_like, shape (..., m, n)
        Gradient with respect to the result.
    values, slopes : array_like, shape (..., k)
        ``f(s)`` and ``f'(s)``. At a singular value 0, ``f(0) = 0`` is assumed;
        otherwise there is no derivative.

    Returns
    -------
    array, shape (..., m, n)
        Gradient with respect to the matrix.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    Like `svt_vjp`, which is exact for the soft threshold. Here the mean of the slopes
    replaces the quotient of values whose relative difference is less than the cube root
    of a rounding error. This is right to about 1e-10 for a smooth f, but not if f has a
    kink or a step between them.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.lowrank import spectral_vjp
    >>> u, s, vh = np.linalg.svd(np.array([[2.0, 4.0], [-4.0, 2.0]]))
    >>> spectral_vjp(u, s, vh, np.ones((2, 2)), s, np.ones(2)).round(12)
    array([[1., 1.],
           [1., 1.]])
    """
    g = matrices(g, "g", finite=False)
    xp = namespace(g)
    if g.shape != (*u.shape[:-1], vh.shape[-1]) or s.shape[-1] != min(g.shape[-2:]):
        raise ValueError(
            "g must have shape (..., m, n) and s (..., min(m, n)), got "
            f"{g.shape} and {s.shape} for u and vh of {u.shape} and {vh.shape}"
        )
    real = real_dtype(g.dtype)
    f, slopes = (
        xp.broadcast_to(xp.asarray(x, dtype=real), s.shape) for x in (values, slopes)
    )
    one, other = s[..., :, None], s[..., None, :]
    total, gap = one + other, one - other
    near = abs(gap) <= np.finfo(real).eps ** (1 / 3) * total
    d1 = (f[..., :, None] - f[..., None, :]) / xp.where(near, 1, gap)
    mean = (slopes[..., :, None] + slopes[..., None, :]) / 2
    d1 = xp.where(near, mean, d1)
    d2 = (f[..., :, None] + f[..., None, :]) / xp.where(total > 0, total, 1)
    d2 = xp.where(total > 0, d2, mean)
    ratio = xp.where(s > 0, f / xp.where(s > 0, s, 1), slopes)
    return lift(u, vh, g, d1, d2, ratio)
