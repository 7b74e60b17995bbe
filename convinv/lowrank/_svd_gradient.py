"""Gradients through the factors of a matrix, in the variants that papers name."""

from __future__ import annotations

from typing import Literal

import numpy as np

from .._core.arrays import namespace
from .._core.typing import AnyArray, ArrayInput
from .._core.validation import choice
from .._linalg.batched import adjoint

VARIANTS = ("standard", "inv", "tf", "clip", "taylor")
LIMIT = 1e30  # the value above which "inv" assumes infinity, and that of "clip"
TERMS = 10  # of the series of "taylor"


def svd_vjp(
    u: AnyArray,
    s: AnyArray,
    vh: AnyArray,
    gu: ArrayInput | None = None,
    gs: ArrayInput | None = None,
    gvh: ArrayInput | None = None,
    *,
    variant: Literal["standard", "inv", "tf", "clip", "taylor"] = "standard",
    limit: float = LIMIT,
) -> AnyArray:
    r"""The gradient of a loss through the factors of a thin SVD.

    Parameters
    ----------
    u, s, vh : array, shapes (..., m, k), (..., k) and (..., k, n)
        ``A = u diag(s) vh``, s descending, with k at least the rank of A.
    gu, gs, gvh : array_like, optional
        Gradients of the loss with respect to the factors, in their shapes; None is
        zero. The loss must not depend on the phases (for real matrices, signs) of
        singular vectors, which are arbitrary.
    variant : {"standard", "inv", "tf", "clip", "taylor"}
        The treatment of ``F_ij = 1 / (s_j^2 - s_i^2)`` and of ``1 / s_i``:

        - "standard": unchanged, infinite where values are equal or 0.
        - "inv": where ``|F_ij| > limit`` it is 0, and the part of `gu` between the two
          vectors is multiplied by ``T_ij = 1 / s_i`` instead; ``1 / 0`` is 0.
        - "tf": 0 replaces non-finite values.
        - "clip": `limit` replaces non-finite values.
        - "taylor": the first ten terms of a geometric series for each ``F_ij``, whether
          the values are close or not; ``1 / 0`` is 0.
    limit : float
        See `variant`.

    Returns
    -------
    array, shape (..., m, n)
        Gradient with respect to A.

    Raises
    ------
    ValueError
        For an unknown `variant`, or shapes that do not fit.

    Notes
    -----
    With the gradients :math:`G_U`, :math:`G_S` and :math:`G_V` (the adjoint of
    ``gvh``), the skew-Hermitian part :math:`X_-` of a matrix X, and the entrywise
    product :math:`\circ`, the gradient is

    .. math::

       G_A = {} & U \Bigl[ 2 F \circ (U^H G_U)_- \, S + T \circ (U^H G_U)
       + \operatorname{diag}(G_S) + 2 S \, F \circ (V^H G_V)_- \\
       & + \tfrac{i}{2} S^{-1} \operatorname{diag}(
       \operatorname{Im} \operatorname{diag}(U^H G_U - V^H G_V)) \Bigr] V^H \\
       & + (I - U U^H) G_U S^{-1} V^H + U S^{-1} G_V^H (I - V V^H).

    The term with i is missing in equation 34 of the paper on
    "inv", which is therefore wrong for complex matrices.

    All variants agree if singular values are distinct; only then is the gradient of the
    factors defined. For functions of the matrix such as `svt` use `svt_vjp` or
    `spectral_vjp`, which are exact everywhere. "inv" is exact where values are equal
    only for losses of A itself, with ``f(s) = s``.

    References
    ----------
    Y. Zhang, Y. Hu, "Differentiable SVD based on Moore-Penrose pseudoinverse for
    inverse imaging problems" (inv). W. Wang et al., "Robust differentiable SVD", IEEE
    Trans. Pattern Anal. Mach. Intell. 44 (2022) (taylor). J. Townsend, "Differentiating
    the singular value decomposition" (2016).

    Examples
    --------
    The loss ``sum(A)``, written with the factors:

    >>> import numpy as np
    >>> from convinv.lowrank import svd_vjp
    >>> a = np.array([[2.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
    >>> u, s, vh = np.linalg.svd(a, full_matrices=False)
    >>> gu, gvh = np.ones((3, 2)) @ vh.T * s, s[:, None] * (u.T @ np.ones((3, 2)))
    >>> gs = np.diag(u.T @ np.ones((3, 2)) @ vh.T)
    >>> svd_vjp(u, s, vh, gu, gs, gvh).round(12)
    array([[1., 1.],
           [1., 1.],
           [1., 1.]])
    """
    choice(variant, "variant", VARIANTS)
    xp, v, uh = namespace(u), adjoint(vh), adjoint(u)
    gu = _like(xp, gu, u, "gu")
    gvh = _like(xp, gvh, vh, "gvh")
    gs = _like(xp, gs, s, "gs")
    gv = adjoint(gvh)
    with np.errstate(all="ignore"):
        pairs, same, inverse = _pairs(s, variant, limit)
        mu, mv = uh @ gu, adjoint(v) @ gv
        core = (pairs * (mu - adjoint(mu))) * s[..., None, :]
        core = core + s[..., :, None] * (pairs * (mv - adjoint(mv)))
        if same is not None:
            core = core + same * mu
        diagonal = gs.astype(u.dtype)
        if u.dtype.kind == "c":
            phase = (_diagonal(mu).imag - _diagonal(mv).imag) / 2
            diagonal = diagonal + 1j * (phase * inverse)
        core = core + diagonal[..., None, :] * _eye(xp, s)
        result = u @ core @ vh
        if u.shape[-2] > u.shape[-1]:
            result = result + ((gu - u @ mu) * inverse[..., None, :]) @ vh
        if vh.shape[-1] > vh.shape[-2]:
            rest = gvh - adjoint(mv) @ vh
            result = result + u @ (inverse[..., :, None] * rest)
    return result.astype(u.dtype, copy=False)


