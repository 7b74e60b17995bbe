"""What a method solves: a scaled problem, with its products and vector updates."""

from .. import kernels
from .._core.arrays import contiguous, copy, namespace, placement


class Unsuitable(Exception):
    """A method's set-up can't invert this operator; the text says why."""


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
