"""Common parts of the iterations: the problem, the stopping test, the result."""

import math
import time
from copy import copy as copy_object
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core.arrays import copy, namespace, placement, working_dtype
from .._core.random_vectors import standard_normal
from .._core.result import Result, Status, check_on_failure, deliver
from .._core.validation import integer, number
from .._linalg.batched import real_dtype
from ..operators._foreign import as_operator

MAXITER = 1000
AIM = 0.8  # of the tolerance, since norms in the loop are those of the previous step
FLOOR = 4  # rounding errors below which no gradient can go
EVERY = 8  # iterations between two tests on a device
POWER_STEPS = 30
# Dtypes whose sums of squares are accurate, and squares far from over- and underflow.
SAFE, SAFE_SQUARES = (np.dtype("float64"), np.dtype("complex128")), (1e-200, 1e200)
MARGIN = 1.02  # largest error of the power method's value, as a factor


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ProximalResult(Result):
    """Result of `proximal_gradient`, `fista` and `admm`.

    Attributes
    ----------
    x : array
        The solution, in the shape that the prior gets, with the leading axes of a batch
        of data.
    success : bool
        Whether the returned ``x`` was checked and satisfies the tolerance.
    status : Status
        Why the iterations ended.
    message : str
        The status in words.
    nit : int
        Iterations made.
    objective : float
        ``||A x - b||^2 / 2 + g(x)``; for exact data, ``g(x)``.
    residual_norm : float
        ``||b - A x||`` of the returned ``x``, recomputed.
    optimality : float
        The checked quantity, recomputed: the norm of the proximal gradient, or for
        exact data the larger of the two residuals, relative to x and to the subgradient
        (`admm`).
    history : ndarray, shape (nit,)
        The norm that the method monitors, after each iteration.
    method : str
        The name of the function.
    seconds : float
        Wall-clock time.
    extra : dict
        Further results of a method: ``step``, or ``rho``.
    """

    objective: float
    residual_norm: float
    optimality: float

    def _measures(self):
        return {
            "objective": f"{self.objective:.6g}",
            "residual": f"{self.residual_norm:.4g}",
            "optimality": f"{self.optimality:.4g}",
        }


@dataclass
class IterationState:
    """The argument of a callback."""

    nit: int
    x: Any
    residual_norm: float


