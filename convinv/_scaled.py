"""The problem in units where nothing over- or underflows, and the verdict on x."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

from . import kernels
from ._array import contiguous, copy, placement, to_numpy
from ._linear import ShapedOperator
from ._operator import LAYERS
from ._residual import Residuals
from .precondition import PRECONDITIONERS, Preconditioner
from .solvers._problem import Problem, Unsuitable

# Methods aim a little below the tolerance, since their own norms drift from the truth.
AIM = 0.8
FLOOR = 4  # rounding errors of ||A|| ||b|| that no normal residual can go below
SURE = 100  # floors above which a norm computed in the working dtype is right
# Binary exponents that are left as they are: all numbers of a solve are then far from
# the ends of single precision.
DATA_POWER, KERNEL_POWER = 32, 16


@dataclass
class Check:
    """Norms of the residual of one x in scaled units, on the host, shape (B,).

    The residual r and the normal residual s themselves, in the working dtype, are there
    if an item is not good.
    """

    r: object
    s: object
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
        largest, squares = (to_numpy(a) for a in layout.extent)
        self.zero = largest == 0
        self.data_power = _powers(largest, DATA_POWER)
        self.data_scale = np.ldexp(1.0, -self.data_power)
        self.b = layout.b
        if self.data_power.any():
            self.b = _ldexp(self.xp, layout.b, -self.data_power)
            squares = to_numpy(self.vectors.sumsq(self.b))
        self.norm_b = np.sqrt(squares)
        self.kernel_power = _kernel_power(op, self.b, self.xp)
        self.kernel_scale = float(np.ldexp(1.0, -self.kernel_power))
        self.op = self.wide = _scale_operator(op, self.kernel_power)
        self.working, self.dtype = self.op, layout.dtype
        if isinstance(self.op, LAYERS):
            self.working = self.op.astype(self.dtype)
        self.user_damp = damp
        self.damp = float(np.ldexp(damp, -self.kernel_power))
        self.residuals = Residuals(self.op, self.b, self.damp)
        self.x = None if layout.x0 is None else self._start(layout.x0)
        self._tolerances(rtol, atol)

    def _start(self, x0):
        """x0 in our units, zero where b is."""
        xp, power = self.xp, self.kernel_power - self.data_power
        x = _ldexp(xp, x0, np.where(self.zero, 0, power))
        if not bool(xp.all(xp.isfinite(x))):
            raise ValueError("x0 is too large for the scale of b and the kernel")
        return xp.where(self._keep(), x, xp.zeros_like(x))

    def _keep(self):
        """The items with b != 0, as a column."""
        return self.xp.asarray(~self.zero, **self._place)[:, None]

    @property
    def _place(self):
        return placement(self.b)

    def _tolerances(self, rtol, atol):
        eps = np.finfo(self.dtype).eps
        floor = FLOOR * eps * _norm_estimate(self.op) * self.norm_b
        self.gradient, self.normal_b = self._gradient(floor)
        with np.errstate(over="ignore"):
            absolute = atol * self.data_scale
        self.residual_tol = np.maximum(rtol * self.norm_b, absolute)
        if self.damp:
            self.residual_tol = np.full_like(self.norm_b, -1.0)
        self.normal_tol = np.maximum(rtol * self.normal_b, floor)
        if not self.op.has_adjoint:
            self.normal_tol = np.full_like(self.norm_b, -1.0)
        elif not np.all(np.isfinite(self.normal_b)):
            raise ValueError("op gives a product with b that is not finite")

    def _gradient(self, floor):
        """``A^H b`` in the working dtype, and its norm as in double precision."""
        xp, op = self.xp, self.working
        if isinstance(op, LAYERS):
            shape = (self.layout.batch, *op.output_shape)
            s, squares = op._backward(xp.reshape(self.b, shape), sumsq=True)
            norm = np.sqrt(to_numpy(squares))
            double = self.dtype == np.result_type(self.dtype, np.float64)
            if double or np.all((norm > SURE * floor) | self.zero):
                return xp.reshape(s, (shape[0], -1)), norm
        s = self.residuals.adjoint(self.residuals.wide(self.b))
        norm = np.sqrt(to_numpy(self.vectors.sumsq(s)))
        return xp.astype(s, self.layout.kind, copy=False), norm

    def check(self, x):
        """The verdict on x (None: the present iterate), in double precision."""
        x = self.x if x is None else x
        r, s, norms = self.b, self.gradient, np.stack([self.norm_b, self.normal_b])
        if x is not None:
            norms, r, s = self.residuals(x, self._enough)
        residual, normal = norms
        good = self._good(norms, slice(None))
        tiny = np.finfo(float).tiny
        far = residual / np.maximum(self.residual_tol, tiny)
        far = np.where(self.residual_tol < 0, np.inf, far)
        near = np.where(np.isnan(normal), np.inf, normal)
        measure = np.fmin(far, near / np.maximum(self.normal_tol, tiny))
        measure = np.where(np.isfinite(residual), measure, np.inf)
        return Check(r, s, residual, normal, good, measure)

    def _good(self, norms, items):
        small = norms[0, items] <= self.residual_tol[items]
        return small | (norms[1, items] <= self.normal_tol[items]) | self.zero[items]

    def _enough(self, norms, items):
        return bool(self._good(norms, items).all())

    def targets(self, check):
        """What methods aim at: a bit below the tolerances."""
        put = lambda a: self.xp.asarray(AIM * a, **self._place)  # noqa: E731
        return put(self.residual_tol), put(self.normal_tol)

    def problem(self, check, preconditioner, maxiter, rng):
        """The problem of the correction to the present x."""
        power = self.kernel_power - self.data_power
        return Problem(
            self.working,
            check.r,
            gradient=check.s if self.op.has_adjoint else None,
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
        xp = self.xp
        d = contiguous(xp.astype(d, self.layout.kind, copy=False))
        if self._is_given(d):
            d = copy(d)
        finite = xp.isfinite(self.vectors.extent(d)[0])
        changed = to_numpy(active & finite)
        if changed.all():
            finite = changed
        else:
            d = xp.where((active & finite)[:, None], d, xp.zeros_like(d))
        self.x = d if self.x is None else self.x + d
        return to_numpy(finite)

    def _is_given(self, d):
        """Whether d may be memory of b or of the gradient, or of the user."""
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
            shape = (self.layout.batch, self.op.shape[1])
            x = xp.zeros(shape, dtype=self.layout.kind, **self._place)
        x = _ldexp(xp, x, self.data_power - self.kernel_power)
        return xp.where(self._keep(), x, xp.zeros_like(x))

    def deliver(self):
        """x in the user's units, and what it is worth in ours if that is not x."""
        power = self.kernel_power - self.data_power
        if self.x is not None and not power.any():
            return self.x, None
        x, xp = self.solution(), self.xp
        if self.x is None:
            return x, None
        back = _ldexp(xp, x, power)
        same = bool(to_numpy(xp.all((back == self.x) | ~self._keep())))
        return x, None if same else back

    def refuse_unless_hermitian(self, name):
        """Raise ValueError unless ``<u, A v> = <A u, v>`` for random u and v."""
        m, n = self.op.shape
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
            f"{self.op.shape}) is not; use 'cgls', which takes any operator"
        )

    def _named(self, name, equations):
        """A preconditioner by name, kept with the operator."""
        if name not in PRECONDITIONERS:
            raise ValueError(
                "preconditioner must be one of "
                f"{', '.join(map(repr, PRECONDITIONERS))}, a callable or an operator, "
                f"got {name!r}"
            )
        op = self.working
        if not isinstance(op, LAYERS):
            raise TypeError(f"preconditioner {name!r} needs a ConvLinearOperator")
        make = PRECONDITIONERS[name]
        try:
            return op._kept(
                (f"preconditioner {name}", self.damp, equations),
                lambda: make._named(op, self.damp, equations),
            ).apply
        except np.linalg.LinAlgError as error:
            raise Unsuitable(f"preconditioner {name!r}: {error}") from None

    def preconditioner(self, given, equations):
        """A function on (B, n) arrays from what the user gave.

        `equations` is what it should approximate the inverse of, see `Preconditioner`.
        """
        xp, shape = self.xp, self.op.input_shape
        if isinstance(given, str):
            return self._named(given, equations)
        n = self.op.shape[1]
        if isinstance(given, LinearOperator):
            if given.shape != (n, n):
                raise ValueError(
                    f"preconditioner must have shape {(n, n)}, got {given.shape}"
                )
            if isinstance(given, Preconditioner):
                given = _for_equations(given, equations)
            operator = given

            def given(v):
                return operator.matmat(xp.reshape(v, (v.shape[0], n)).T).T

        elif not callable(given):
            raise TypeError(f"preconditioner must be callable, got {given!r}")
        squared = equations == "normal"
        kind, power = self.layout.kind, self.kernel_power * (1 + squared)

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


