"""The arguments of a method: a scaled problem and the monitor of its iterations."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import kernels
from .._core.arrays import contiguous, copy, namespace, placement, to_numpy
from .._core.result import Status

# On a device, host synchronizations cost more than iterations: the stopping test is
# read once in this many iterations. Finished items are frozen in the meantime.
DEVICE_CHECK = 8

_CODES = list(Status)
NOISE = 16  # a singular value below this many rounding errors of the largest is noise
RUNNING = -1
CONVERGED, STALLED, BREAKDOWN, INDEFINITE, ILL_CONDITIONED, NONFINITE, STOPPED = (
    _CODES.index(s)
    for s in (
        Status.CONVERGED,
        Status.STALLED,
        Status.BREAKDOWN,
        Status.INDEFINITE,
        Status.ILL_CONDITIONED,
        Status.NONFINITE,
        Status.STOPPED,
    )
)


class Unsuitable(Exception):
    """A method's set-up can't invert this operator; the text says why."""


def divide(xp, where, a, b):
    """``a / b`` for the items in `where` that have b != 0, 0 for the others."""
    good = where & (b != 0)
    zero = xp.zeros_like(b)
    return xp.where(good, a / xp.where(good, b, zero + 1), zero)


class Problem:
    """Minimize ``||A d - b||^2 + damp^2 ||origin + d||^2`` from ``d = 0``.

    `solve` has moved the starting point into `b` and `origin`, and scaled A and b by
    powers of two, so that methods need not handle either.

    Attributes
    ----------
    b : array, shape (B, m)
        The residual of the starting point, not to be written to.
    gradient : array, shape (B, n), or None
        ``A^H b - damp^2 origin`` if it is known, not to be written to either.
    origin : array, shape (B, n), or None
        The starting point, None for zero.
    op : ShapedOperator
        The operator, scaled, in the working dtype.
    shape : tuple of int
        ``(m, n)``.
    damp : float
    kernel_scale : float
        The power of two that the operator was multiplied by.
    x_scale : array, shape (B,)
        The factor that converts d to the user's units.
    preconditioner : callable or None
        Maps ``(B, n)`` arrays to the same.
    maxiter : int
    rng : numpy.random.Generator
    rtol : float
        The tolerance of the solve.
    finest : bool
        Whether coarse inverses have failed.
    vectors : module
        The fused vector updates for the arrays of the problem.
    """

    def __init__(
        self,
        op,
        b,
        *,
        origin,
        damp,
        kernel_scale,
        x_scale,
        preconditioner,
        maxiter,
        rng,
        gradient=None,
        rtol=1e-6,
        finest=False,
    ):
        self.rtol, self.finest = rtol, finest
        self.op, self.b, self.origin, self.damp = op, b, origin, damp
        self.gradient = gradient
        self.kernel_scale, self.x_scale = kernel_scale, x_scale
        self.preconditioner, self.maxiter, self.rng = preconditioner, maxiter, rng
        self.xp = namespace(b)
        self.vectors = kernels.load("vectors", self.xp)
        self.shape = op.shape

    @property
    def is_plain(self) -> bool:
        """Whether a method only computes products, and they are convolutions."""
        return self.op.fused and self.preconditioner is None

    @property
    def batch(self) -> int:
        return self.b.shape[0]

    def zeros(self, length):
        """A ``(B, length)`` array of zeros."""
        return self.xp.zeros((self.batch, length), dtype=self.b.dtype, **self.place)

    @property
    def is_complex(self) -> bool:
        return self.xp.isdtype(self.b.dtype, "complex floating")

    def random(self, length):
        """A ``(B, length)`` array of standard normal numbers from `rng`."""
        values = self.rng.standard_normal((self.batch, length))
        return self.xp.asarray(values, dtype=self.b.dtype, **self.place)

    def fill(self, value):
        """A ``(B,)`` array of one coefficient."""
        return self.xp.full((self.batch,), value, dtype=self.xp.float64, **self.place)

    @property
    def place(self):
        """The keyword that makes array API libraries allocate on b's device."""
        return placement(self.b)

    def forward(self, x, sumsq=False, out=None):
        """``A x``, with `sumsq` also the squared norm of each item; `out` is reused."""
        op = self.op
        return self._product(op.apply, x, op.input_shape, op.output_shape, sumsq, out)

    def adjoint(self, y, sumsq=False, out=None):
        """``A^H y``, with `sumsq` also the squared norm of each item."""
        op, shapes = self.op, (self.op.output_shape, self.op.input_shape)
        return self._product(op.apply_adjoint, y, *shapes, sumsq, out)

    def _product(self, apply, array, taken, given, sumsq, out):
        xp, batch = self.xp, array.shape[0]
        array = xp.reshape(array, (batch, *taken))
        if self.op.fused:
            out = out if out is None else xp.reshape(out, (batch, *given))
            result = apply(array, out=out, sumsq=sumsq)
            result, sums = result if sumsq else (result, None)
            result = xp.reshape(result, (batch, -1))
        else:
            result = xp.reshape(apply(array), (batch, -1))
            result = xp.astype(result, self.b.dtype, copy=False)
            result = contiguous(result)
            sums = self.vectors.sumsq(result) if sumsq else None
        return (result, sums) if sumsq else result

    def normal_residual(self, r, d, out=None):
        """``(s, ||s||^2)`` of ``s = A^H r - damp^2 (origin + d)``; d None is zero."""
        s, sums = self.adjoint(r, sumsq=True, out=out)
        if self.damp:
            for part in (self.origin, d):
                if part is not None:
                    s, sums = self.vectors.axpy(self.fill(-(self.damp**2)), part, s)
        return s, sums

    def first_normal_residual(self):
        """`normal_residual` of ``d = 0`` in new memory, from the gradient if known."""
        if self.gradient is None:
            return self.normal_residual(self.b, None)
        s = copy(self.gradient)
        return s, self.vectors.sumsq(s)

    def real_dot(self, x, y):
        """The real part of ``x^H y`` of each item."""
        value = self.vectors.dot(x, y)
        is_complex = self.xp.isdtype(value.dtype, "complex floating")
        return self.xp.real(value) if is_complex else value

    def augmented(self):
        """The same problem without damp: ``[A; damp I]`` and ``[b; -damp origin]``."""
        return _Augmented(self) if self.damp else self

    def precondition(self, v):
        """The preconditioner applied to v, or v itself."""
        return v if self.preconditioner is None else self.preconditioner(v)


