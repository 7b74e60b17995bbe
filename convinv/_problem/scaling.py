"""The problem in units where nothing over- or underflows."""

from dataclasses import replace

import numpy as np

from .. import kernels
from .._core.arrays import contiguous, copy, placement, to_numpy
from ..operators._scale import powers, size_of
from .problem import Problem
from .residual import Residuals
from .scaled_operator import scale_operator
from .units import Units
from .verdict import Verdict

DATA_POWER = 32  # largest binary exponent of items of b that are not scaled
DAMP_POWER = 30  # largest exponent of a damp that is not scaled
SURE = 100  # rounding errors above which a norm in the working dtype is accurate


class ScaledProblem:
    """The problem of a solve in its `units`, and the iterate x between methods.

    Parameters
    ----------
    op : operator
    layout : Layout
        The data and the start as batches of vectors.
    damp, rtol, atol : float
    rtol_normal : float, optional
        The tolerance of the normal residual, by default `rtol`.

    Attributes
    ----------
    layout : Layout
    units : Units
        They convert between the user's numbers and the scaled ones, which all others
        here are.
    zero : ndarray of bool, shape (B,)
        The items whose solution is zero.
    b : array, shape (B, m)
    x : array, shape (B, n), or None
        The current iterate; None is zero.
    gradient : array, shape (B, n)
        ``A^H b`` in the working dtype.
    wide : operator
        A, with the precision that the user gave it.
    working : operator
        A in the working dtype, for the methods.
    dtype, kind : dtype
        The working dtype, as NumPy's and as that of the arrays' library.
    damp, rtol : float
    residuals : Residuals
        Residuals in double precision.
    verdict : Verdict
        The tests that an x has to pass.
    """

    def __init__(self, op, layout, damp, rtol, atol, rtol_normal=None):
        self.layout, self.rtol = layout, rtol
        self.dtype, self.kind = layout.dtype, layout.kind
        self.units, self.b, norm, norm_b = _scale(op, layout, damp)
        largest = to_numpy(layout.extent[0])
        self.zero = largest == 0
        if norm == 0 and damp:  # x = 0 is right, and without damp any x
            self.zero = np.ones_like(self.zero)
        self.wide = scale_operator(op, self.units.operator)
        self.working = _in_dtype(self.wide, self.dtype)
        self.damp = self.units.scale_damp(damp)
        self.residuals = Residuals(self.wide, self.b, self.damp)
        self.x = None if layout.x0 is None else self._start(layout.x0)
        self.gradient, normal_b = self._gradient(norm, norm_b)
        if not np.all(np.isfinite(normal_b)) and op.has_adjoint:
            raise ValueError("op gives a product with b that is not finite")
        self.verdict = Verdict(
            norm,
            norm_b,
            normal_b,
            damp=self.damp,
            rtol=rtol,
            rtol_normal=rtol if rtol_normal is None else rtol_normal,
            atol=self.units.scale_residual_norm(atol),
            tall=op.shape[0] > op.shape[1],
            eps=float(np.finfo(self.dtype).eps),
        )

    @property
    def xp(self):
        """The library of the arrays."""
        return self.layout.xp

    @property
    def vectors(self):
        """The kernels for vectors of that library."""
        return kernels.load("vectors", self.xp)

    @property
    def is_single(self):
        """Whether methods work in single precision."""
        return self.dtype != np.result_type(self.dtype, np.float64)

    def widen(self):
        """Continue in double precision; False if it already works in double."""
        if not self.is_single:
            return False
        wide = np.result_type(self.dtype, np.float64)
        self.dtype, self.kind = wide, self.residuals.dtype
        self.verdict.eps = float(np.finfo(wide).eps)
        self.b = self.residuals.wide(self.b)
        self.working = _in_dtype(self.wide, self.dtype)
        self.residuals = Residuals(self.wide, self.b, self.damp)
        self.gradient, _ = self._gradient(self.verdict.norm, self.verdict.norm_b)
        self.hold_wide()
        return True

    def hold_wide(self):
        """Keep x in double precision from now on: its corrections may be finer."""
        if self.x is not None:
            self.x = self.residuals.wide(self.x)

    def _start(self, x0):
        """x0 in scaled units, zero where b is."""
        xp, zero = self.xp, self.xp.zeros_like(x0)
        x = self.units.scale_x(xp, xp.where(self._keep(), x0, zero))
        if not bool(xp.all(xp.isfinite(x))):
            raise ValueError("x0 is too large for the scale of b and the kernel")
        return xp.where(self._keep(), x, xp.zeros_like(x))

    def _keep(self):
        """The items with b != 0, as a column."""
        return self.xp.asarray(~self.zero, **self._place)[:, None]

    @property
    def _place(self):
        return placement(self.b)

    def _gradient(self, norm_a, norm_b):
        """``A^H b`` in the working dtype, and its norm as in double precision."""
        xp, op = self.xp, self.working
        if op.fused:
            shape = (self.layout.batch, *op.output_shape)
            s, squares = op.apply_adjoint(xp.reshape(self.b, shape), sumsq=True)
            norm = np.sqrt(to_numpy(squares))
            double = self.dtype == np.result_type(self.dtype, np.float64)
            rounding = np.finfo(self.dtype).eps * norm_a * norm_b
            if double or np.all((norm > SURE * rounding) | self.zero):
                return xp.reshape(s, (shape[0], -1)), norm
        s = self.residuals.adjoint(self.residuals.wide(self.b))
        norm = np.sqrt(to_numpy(self.vectors.sumsq(s)))
        return xp.astype(s, self.kind, copy=False), norm

    def check(self, x=None, eps=0.0):
        """The verdict on x (None: the current iterate), in double precision.

        With `eps`, x is a good solution rounded to a dtype of that precision.
        """
        x = self.x if x is None else x
        r, s = self.b, self.gradient
        norms = np.stack([self.verdict.norm_b, self.verdict.normal_b])
        x_norm = self.x_norm(x)
        if x is not None:
            norms, r, s = self.residuals(
                x, lambda norms, items: self._enough(norms, x_norm, items)
            )
        return self.verdict.check(norms, x_norm, r, s, eps)

    def x_norm(self, x):
        """The norms of the items of x on the host."""
        if x is None:
            return np.zeros(self.layout.batch)
        return np.sqrt(to_numpy(self.vectors.sumsq(x)))

    def _enough(self, norms, x_norm, items):
        return bool(self.verdict.good(norms[:, items], x_norm[items], items).all())

    def goals(self, check, conlim=None):
        """The goals of methods from there, on the device."""
        put = lambda a: self.xp.asarray(a, **self._place)  # noqa: E731
        return self.verdict.goals(check, put, conlim)

    def problem(self, check, preconditioner, maxiter, rng, finest=False):
        """The problem of the correction to the current x."""
        return Problem(
            self.working,
            check.r,
            gradient=check.s if self.wide.has_adjoint else None,
            origin=self._narrow(self.x),
            damp=self.damp,
            kernel_scale=self.units.operator_scale,
            x_scale=self.xp.asarray(self.units.x_scale, **self._place),
            preconditioner=preconditioner,
            maxiter=maxiter,
            rtol=self.rtol,
            finest=finest,
            rng=rng,
        )

    def _narrow(self, x):
        """x in the working dtype."""
        return x if x is None else self.xp.astype(x, self.kind, copy=False)

    def advance(self, d, active):
        """Add the finite corrections of active items; returns which are finite."""
        xp = self.xp
        d = contiguous(xp.astype(d, self.kind, copy=False))
        if self._is_given(d):
            d = copy(d)
        finite = xp.isfinite(self.vectors.extent(d)[0])
        changed = to_numpy(active & finite)
        if changed.all():
            finite = changed
        else:
            d = xp.where((active & finite)[:, None], d, xp.zeros_like(d))
        self.x = d if self.x is None else self.x + xp.astype(d, self.x.dtype)
        return to_numpy(finite)

    def _is_given(self, d):
        """Whether d may share memory with b, the gradient or the user's arrays."""
        share = getattr(self.xp, "may_share_memory", lambda a, b: a is b)
        return any(share(d, a) for a in (self.b, self.gradient))

    def restore(self, x, items):
        """Take `items` back to an earlier x."""
        old = self.xp.zeros_like(self.x) if x is None else x
        items = self.xp.asarray(items, **self._place)[:, None]
        self.x = self.xp.where(items, old, self.x)

    def solution(self, d=None):
        """A new array of x, or x + d, in the user's units; zero where b is zero."""
        parts = [p for p in (self.x, d) if p is not None]
        xp = self.xp
        if parts:
            x = sum(parts[1:], parts[0])
        else:
            shape = (self.layout.batch, self.wide.shape[1])
            x = xp.zeros(shape, dtype=self.layout.kind, **self._place)
        x = self.units.unscale_x(xp, x)
        x = xp.astype(x, self.layout.kind, copy=False)
        return xp.where(self._keep(), x, xp.zeros_like(x))

    def deliver(self):
        """x unscaled; and scaled again if unscaling rounded it, else None."""
        same = self.x is not None and self.x.dtype == self.layout.b.dtype
        if same and self.units.keep_x:
            return self.x, None
        x, xp = self.solution(), self.xp
        if self.x is None:
            return x, None
        back = self.units.scale_x(xp, xp.astype(x, self.x.dtype))
        same = bool(to_numpy(xp.all((back == self.x) | ~self._keep())))
        return x, None if same else back

    def refuse_unless_hermitian(self, name):
        """Raise ValueError unless ``<u, A v> = <A u, v>`` for random u and v."""
        m, n = self.wide.shape
        if m == n:
            rng = np.random.default_rng(0)
            u, v = (
                self.residuals.wide(
                    self.xp.asarray(rng.standard_normal((1, n)), **self._place)
                )
                for _ in range(2)
            )
            a_u, a_v = self.residuals.forward(u), self.residuals.forward(v)
            left, right = self.vectors.dot(u, a_v), self.vectors.dot(a_u, v)
            size = np.sqrt(to_numpy(self.vectors.sumsq(a_u) * self.vectors.sumsq(v)))
            if abs(to_numpy(left - right))[0] <= 1e-6 * size[0]:
                return
        raise ValueError(
            f"method {name!r} needs a square Hermitian operator, and this one (shape "
            f"{self.wide.shape}) is not; use 'cgls', which takes any operator"
        )


def _scale(op, layout, damp):
    """``(units, b, norm, norm_b)``, the last three scaled; `norm` is size_of's."""
    largest, squares = (to_numpy(a) for a in layout.extent)
    units = Units(0, powers(largest, DATA_POWER))
    b = units.scale_b(layout.xp, layout.b)
    if units.data.any():
        squares = to_numpy(kernels.load("vectors", layout.xp).sumsq(b))
    power, norm = size_of(op, b)
    if damp:  # scale a damp that is much larger than the operator
        more = max(int(np.frexp(damp)[1]) - DAMP_POWER - power, 0)
        power, norm = power + more, float(np.ldexp(norm, -more))
    return replace(units, operator=power), b, norm, np.sqrt(squares)


def _in_dtype(op, dtype):
    """An operator that computes products in a dtype, if it can choose."""
    choosing = op.layer is not None or op.weighted_convolutions
    return op.astype(dtype) if choosing else op