def _for_equations(given, equations):
    """A preconditioner object as it is, whatever its damp; see `Preconditioner.at`."""
    try:
        return given.at(equations)
    except np.linalg.LinAlgError as error:
        raise Unsuitable(f"the preconditioner: {error}") from None


def _powers(largest, limit):
    """The binary exponents of sizes beyond 2 to the plus or minus `limit`, else 0."""
    powers = np.frexp(largest)[1].astype(np.int64)
    return np.where(np.abs(powers) > limit, powers, 0)


def _ldexp(xp, array, power):
    """``array * 2**power`` per item, in two steps that neither over- nor underflow."""
    half = np.asarray(power) // 2
    for part in (half, power - half):
        factor = np.ldexp(1.0, np.broadcast_to(part, (array.shape[0],)))
        factor = xp.asarray(factor, **placement(array))
        array = array * xp.astype(factor, array.dtype)[:, None]
    return array


def _kernel_power(op, b, xp):
    """The binary exponent of the operator's size, 0 if that is ordinary."""
    if isinstance(op, LAYERS):
        extent = kernels.load("vectors", op.xp).extent
        largest = to_numpy(extent(op.kernel.reshape(1, -1))[0])
        if not np.isfinite(largest[0]):
            raise ValueError("the operator's kernel holds NaN or infinity")
        return int(_powers(largest, KERNEL_POWER)[0])
    apply = op._backward if op.has_adjoint else op._forward
    shape = op.output_shape if op.has_adjoint else op.input_shape
    if op.has_adjoint:
        vector = xp.ones_like(b[:1, :]) + b[:1, :]
    else:
        vector = xp.ones((1, op.shape[1]), dtype=b.dtype, **placement(b))
    product = xp.max(xp.abs(apply(xp.reshape(vector, (1, *shape)))))
    return int(_powers(to_numpy(product).astype(np.float64), 64))