class _Augmented(Problem):
    """A damped problem as least squares with the taller operator ``[A; damp I]``."""

    def __init__(self, problem):
        self.__dict__.update(problem.__dict__)
        self.plain = problem
        self.factor = problem.damp
        self.damp = 0.0
        self.shape = (sum(problem.shape), problem.shape[1])
        below = problem.zeros(problem.shape[1])
        if problem.origin is not None:
            below = below - problem.damp * problem.origin
        self.b = self.xp.concat([problem.b, below], axis=1)

    def forward(self, x, sumsq=False, out=None):
        y = self.xp.concat([self.plain.forward(x), self.factor * x], axis=1)
        return (y, self.vectors.sumsq(y)) if sumsq else y

    def adjoint(self, y, sumsq=False, out=None):
        m = self.plain.shape[0]
        above = copy(y[:, :m])
        x = self.plain.adjoint(above, out=out) + self.factor * y[:, m:]
        return (x, self.vectors.sumsq(x)) if sumsq else x


@dataclass
class Goals:
    """The norms at which a method may stop.

    Attributes
    ----------
    residual : array, shape (B,)
        Norm of the residual, negative for none.
    normal : array, shape (B,)
        Norm of the normal residual, for methods that do not know the residual.
    least : array, shape (B,)
        Norm of the normal residual that suffices if it is also at most `share` times
        that of the residual.
    share : float or None
        If None, the residual does not count.
    rounding : float
        Rounding of the normal residual relative to the residual's norm: below it a
        method would follow noise.
    conlim : float or None
        Condition number at which to stop.
    """

    residual: Any
    normal: Any
    least: Any
    share: float | None = None
    rounding: float = 0.0
    conlim: float | None = None

    def times(self, factor):
        """Goals lowered by a factor."""
        if factor == 1.0:
            return self
        share = None if self.share is None else factor * self.share
        lower = (factor * norm for norm in (self.residual, self.normal, self.least))
        return Goals(*lower, share, self.rounding, self.conlim)

    def normal_tol(self, xp, residual):
        """The norm of the normal residual at which an item is finished."""
        if self.share is None or residual is None:
            return self.normal
        small = xp.minimum(self.least, self.share * residual)
        return xp.maximum(small, self.rounding * residual)


