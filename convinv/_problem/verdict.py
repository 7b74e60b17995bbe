"""The verdict on an x: the tolerances of a solve and the tests on its residuals."""

from dataclasses import dataclass

import numpy as np

from .items import NOISE, Goals

AIM = 0.8  # methods aim a little lower, since their own norms drift
FLOOR = 4  # rounding errors of ||A|| ||b|| that no normal residual can go below
ROUNDING = 8  # rounding errors of x in its dtype that the residuals may contain
# In units of ``||A|| ||r||``: such a small normal residual shows that r is outside the
# range of A, unless the condition number exceeds the inverse of this.
OUTSIDE = 1e-10
# In units of `rtol_normal`, the same for more data than unknowns. A missing part of x
# then has a singular value of at most this many rtol ||A||.
SHARE = 20
# The same in units of the smallest singular value, if a factor or damping gives it.
RESOLVED = 0.01

# In units of ``rtol_normal cond(A)``, the largest relative error of x that passes.
ERROR = 50


@dataclass
class Check:
    """Norms of the residual of one x in scaled units, on the host, shape (B,).

    The residual r and the normal residual s themselves, in the working dtype, are
    present if some item does not pass.
    """

    r: object
    s: object
    residual: np.ndarray
    normal: np.ndarray
    whole: np.ndarray  # the residual of [A; damp I]
    x_norm: np.ndarray
    good: np.ndarray
    measure: np.ndarray  # distance from the tolerance, 1 or less passes
    outside: np.ndarray  # passes by the normal residual alone


