"""What a method is given: a scaled problem and the monitor of its iterations."""

import numpy as np

from .. import kernels
from .._array import contiguous, copy, namespace, placement, to_numpy
from .._operator import LAYERS
from .._result import Status

# Host synchronisations cost a device more than iterations do: there the stopping test
# is read only this often. Items that are done are frozen meanwhile.
DEVICE_CHECK = 8

_CODES = list(Status)
RUNNING = -1
CONVERGED, STALLED, BREAKDOWN, INDEFINITE, NONFINITE, STOPPED = (
    _CODES.index(s)
    for s in (
        Status.CONVERGED,
        Status.STALLED,
        Status.BREAKDOWN,
        Status.INDEFINITE,
        Status.NONFINITE,
        Status.STOPPED,
    )
)


class Unsuitable(Exception):
    """A method's set-up found that it can't invert this operator; the text says why."""


def divide(xp, where, a, b):
    """``a / b`` for the items in `where` that have b != 0, 0 for the others."""
    good = where & (b != 0)
    zero = xp.zeros_like(b)
    return xp.where(good, a / xp.where(good, b, zero + 1), zero)


class Problem:
    """Minimise ``||A d - b||^2 + damp^2 ||origin + d||^2`` from ``d = 0``.

    `solve` has moved the starting point into `b` and `origin`, and scaled A and b by
    powers of two, so that methods need to think of neither.

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
        What d has to be multiplied by to be in the user's units.
    preconditioner : callable or None
        Maps ``(B, n)`` arrays to the same.
    maxiter : int
    rng : numpy.random.Generator
    vectors : module
        The fused vector updates for the arrays at hand.
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
    ):
        self.op, self.b, self.origin, self.damp = op, b, origin, damp
        self.gradient = gradient
        self.kernel_scale, self.x_scale = kernel_scale, x_scale
        self.preconditioner, self.maxiter, self.rng = preconditioner, maxiter, rng
        self.xp = namespace(b)
        self.vectors = kernels.load("vectors", self.xp)
        self.shape = op.shape
        self._fused = isinstance(op, LAYERS)

    @property
    def is_plain(self) -> bool:
        """Whether products are all that is done, and they are convolutions."""
        return self._fused and self.preconditioner is None

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
        return self.xp.full(
            (self.batch,), value, dtype=self.xp.float64, **self.place
        )

    @property
    def place(self):
        """Keyword that makes array API libraries allocate beside b."""
        return placement(self.b)

    def forward(self, x, sumsq=False, out=None):
        """``A x``, with `sumsq` also the squared norm of each item; `out` is reused."""
        return self._product(self.op._forward, x, self.op.input_shape, sumsq, out)

    def adjoint(self, y, sumsq=False, out=None):
        """``A^H y``, with `sumsq` also the squared norm of each item."""
        return self._product(self.op._backward, y, self.op.output_shape, sumsq, out)

    def _product(self, apply, array, shape, sumsq, out):
        batch = array.shape[0]
        array = self.xp.reshape(array, (batch, *shape))
        if self._fused:
            result = apply(array, sumsq=sumsq, out=out)
            result, sums = result if sumsq else (result, None)
            result = self.xp.reshape(result, (batch, -1))
        else:
            result = self.xp.reshape(apply(array), (batch, -1))
            result = self.xp.astype(result, self.b.dtype, copy=False)
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


class Monitor:
    """Decides when items are done; told once per iteration.

    Attributes
    ----------
    active : array of bool, shape (B,)
        Items still running: methods freeze the others by zero coefficients.
    nit : int
        Iterations over all restarts of the solve.
    watches_normal : bool
        Whether the history holds norms of the normal residual.
    stopped : bool
        What the last `update` said.
    recording : bool
        Whether iterations are captured, not made: nothing is looked at then.
    """

    def __init__(self, problem, residual_tol, normal_tol, active, report, nit, tick):
        self.xp, self.vectors = problem.xp, problem.vectors
        self.maxiter = problem.maxiter
        self.residual_tol, self.normal_tol = residual_tol, normal_tol
        self.active = active
        self.code = self.xp.where(
            self.active,
            self.xp.asarray(RUNNING, **problem.place),
            self.xp.asarray(CONVERGED, **problem.place),
        )
        self.item_nit = self.xp.zeros_like(self.code)
        self.start = self.nit = nit
        self.history, self.last = [], None
        self.watches_normal = self.stopped = self.recording = False
        self.report, self.tick = report, tick
        device = self.xp is not np
        self.check_every = DEVICE_CHECK if device and report is None else 1

    def end(self, items, code):
        """End `items` (bool array) that still run with a status code."""
        if self.xp is np and not items.any():
            return  # as nearly always; on a device to look would be to wait
        items = items & self.active
        self.code = self.xp.where(items, code, self.code)
        self.active = self.active & ~items

    def update(self, d, residual=None, normal=None, watched=None) -> bool:
        """Count an iteration; True when the method has to stop.

        `residual` and `normal` are ``(B,)`` norms of the residual and the normal
        residual where the method has them, `watched` what the history records.
        """
        xp = self.xp
        self.nit += 1
        self.item_nit = xp.where(self.active, self.item_nit + 1, self.item_nit)
        self.watches_normal = watched is None and residual is None
        watched = residual if watched is None else watched
        watched = normal if watched is None else watched
        if self.last is not None:  # items that are done keep their last norm
            watched = xp.where(self.active, watched, self.last)
        self.last = watched
        self.history.append(watched)
        self.end(~xp.isfinite(watched), NONFINITE)
        if residual is not None:
            self.end(residual <= self.residual_tol, CONVERGED)
        if normal is not None:
            self.end(normal <= self.normal_tol, CONVERGED)
        if self.recording:
            return False
        stop = False
        if self.report is not None and self.report(self, d, watched):
            self.end(self.active, STOPPED)
            stop = True
        self.tick(self.nit)
        self.stopped = stop or self._over()
        return self.stopped

    def replayed(self, norms):
        """Take in iterations made without `update`: their rows of the history."""
        self.history += list(norms)
        self.tick(self.nit)
        self.stopped = self._over()

    def _over(self):
        if self.nit - self.start >= self.maxiter:
            return True
        return self.nit % self.check_every == 0 and not self.any_active()

    def any_active(self) -> bool:
        return bool(to_numpy(self.xp.any(self.active)))