def _scale_operator(op, power):
    if power == 0:
        return op
    if isinstance(op, LAYERS):
        half = -power // 2
        return op._scaled(float(np.ldexp(1.0, half)))._scaled(
            float(np.ldexp(1.0, -power - half))
        )
    return _PowerOfTwo(op, -power)


class _PowerOfTwo(ShapedOperator):
    """A general operator times a power of two."""

    def __init__(self, op, power):
        self.op, self.power, self.xp = op, power, op.xp
        self.has_adjoint = op.has_adjoint
        super().__init__(op.dtype, op.input_shape, op.output_shape)

    @property
    def matrix(self):
        matrix = getattr(self.op, "matrix", None)
        return None if matrix is None else self._times(matrix)

    def _times(self, array):
        half = float(np.ldexp(1.0, self.power // 2))
        return array * half * float(np.ldexp(1.0, self.power - self.power // 2))

    def _forward(self, x):
        return self._times(self.op._forward(x))

    def _backward(self, y):
        return self._times(self.op._backward(y))


def _norm_estimate(op):
    """A lower bound of the norm of a scaled operator that costs nothing."""
    if not isinstance(op, LAYERS):
        return 1.0
    rows = to_numpy(op.kernel).reshape(op.kernel.shape[0], -1)
    return float(np.sqrt(np.max(np.sum(np.abs(rows.astype(complex)) ** 2, axis=1))))