class Verdict:
    """The two tests, in scaled units.

    The residual test is ``||r|| <= max(rtol ||b||, atol)``. The normal test asks for
    ``||s|| <= max(rtol_normal ||A^H b||, floor)`` of the normal residual s, and that s
    is also small compared with ``||A|| ||r||``: only then can no x reduce r. With
    damping, r is the residual of ``[A; damp I]``.

    Parameters
    ----------
    norm : float
        A lower bound of ``||A||``.
    norm_b, normal_b : ndarray, shape (B,)
        ``||b||`` and ``||A^H b||``, NaN where there is no adjoint.
    damp : float
    rtol, rtol_normal : float
    atol : ndarray, shape (B,)
    tall : bool
        Whether there are more equations than unknowns.
    eps : float
        The precision of b.

    Attributes
    ----------
    sigma : ndarray, shape (B,)
        The best estimate of the smallest singular value, from the methods; NaN if there
        is none.
    certain : float
        The same from a factor of all of A. A Krylov method may not have found it yet.
    eps : float
        The precision of the methods: their goal for s is not below its rounding.
    """

    def __init__(
        self, norm, norm_b, normal_b, *, damp, rtol, rtol_normal, atol, tall, eps
    ):
        self.norm, self.norm_b, self.damp = norm, norm_b, damp
        self.has_normal = ~np.isnan(normal_b)
        self.normal_b = normal_b
        self.residual_tol = rtol * norm_b if damp else np.maximum(rtol * norm_b, atol)
        floor = FLOOR * np.finfo(np.float64).eps * norm * norm_b
        self.normal_tol = np.maximum(rtol_normal * normal_b, floor)
        # x = 0 is right for a b that is orthogonal to the range up to rounding
        rounding = FLOOR * eps * norm * norm_b
        self.orthogonal = tall & (normal_b <= rounding)
        self.normal_tol = np.where(self.orthogonal, rounding, self.normal_tol)
        self.zero = (norm_b == 0) | (norm == 0)
        self.loose = tall or damp > 0
        self.share = max(OUTSIDE, SHARE * rtol_normal if self.loose else 0.0)
        self.rtol_normal, self.eps = rtol_normal, eps
        self.sigma, self.certain = np.full_like(norm_b, np.nan), 0.0

    def ratio(self, items=slice(None)):
        """The largest s that passes, in units of r."""
        ratio = np.full_like(self.norm_b[items], self.share * self.norm)
        if not self.loose:
            return ratio
        ratio = np.maximum(ratio, RESOLVED * np.hypot(self.certain, self.damp))
        return np.where(self.orthogonal[items], np.inf, ratio)

    def whole(self, residual, x_norm):
        """The norm of the residual of ``[A; damp I]``."""
        return np.hypot(residual, self.damp * x_norm) if self.damp else residual

    def least(self, whole, x_norm, items=slice(None)):
        """The norm of s that passes with an x and an r of these norms."""
        tol = np.minimum(self.normal_tol[items], self.ratio(items) * whole)
        return np.minimum(tol, self._accurate(x_norm, items))

    def _accurate(self, x_norm, items=slice(None)):
        """The norm of s at which the error of x agrees with the condition number.

        The error is at most ``||s||`` over the square of the smallest singular value:
        if that is known, the error must not be many times ``rtol cond(A) ||x||``.
        """
        sigma = np.hypot(self.certain, self.damp)
        if not (self.loose and sigma > 0):
            return np.full_like(self.norm_b[items], np.inf)
        error = ERROR * self.rtol_normal * np.hypot(self.norm, self.damp) * sigma
        eps = np.finfo(float).eps
        if sigma <= NOISE * self.eps * self.norm:  # it may be rounding of the operator
            eps = self.eps
        rounding = FLOOR * eps * self.norm * self.norm_b[items]
        error = np.maximum(error * x_norm, rounding)
        return np.where(self.orthogonal[items], np.inf, error)

    def measure(self, norms, x_norm, items=slice(None), eps=0.0):
        """The distances of both tests from passing, ``(2, items)``; 1 or less passes.

        `norms` are those of r and s, ``(2, items)``. With `eps`, x is a solution that
        passed, rounded to a dtype of that precision.
        """
        whole, tiny = self.whole(norms[0], x_norm), np.finfo(float).tiny
        more = ROUNDING * eps * self.norm_b[items]
        more = np.minimum(more, ROUNDING * eps * self.norm * x_norm)
        least = self.least(whole, x_norm, items)
        least = least + more * np.hypot(self.norm, self.damp)
        far = whole / np.maximum(self.residual_tol[items] + more, tiny)
        near = norms[1] / np.maximum(least, tiny)
        measures = np.where(np.isfinite(norms[0]), np.stack([far, near]), np.inf)
        measures[np.isnan(measures)] = np.inf
        measures[:, self.zero[items]] = 0.0
        return measures

    def good(self, norms, x_norm, items):
        """Whether either test passes."""
        return self.measure(norms, x_norm, items).min(axis=0) <= 1

    def check(self, norms, x_norm, r, s, eps=0.0) -> Check:
        """The verdict on an x from the norms ``(2, B)`` of its r and s."""
        far, near = self.measure(norms, x_norm, eps=eps)
        best = np.fmin(far, near)
        whole = self.whole(norms[0], x_norm)
        outside = (near <= 1) & (far > 1)
        residual, normal = norms
        return Check(r, s, residual, normal, whole, x_norm, best <= 1, best, outside)

    def goals(self, check, put, conlim=None) -> Goals:
        """The goals of methods from `check` on; `put` moves arrays to a device."""
        residual = np.full_like(self.norm_b, -1.0) if self.damp else self.residual_tol
        # x = 0 does not show its length; a step of the power method does
        size = self.normal_b / np.hypot(self.norm, self.damp) ** 2
        size = np.where(check.x_norm > 0, check.x_norm, size)
        least = np.minimum(self.normal_tol, self._accurate(size))
        rounding = FLOOR * self.eps * self.norm
        normal = np.minimum(least, self.ratio() * check.whole)
        normal = np.maximum(normal, rounding * check.whole)
        if self.damp:
            least = normal
        least, normal = (np.where(self.has_normal, a, -1.0) for a in (least, normal))
        return Goals(
            put(AIM * residual),
            put(AIM * normal),
            put(AIM * least),
            share=None if self.damp else AIM * self.share * self.norm,
            rounding=rounding,
            conlim=conlim,
        )

    def learn(self, sigma, items):
        """Record a method's estimate of the smallest singular value, (B,)."""
        known = items & np.isfinite(sigma) & (sigma > 0)
        self.sigma = np.where(known, np.fmin(self.sigma, sigma), self.sigma)

    def error_bound(self, check, x_norm, eps):
        """An estimate of ``||x - x*|| / ||x||``, NaN where sigma is unknown.

        x* is the solution without rounding; `eps` is the relative rounding of x itself.
        """
        sigma = self.sigma
        if self.damp:  # a lower bound in any case
            sigma = np.hypot(np.nan_to_num(sigma), self.damp)
        with np.errstate(all="ignore"):
            error = np.fmin(check.residual / sigma, check.normal / sigma**2)
            if self.damp:
                error = check.normal / sigma**2
            bound = error / x_norm + eps
        return np.where(self.zero, 0.0, np.where(np.isnan(sigma), np.nan, bound))