class Problem:
    """``min ||A x - b||^2 / 2 + g(x)`` with its arguments checked.

    `g` is None for methods that bring their priors.
    """

    def __init__(self, op, b, g, x0, shape, rtol, atol, maxiter, callback, on_failure):
        self.started = time.perf_counter()
        self.op = as_operator(op)
        if not self.op.has_adjoint:
            raise TypeError("op must have an adjoint (rmatvec), got one without")
        self.g = g
        self.rtol, self.atol = number(rtol, "rtol"), number(atol, "atol")
        self.maxiter = integer(MAXITER if maxiter is None else maxiter, "maxiter")
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable, got {callback!r}")
        self.callback = callback
        check_on_failure(on_failure)
        self.on_failure = on_failure
        self._take_data(b)
        self._take_shape(shape)
        self._take_start(x0)
        if g is not None:
            self.prox, self.check_prox = (
                g.start() if hasattr(g, "start") else g.prox for _ in range(2)
            )
        self.atb = self.adjoint(self.b)
        if not self.is_finite(self.atb):
            raise ValueError("op gives a product with b that is not finite")

    def _take_data(self, b):
        self.xp = namespace(b)
        if self.xp is None or isinstance(b, np.matrix):
            b, self.xp = np.asarray(b), np
        if self.op.xp is not None and self.op.xp is not self.xp:
            raise TypeError(
                f"b must be a {self.op.xp.__name__} array, as the operator's are, got "
                f"{type(b).__module__}.{type(b).__name__}"
            )
        wanted = self.op.output_shape
        if b.shape == (self.op.shape[0],):
            b = b.reshape(wanted)
        self.batch = b.shape[: max(b.ndim - len(wanted), 0)]
        if b.shape != (*self.batch, *wanted) or math.prod(self.batch) == 0:
            raise ValueError(
                f"b must have shape ({self.op.shape[0]},) or (..., "
                f"{str(wanted)[1:-1].rstrip(',')}), got {b.shape}"
            )
        if not bool(self.xp.isfinite(b).all()):
            raise ValueError("b holds NaN or infinity")
        self.b = b

    def _take_shape(self, shape):
        item = self.op.input_shape if shape is None else tuple(shape)
        if math.prod(item) != self.op.shape[1]:
            raise ValueError(
                f"shape must have {self.op.shape[1]} entries, as x has, got {item}"
            )
        self.shape = (*self.batch, *item)

    def _take_start(self, x0):
        dtypes = [self.op.dtype, working_dtype(self.b.dtype, "b")]
        if x0 is not None:
            x0 = np.asarray(x0) if namespace(x0) is None else x0
            if namespace(x0) is not self.xp:
                raise TypeError(
                    "x0 must be an array of the same library as b, got "
                    f"{type(x0).__name__}"
                )
            dtypes.append(working_dtype(x0.dtype, "x0"))
            if x0.size != math.prod(self.shape):
                raise ValueError(f"x0 must have shape {self.shape}, got {x0.shape}")
        self.dtype = np.result_type(*dtypes)
        self.real = real_dtype(self.dtype)
        self.b = self.b.astype(self.dtype, copy=False)
        if x0 is None:
            self.x = self.xp.zeros(self.shape, dtype=self.dtype, **placement(self.b))
        else:
            self.x = copy(x0.astype(self.dtype, copy=False)).reshape(self.shape)

    def narrow(self):
        """The same problem with data and unknowns in single precision."""
        other = copy_object(self)
        other.real = np.dtype(np.float32)
        other.dtype = np.result_type(
            other.real, np.complex64 if self.dtype.kind == "c" else other.real
        )
        other.b, other.atb, other.x = (
            array.astype(other.dtype) for array in (self.b, self.atb, self.x)
        )
        return other

    def forward(self, x):
        """``A x``."""
        y = self.op.forward(x.reshape((*self.batch, *self.op.input_shape)))
        return y.astype(self.dtype, copy=False)

    def adjoint(self, y):
        """``A^H y``, in the shape of x."""
        x = self.op.adjoint(y).reshape(self.shape)
        return x.astype(self.dtype, copy=False)

    def norm(self, x):
        """The norm in double precision, a scalar of the library."""
        xp = self.xp
        if xp is np and x.dtype in SAFE:
            squared = np.vdot(x, x).real
            if SAFE_SQUARES[0] < squared < SAFE_SQUARES[1]:
                return np.sqrt(squared)
        largest = abs(x).max()
        unit = xp.where((largest > 0) & xp.isfinite(largest), largest, 1)
        parts = (abs(x) / unit) ** 2
        return unit * xp.sqrt(xp.sum(parts, dtype=np.float64))

    def is_finite(self, x):
        """Whether an array has neither NaN nor infinity."""
        return bool(self.xp.isfinite(x).all())

    def scalar(self, value):
        """A number as an array that does not change the precision of x."""
        return self.xp.asarray(value, dtype=self.real)

    def norm_squared(self):
        """``||A||^2`` by the power method, slightly too large rather than too small.

        Without the vectors and the scaled operator of `solve`, which the fixed step of
        `solvers.gradient` uses for the same.
        """
        if self.op.coisometry:
            return 1.0
        rng = np.random.default_rng(0)
        size = (1, *self.op.input_shape)
        v = standard_normal(rng, size, self.dtype)
        v = self.xp.asarray(v.astype(self.dtype))
        length = self.norm(v)
        for _ in range(POWER_STEPS):
            v = v / self.xp.where(length > 0, length, 1).astype(self.real)
            v = self.op.adjoint(self.op.forward(v))
            length = self.norm(v)
        found = float(length) * MARGIN
        if not math.isfinite(found):
            raise ValueError("op gives products that are not finite")
        return found

    def prox_gradient(self, x, step):
        """``(z, A x - b)`` with z a proximal gradient step from x, to check x."""
        rest = self.forward(x) - self.b
        if not self.is_finite(rest):
            return self.nothing(), rest
        step = self.scalar(step)
        return self.check_prox(x - step * self.adjoint(rest), step), rest

    def nothing(self):
        """An x of NaN, returned when no iterate exists."""
        return self.xp.full_like(self.x, math.nan)

    def floor(self, x, squared):
        """Size of the rounding errors of a gradient that is zero."""
        size = math.sqrt(squared) * self.norm(self.b) + squared * self.norm(x)
        return FLOOR * float(np.finfo(self.real).eps) * size

    def result(
        self, stopping, x, success, optimality, rest, method, extra, stacklevel=4
    ):
        """The result, with the value of g; warns without success."""
        value = getattr(self.g, "value", None)
        value = float(value(x)) if callable(value) else math.nan
        return self.valued_result(
            stopping, x, success, optimality, rest, value, method, extra, stacklevel + 1
        )

    def valued_result(
        self, stopping, x, success, optimality, rest, value, method, extra, stacklevel
    ):
        """The result, with the value of the priors; warns without success."""
        status = stopping.status
        if success and status is not Status.STOPPED:
            status = Status.CONVERGED
        elif status is Status.CONVERGED:
            status = Status.STALLED
        residual = float(self.norm(rest))
        objective = value if math.isfinite(residual) else math.nan
        if extra.get("data", "soft") == "soft":
            objective += residual**2 / 2
        made = ProximalResult(
            x=x,
            success=bool(success),
            status=status,
            message=status.value,
            nit=stopping.nit,
            objective=objective,
            residual_norm=residual,
            optimality=float(optimality),
            history=np.array([float(h) for h in stopping.history]),
            method=method,
            seconds=time.perf_counter() - self.started,
            extra=extra,
        )
        return deliver(made, self.on_failure, stacklevel)


class StoppingTest:
    """Counts iterations and decides when to stop."""

    def __init__(self, problem):
        self.problem, self.nit, self.history = problem, 0, []
        self.status, self.aim = Status.MAXITER, AIM
        eager = problem.xp is np or problem.callback is not None
        self.every = 1 if eager else EVERY

    @property
    def going(self):
        """Whether another iteration is allowed."""
        return self.nit < self.problem.maxiter

    def passes(self, measure):
        """Record an iteration after which x was not tested, with the last measure."""
        self.nit += 1
        self.history.append(math.nan if measure is None else measure)

    def ends(self, x, measure, tolerance):
        """Record an iteration; True if it was the last."""
        problem = self.problem
        self.nit += 1
        self.history.append(measure)
        if self.nit % self.every and self.nit < problem.maxiter:
            return False
        value = float(measure)
        if not math.isfinite(value):
            self.status = Status.NONFINITE
            return True
        if value <= self.aim * float(tolerance):
            self.status = Status.CONVERGED
        if problem.callback is not None:
            answer = problem.callback(IterationState(self.nit, x, value))
            if isinstance(answer, (bool, np.bool_)) and answer:
                self.status = Status.STOPPED
        return self.status is not Status.MAXITER
