"""The problem in units where nothing over- or underflows, and the verdict on x."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

from . import kernels
from ._array import contiguous, placement, to_numpy
from ._linear import ShapedOperator
from ._operator import ConvLinearOperator
from .solvers._problem import Problem

# Methods aim a little below the tolerance, since their own norms drift from the truth.
AIM = 0.8
FLOOR = 4  # rounding errors of ||A|| ||b|| that no normal residual can go below


@dataclass
class Check:
    """Norms of the residual of one x in scaled units, on the host, shape (B,)."""

    r: object
    residual: np.ndarray
    normal: np.ndarray
    good: np.ndarray
    measure: np.ndarray  # how far from the tolerance, 1 or less is good


class ScaledProblem:
    """``(s_k A) x' = s_b b`` with powers of two s_k and s_b, so ``x = x' s_k / s_b``.

    Attributes
    ----------
    kernel_scale : float
    data_scale : ndarray, shape (B,)
    x : array, shape (B, n), or None
        The current iterate, scaled; None is zero.
    """

    def __init__(self, op, layout, damp, rtol, atol):
        self.layout, self.xp = layout, layout.xp
        self.vectors = kernels.load("vectors", self.xp)
        xp = self.xp
        powers = _powers(xp, layout.b)
        self.zero = powers == _ZERO
        self.data_power = np.where(self.zero, 0, powers)
        self.data_scale = np.ldexp(1.0, -self.data_power)
        self.b = _ldexp(xp, layout.b, -self.data_power)
        self.kernel_power = _kernel_power(op, self.b, xp)
        self.kernel_scale = float(np.ldexp(1.0, -self.kernel_power))
        self.op = _scale_operator(op, self.kernel_power)
        self.damp = float(np.ldexp(damp, -self.kernel_power))
        self.x = None
        if layout.x0 is not None:
            power = np.where(self.zero, 0, self.kernel_power - self.data_power)
            self.x = _ldexp(xp, layout.x0, power)
            if not bool(xp.all(xp.isfinite(self.x))):
                raise ValueError("x0 is too large for the scale of b and the kernel")
            keep = xp.asarray(~self.zero, **self._place)[:, None]
            self.x = xp.where(keep, self.x, xp.zeros_like(self.x))
        self.working, self.wide = self._operators()
        self._tolerances(rtol, atol)

    @property
    def _place(self):
        return placement(self.b)

    def _operators(self):
        """The operator in the working dtype, and in double precision for residuals."""
        dtype = self.layout.dtype
        wide = np.result_type(dtype, np.float64)
        if isinstance(self.op, ConvLinearOperator):
            return self.op.astype(dtype), self.op.astype(wide)
        return self.op, self.op

    def _tolerances(self, rtol, atol):
        wide_b = self._wide(self.b)
        norm_b = np.sqrt(to_numpy(self.vectors.sumsq(wide_b)))
        gradient = self._adjoint(wide_b)
        self.normal_b = np.sqrt(to_numpy(self.vectors.sumsq(gradient)))
        self.norm_b = norm_b
        with np.errstate(over="ignore"):
            absolute = atol * self.data_scale
        self.residual_tol = np.maximum(rtol * norm_b, absolute)
        if self.damp:
            self.residual_tol = np.full_like(norm_b, -1.0)
        eps = np.finfo(self.layout.dtype).eps
        floor = FLOOR * eps * _norm_estimate(self.op) * norm_b
        self.normal_tol = np.maximum(rtol * self.normal_b, floor)
        if not self.wide.has_adjoint:
            self.normal_tol = np.full_like(norm_b, -1.0)
        elif not np.all(np.isfinite(self.normal_b)):
            raise ValueError("op gives a product with b that is not finite")

    def _wide(self, array):
        kind = "complex128" if self.layout.dtype.kind == "c" else "float64"
        return self.xp.astype(array, getattr(self.xp, kind), copy=False)

    def _forward(self, x):
        op = self.wide
        y = op._forward(self.xp.reshape(x, (x.shape[0], *op.input_shape)))
        return contiguous(self.xp.reshape(y, (x.shape[0], -1)))

    def _adjoint(self, y):
        op = self.wide
        if not op.has_adjoint:
            return self.xp.full((y.shape[0], op.shape[1]), float("nan"), **self._place)
        x = op._backward(self.xp.reshape(y, (y.shape[0], *op.output_shape)))
        return contiguous(self.xp.reshape(x, (y.shape[0], -1)))

    def check(self, x):
        """The verdict on x (None: the present iterate), in double precision."""
        x = self.x if x is None else x
        r = self._wide(self.b)
        if x is not None:
            r = r - self._forward(self._wide(x))
        residual = np.sqrt(to_numpy(self.vectors.sumsq(r)))
        s = self._adjoint(r)
        if self.damp and x is not None:
            s = s - self.damp**2 * self._wide(x)
        normal = np.sqrt(to_numpy(self.vectors.sumsq(s)))
        good = (residual <= self.residual_tol) | (normal <= self.normal_tol) | self.zero
        tiny = np.finfo(float).tiny
        far = residual / np.maximum(self.residual_tol, tiny)
        far = np.where(self.residual_tol < 0, np.inf, far)
        near = np.where(np.isnan(normal), np.inf, normal)
        measure = np.fmin(far, near / np.maximum(self.normal_tol, tiny))
        measure = np.where(np.isfinite(residual), measure, np.inf)
        return Check(r, residual, normal, good, measure)

    def targets(self, check):
        """What methods aim at: a bit below the tolerances."""
        put = lambda a: self.xp.asarray(AIM * a, **self._place)  # noqa: E731
        return put(self.residual_tol), put(self.normal_tol)

    def problem(self, check, preconditioner, maxiter, rng):
        """The problem of the correction to the present x."""
        b = self.xp.astype(check.r, self.layout.kind, copy=False)
        power = self.kernel_power - self.data_power
        return Problem(
            self.working,
            b,
            origin=self.x,
            damp=self.damp,
            kernel_scale=self.kernel_scale,
            x_scale=self.xp.asarray(np.ldexp(1.0, -power), **self._place),
            preconditioner=preconditioner,
            maxiter=maxiter,
            rng=rng,
        )

    def advance(self, d, active):
        """Add the finite corrections of active items; returns which are finite."""
        finite = self.xp.all(self.xp.isfinite(d), axis=1)
        d = self.xp.where((active & finite)[:, None], d, self.xp.zeros_like(d))
        self.x = d if self.x is None else self.x + d
        return to_numpy(finite)

    def restore(self, x, items):
        """Take `items` back to an earlier x."""
        old = self.xp.zeros_like(self.x) if x is None else x
        items = self.xp.asarray(items, **self._place)[:, None]
        self.x = self.xp.where(items, old, self.x)

    def solution(self, d=None):
        """x, or x + d, in the user's units; zero where b is zero."""
        parts = [p for p in (self.x, d) if p is not None]
        xp = self.xp
        if parts:
            x = sum(parts[1:], parts[0])
        else:
            shape = (self.layout.batch, self.op.shape[1])
            x = xp.zeros(shape, dtype=self.layout.kind, **self._place)
        x = _ldexp(xp, x, self.data_power - self.kernel_power)
        keep = xp.asarray(~self.zero, **self._place)[:, None]
        return xp.where(keep, x, xp.zeros_like(x))

    def deliver(self):
        """x in the user's units, and what it is worth in ours if that is not x."""
        x, xp = self.solution(), self.xp
        if self.x is None:
            return x, None
        back = _ldexp(xp, x, self.kernel_power - self.data_power)
        keep = xp.asarray(~self.zero, **self._place)[:, None]
        same = bool(to_numpy(xp.all((back == self.x) | ~keep)))
        return x, None if same else back

    def refuse_unless_hermitian(self, name):
        """Raise ValueError unless ``<u, A v> = <A u, v>`` for random u and v."""
        m, n = self.op.shape
        if m == n:
            rng = np.random.default_rng(0)
            u, v = (
                self._wide(self.xp.asarray(rng.standard_normal((1, n)), **self._place))
                for _ in range(2)
            )
            a_u, a_v = self._forward(u), self._forward(v)
            left, right = self.vectors.dot(u, a_v), self.vectors.dot(a_u, v)
            size = np.sqrt(to_numpy(self.vectors.sumsq(a_u) * self.vectors.sumsq(v)))
            if abs(to_numpy(left - right))[0] <= 1e-6 * size[0]:
                return
        raise ValueError(
            f"method {name!r} needs a square Hermitian operator, and this one (shape "
            f"{self.op.shape}) is not; use 'cgls', which takes any operator"
        )

    def preconditioner(self, given, named, normal):
        """A function on (B, n) arrays from what the user gave."""
        xp, shape = self.xp, self.op.input_shape
        if isinstance(given, str):
            if given not in named:
                raise ValueError(
                    f"preconditioner must be one of {', '.join(map(repr, named))}, a "
                    f"callable or an operator, got {given!r}"
                )
            if not isinstance(self.op, ConvLinearOperator):
                raise TypeError(f"preconditioner {given!r} needs a ConvLinearOperator")
            return named[given](self.working, self.damp, normal)
        n = self.op.shape[1]
        if isinstance(given, LinearOperator):
            if given.shape != (n, n):
                raise ValueError(
                    f"preconditioner must have shape {(n, n)}, got {given.shape}"
                )
            operator = given

            def given(v):
                return operator.matmat(xp.reshape(v, (v.shape[0], n)).T).T

        elif not callable(given):
            raise TypeError(f"preconditioner must be callable, got {given!r}")
        kind, power = self.layout.kind, self.kernel_power * (2 if normal else 1)

        def apply(v):
            w = given(xp.reshape(v, (v.shape[0], *shape)))
            found = tuple(getattr(w, "shape", ()))
            if found not in ((v.shape[0], *shape), tuple(v.shape)):
                raise ValueError(
                    f"preconditioner must return an array of shape "
                    f"{(v.shape[0], *shape)}, got {found or w!r}"
                )
            # it approximates the inverse of a matrix in the user's units
            w = _ldexp(xp, xp.reshape(w, v.shape), np.asarray(power))
            return contiguous(xp.astype(w, kind, copy=True))

        return apply