def _like(xp, g, factor, name):
    if g is None:
        return xp.zeros_like(factor)
    g = xp.asarray(g)
    if g.shape != factor.shape:
        raise ValueError(f"{name} must have shape {factor.shape}, got {g.shape}")
    if factor.dtype.kind == "f" and g.dtype.kind == "c":
        g = g.real
    return g.astype(factor.dtype, copy=False)


def _diagonal(a):
    return a.diagonal(axis1=-2, axis2=-1)


def _eye(xp, s):
    return xp.eye(s.shape[-1], dtype=s.dtype)


def _pairs(s, variant, limit):
    """``F``, ``T`` (or None) and ``1 / s``."""
    xp = namespace(s)
    one, other = s[..., :, None], s[..., None, :]
    off = _eye(xp, s) == 0
    pairs = 1 / xp.where(off, (other - one) * (other + one), 1)
    inverse, same = 1 / s, None
    if variant == "taylor":
        pairs = _series(one**2, other**2)
    if variant == "inv":
        equal = ~(abs(pairs) <= limit) & off
        largest = np.finfo(s.dtype).max
        ones = xp.where(one > 0, xp.minimum(1 / one, largest), 0)
        same = xp.where(equal, ones, 0)
        pairs = xp.where(equal, 0, pairs)
    if variant in ("tf", "clip"):
        filling = 0 if variant == "tf" else limit
        pairs = xp.where(xp.isfinite(pairs), pairs, filling)
        inverse = xp.where(xp.isfinite(inverse), inverse, filling)
    if variant in ("inv", "taylor"):
        inverse = xp.where(s > 0, xp.minimum(inverse, np.finfo(s.dtype).max), 0)
    return xp.where(off, pairs, 0), same, inverse


def _series(one, other, ascending=False):
    """Ten terms of ``1 / (other - one)`` of sorted numbers; ties count as in order.

    The series is in powers of the smaller magnitude divided by the larger.
    """
    xp = namespace(one)
    rising = abs(other) > abs(one)
    rows = xp.arange(one.shape[-2])
    order = rows[:, None] > rows[None, :]  # `other` precedes `one`
    order = ~order if ascending else order
    rising = xp.where(abs(other) == abs(one), order, rising)
    high, low = xp.where(rising, other, one), xp.where(rising, one, other)
    ratio = low / xp.where(high != 0, high, 1)
    total = xp.zeros_like(ratio)
    for _ in range(TERMS):
        total = 1 + ratio * total
    total = xp.where(high != 0, total / high, 0)
    return xp.where(rising, total, -total)


def eigh_vjp(
    w: AnyArray,
    v: AnyArray,
    gw: ArrayInput | None = None,
    gv: ArrayInput | None = None,
    *,
    variant: Literal["standard", "inv", "tf", "clip", "taylor"] = "standard",
    limit: float = LIMIT,
) -> AnyArray:
    """The gradient of a loss through eigenvalues and eigenvectors of Hermitian A.

    Parameters
    ----------
    w, v : array, shapes (..., n) and (..., n, n)
        ``A = v diag(w) v^H``, as of `numpy.linalg.eigh`.
    gw, gv : array_like, optional
        Gradients of the loss with respect to them; None is zero. The loss must not
        depend on the phases (signs) of the eigenvectors.
    variant : {"standard", "inv", "tf", "clip", "taylor"}
        The treatment of ``F_ij = 1 / (w_j - w_i)``, as in `svd_vjp`. Here the equation
        of a pair is ``dP_ij = (w_j - w_i) x``, whose pseudoinverse is 0 if the values
        are equal, so that "inv" is 0 where ``|F_ij| > limit``.
    limit : float
        See `svd_vjp`.

    Returns
    -------
    array, shape (..., n, n)
        Gradient with respect to A, Hermitian.

    Raises
    ------
    ValueError
        For an unknown `variant`, or shapes that do not fit.

    Notes
    -----
    ``dL/dA`` is the Hermitian part of ``V [diag(gw) + F * (V^H gv)] V^H``.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.lowrank import eigh_vjp
    >>> w, v = np.linalg.eigh(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> eigh_vjp(w, v, gw=[0.0, 1.0]).round(12)  # of the largest eigenvalue
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    choice(variant, "variant", VARIANTS)
    xp = namespace(v)
    gw, gv = _like(xp, gw, w, "gw"), _like(xp, gv, v, "gv")
    with np.errstate(all="ignore"):
        one, other = w[..., :, None], w[..., None, :]
        off = _eye(xp, w) == 0
        pairs = 1 / xp.where(off, other - one, 1)
        if variant == "taylor":
            pairs = _series(one, other, ascending=True)
        elif variant == "inv":
            pairs = xp.where(abs(pairs) <= limit, pairs, 0)
        elif variant != "standard":
            filling = 0 if variant == "tf" else limit
            pairs = xp.where(xp.isfinite(pairs), pairs, filling)
        pairs = xp.where(off, pairs, 0)
        core = pairs * (adjoint(v) @ gv) + gw[..., None, :] * _eye(xp, w)
        result = v @ core @ adjoint(v)
    return (result + adjoint(result)) / 2