class Monitor:
    """Decides when items are finished; called once per iteration.

    Parameters
    ----------
    problem : Problem
    goals : Goals
        The norms at which to stop.
    active : array of bool, shape (B,)
    report : callable or None
        Calls the callback.
    nit : int
        Iterations that the solve has made.
    tick : callable
        Called with the number of iterations.

    Attributes
    ----------
    active : array of bool, shape (B,)
        Items still running: methods freeze the others by zero coefficients.
    nit : int
        Iterations over all restarts of the solve.
    watches_normal : bool
        Whether the history holds norms of the normal residual.
    stopped : bool
        Whether the last `update` or `recheck` stopped the method.
    latest : array or None
        The d of the last `update`.
    recording : bool
        Whether iterations are being captured, not computed: nothing is tested then.
    watch : callable or None
        Called in every iteration, on the host, with the distance of the worst item from
        its tolerance; returns whether another method takes over.
    smallest : array, shape (B,)
        The method's estimate of the smallest singular value of A (of ``[A; damp I]``),
        infinite if it has none.
    """

    def __init__(self, problem, goals, active, report, nit, tick):
        self.xp, self.vectors = problem.xp, problem.vectors
        self.maxiter, self.goals = problem.maxiter, goals
        self.active = active
        self.code = self.xp.where(
            self.active,
            self.xp.asarray(RUNNING, **problem.place),
            self.xp.asarray(CONVERGED, **problem.place),
        )
        self.item_nit = self.xp.zeros_like(self.code)
        self.start = self.nit = nit
        self.history, self.last, self.latest = [], None, None
        self.watches_normal = self.stopped = self.recording = False
        self.report, self.tick, self.watch = report, tick, None
        self.known = problem.preconditioner is None
        self.smallest, self.zero = problem.fill(float("inf")), problem.fill(0.0)
        self.column = self.inverse = self.size = self.zero
        self.eps = NOISE * float(self.xp.finfo(problem.b.dtype).eps)
        device = self.xp is not np
        self.check_every = DEVICE_CHECK if device and report is None else 1

    def factor(self, diagonal, above, hermitian=False):
        """Record a column of the method's bidiagonal factor R, before x changes.

        `diagonal` and `above` are the squares of ``R[k, k]`` and ``R[k - 1, k]``. The
        singular values of R lie between those of A (their squares, if `hermitian`), and
        the norms of the columns of its inverse follow from one to the next. An item
        ends if its R is singular to rounding, as noise would change its x. Returns
        these items.
        """
        xp, active = self.xp, self.active
        if not self.known:  # R would be that of the preconditioned operator
            return xp.zeros_like(active)
        column = (1 + above * self.column) / diagonal
        inverse = self.inverse + xp.where(active, column, self.zero)
        self.size = xp.maximum(self.size, xp.where(active, diagonal + above, self.zero))
        small, large = 1 / inverse, self.size
        if not hermitian:
            small, large = xp.sqrt(small), xp.sqrt(large)
        singular = ~(small > self.eps * large)
        self.end(singular, STALLED)
        regular = active & ~singular
        self.column = xp.where(regular, column, self.column)
        self.inverse = xp.where(regular, inverse, self.inverse)
        self.ends(xp.where(regular, small, self.smallest), large)
        return active & singular

    def ends(self, smallest, largest):
        """Record both ends of the singular values of a factor that the method builds.

        The error of the smaller one, toward zero, is up to the root of its size.
        """
        self.smallest = smallest
        if self.goals.conlim is not None:
            self.end(largest > self.goals.conlim * smallest, ILL_CONDITIONED)

    def end(self, items, code):
        """End those of `items` (bool array) that still run, with a status code."""
        if self.xp is np and not items.any():
            return  # the common case; on a device the test would synchronize
        items = items & self.active
        self.code = self.xp.where(items, code, self.code)
        self.active = self.active & ~items

    def update(self, d, residual=None, normal=None, watched=None) -> bool:
        """Count an iteration; returns True when the method has to stop.

        `residual` and `normal` are ``(B,)`` norms of the residual and the normal
        residual if the method has them; the history records `watched`.
        """
        xp = self.xp
        self.nit += 1
        self.item_nit = xp.where(self.active, self.item_nit + 1, self.item_nit)
        self.watches_normal = watched is None and residual is None
        watched = residual if watched is None else watched
        watched = normal if watched is None else watched
        if self.last is not None:  # finished items keep their last norm
            watched = xp.where(self.active, watched, self.last)
        self.last = watched
        self.history.append(watched)
        self.end(~xp.isfinite(watched), NONFINITE)
        if residual is not None:
            self.end(residual <= self.goals.residual, CONVERGED)
        if normal is not None:
            tol = self.goals.normal_tol(self.xp, residual)
            self.end(normal <= tol, CONVERGED)
        if self.recording:
            return False
        stop = False
        self.latest = d
        if self.report is not None and self.report(self, d, watched):
            self.end(self.active, STOPPED)
            stop = True
        elif self.watch is not None and self.watch(self._left(residual, normal)):
            self.end(self.active, STALLED)
            stop = True
        self.tick(self.nit)
        self.stopped = stop or self._over()
        return self.stopped

    def _left(self, residual, normal):
        """The distance of the worst item from its tolerance; 1 or less is converged."""
        left = normal / self.goals.normal_tol(self.xp, residual)
        if residual is not None:
            goal = self.goals.residual
            left = np.where(goal > 0, np.minimum(left, residual / goal), left)
        return float(np.max(left, where=self.active, initial=0.0))

    def replayed(self, norms):
        """Record iterations made without `update`: their rows of the history."""
        self.history += list(norms)
        self.tick(self.nit)
        self.stopped = self._over()

    def recheck(self):
        """Stop if no item runs any more: for steps that end items after `update`."""
        self.stopped = self.stopped or not self.any_active()

    def _over(self):
        if self.nit - self.start >= self.maxiter:
            return True
        return self.nit % self.check_every == 0 and not self.any_active()

    def any_active(self) -> bool:
        return bool(to_numpy(self.xp.any(self.active)))