_ZERO = np.iinfo(np.int64).max


def _powers(xp, array):
    """The binary exponent of the largest entry of each item, _ZERO where all are 0."""
    if xp.isdtype(array.dtype, "complex floating"):
        size = xp.maximum(xp.abs(xp.real(array)), xp.abs(xp.imag(array)))
    else:
        size = xp.abs(array)
    largest = to_numpy(xp.max(size, axis=1)).astype(np.float64)
    return np.where(largest > 0, np.frexp(largest)[1].astype(np.int64), _ZERO)


def _ldexp(xp, array, power):
    """``array * 2**power`` per item, in two steps that neither over- nor underflow."""
    half = np.asarray(power) // 2
    for part in (half, power - half):
        factor = np.ldexp(1.0, np.broadcast_to(part, (array.shape[0],)))
        factor = xp.asarray(factor, **placement(array))
        array = array * xp.astype(factor, array.dtype)[:, None]
    return array


def _kernel_power(op, b, xp):
    """The binary exponent of the operator's size, 0 for a zero operator."""
    if isinstance(op, ConvLinearOperator):
        power = int(_powers(op._xp, op.kernel.reshape(1, -1))[0])
        if not bool(op._xp.all(op._xp.isfinite(op.kernel))):
            raise ValueError("the operator's kernel holds NaN or infinity")
        return 0 if power == _ZERO else power
    apply = op._backward if op.has_adjoint else op._forward
    shape = op.output_shape if op.has_adjoint else op.input_shape
    if op.has_adjoint:
        vector = xp.ones_like(b[:1, :]) + b[:1, :]
    else:
        vector = xp.ones((1, op.shape[1]), dtype=b.dtype, **placement(b))
    size = _powers(xp, xp.reshape(apply(xp.reshape(vector, (1, *shape))), (1, -1)))[0]
    # products of ordinary size need no help
    return int(size) if size != _ZERO and abs(size) > 64 else 0


def _scale_operator(op, power):
    if power == 0:
        return op
    if isinstance(op, ConvLinearOperator):
        half = -power // 2
        return op._scaled(float(np.ldexp(1.0, half)))._scaled(
            float(np.ldexp(1.0, -power - half))
        )
    return _PowerOfTwo(op, -power)


class _PowerOfTwo(ShapedOperator):
    """A general operator times a power of two."""

    def __init__(self, op, power):
        self.op, self.power, self._xp = op, power, op._xp
        self.has_adjoint = op.has_adjoint
        super().__init__(op.dtype, op.input_shape, op.output_shape)

    def _times(self, array):
        half = float(np.ldexp(1.0, self.power // 2))
        return array * half * float(np.ldexp(1.0, self.power - self.power // 2))

    def _forward(self, x):
        return self._times(self.op._forward(x))

    def _backward(self, y):
        return self._times(self.op._backward(y))


def _norm_estimate(op):
    """A lower bound of the norm of a scaled operator that costs nothing."""
    if not isinstance(op, ConvLinearOperator):
        return 1.0
    rows = to_numpy(op.kernel).reshape(op.kernel.shape[0], -1)
    return float(np.sqrt(np.max(np.sum(np.abs(rows.astype(complex)) ** 2, axis=1))))
