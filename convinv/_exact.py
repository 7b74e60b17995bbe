"""From an inverse of the Gram matrix N to the solution of a problem."""

import copy
import math

import numpy as np

from ._banded import MemoryLimit, Singular
from ._gram import Gram

REPEATS = 3  # refinements inside the damped correction of a wide layer
# Up to this reciprocal condition number an inverse is kept in double precision: in
# single precision it would have few digits, and more refinements would cost more.
NARROW = 1e-4
ZERO = 4  # rounding errors of the kernel that a singular value of zero may become
LARGE = 2**14  # unknowns from which on inverse iteration is worth its time no more
STEPS = 4  # of inverse iteration for the smallest singular value


class GramInverse:
    """An (approximate) inverse of ``A^H A + damp^2 I`` or ``A A^H + damp^2 I``.

    Attributes
    ----------
    gram : Gram
    damp : float
    inner : BlockCholesky or NestedTori
        In double precision where single precision would leave few digits.
    shift : float
        What was added to a singular N besides: the inverse is an approximation then,
        for preconditioning. 0 as a rule.
    """

    def __init__(self, xp, gram, inner, damp, shift=0.0):
        self.xp, self.gram, self.inner = xp, gram, inner
        self.damp, self.shift = damp, shift
        self._least = None

    @property
    def nbytes(self):
        return self.inner.nbytes

    @property
    def rcond(self):
        """The reciprocal condition number of N, estimated from above."""
        return self.inner.rcond

    def solve(self, v):
        """``M v`` for flat `v`, (B, n) or (B, m) as the side has it."""
        return self._apply(self.inner.solve, v)

    def symmetric(self, v):
        """The same by a Hermitian positive definite M."""
        return self._apply(self.inner.symmetric, v)

    def _apply(self, function, v):
        xp, dtype = self.xp, np.result_type(v.dtype, self.inner.dtype)
        v = self.gram.pack(v.astype(dtype, copy=False))
        x = function(xp.ascontiguousarray(v))
        return self.gram.unpack(xp.ascontiguousarray(x))

    def correction(self, problem):
        """d that solves ``min ||A d - b||^2 + damp^2 ||origin + d||^2``."""
        if self.inner.dtype.itemsize > problem.b.dtype.itemsize:
            problem = _widened(problem, self.inner.dtype)
        if side_of(problem.op) == "input":
            return self.solve(problem.gradient)
        if not problem.damp or problem.origin is None:
            return problem.adjoint(self.solve(problem.b))
        # d = (s - A^H N^-1 A s) / damp^2 inverts A^H A + damp^2 by what inverts N
        s = problem.gradient
        v = problem.forward(s)
        u = self.solve(v)
        for _ in range(REPEATS):  # the division makes errors large
            residual = v - problem.forward(problem.adjoint(u)) - problem.damp**2 * u
            u = u + self.solve(residual)
        return (s - problem.adjoint(u)) / problem.damp**2

    @property
    def smallest_singular_value(self):
        """The least of A, or of ``[A; damp I]``, about.

        Found once, by a few steps of inverse iteration, from above. For large layers
        that are well-conditioned these would take a good part of a solve's time, and it
        is read off the inverse. With a wide layer it is the least of those that count
        for the solution of least norm.
        """
        # pivots of a factor along the image are no measure: a Laplacian's are large
        by_torus = getattr(self.inner, "torus", None) is not None
        if by_torus and self._size > LARGE and self.rcond > NARROW:
            return math.sqrt(self.inner.least)
        if self._least is None:
            v = np.random.default_rng(0).standard_normal((1, self._size))
            v = self.xp.asarray(v.astype(self.inner.dtype))
            for _ in range(STEPS):
                v = v / self.xp.linalg.norm(v)
                v = self.solve(v)
            self._least = float(self.xp.linalg.norm(v)) ** -0.5
        return self._least

    @property
    def _size(self):
        shape = self.gram.op.shape
        return shape[1] if self.gram.side == "input" else shape[0]


def _widened(problem, dtype):
    """The problem in double precision, its gradient not rounded to single."""
    wide = copy.copy(problem)
    wide.b = problem.b.astype(dtype)
    if problem.origin is not None:
        wide.origin = problem.origin.astype(dtype)
    wide.gradient, _ = wide.normal_residual(wide.b, None)
    return wide


def condition_notes(inverse, problem):
    """What a method with an inverse says of the condition, in the user's units."""
    least = inverse.smallest_singular_value / problem.kernel_scale
    return {"rcond": inverse.rcond, "smallest_singular_value": least}


def side_of(op):
    """Of the two Gram matrices the smaller, which has full rank as a rule.

    "input" for ``A^H A`` of `op`, "output" for ``A A^H``. The adjoint of a layer takes
    the same matrix as the layer.
    """
    layer = op.layer
    side = "input" if layer.shape[0] >= layer.shape[1] else "output"
    return side if layer is op else OTHER[side]


OTHER = {"input": "output", "output": "input", "self": "self"}


def gram_of(op, side):
    """N's stencil, which serves every damp; kept with the layer."""
    layer = op.layer
    side = side if layer is op else OTHER[side]
    return layer._kept(("gram", side), lambda: Gram(layer._bare(), side))


def gram_inverse(op, kind, key, damp, make):
    """``GramInverse`` of kind `kind`, whose inner solver is ``make(gram, dtype)``."""

    def build():
        gram = gram_of(op, side_of(op))
        inner = sound(lambda dtype: make(gram, dtype), op.dtype)
        return GramInverse(op.xp, gram, inner, damp)

    return op.layer._kept((kind, damp, *key), build)


def shifted_inverse(gram, xp, damp, dtype, make, shares):
    """A `GramInverse` by ``make(damp, dtype)``, where N is singular of N plus a shift.

    The shift is the first of `shares` of a bound of N's largest eigenvalue with which
    it can be had. Raises Singular only where N is zero.
    """
    for share in (0.0, *shares):
        shift = share * gram.bound if share else 0.0
        root = math.hypot(damp, math.sqrt(shift)) if shift else damp
        try:
            inner = sound(lambda dtype, root=root: make(root, dtype), dtype)
            return GramInverse(xp, gram, inner, root, shift)
        except Singular as error:
            refusal = error
    raise refusal


def sound(make, dtype):
    """``make(dtype)``, in double precision where `dtype` would leave few digits.

    Raises Singular where double precision would not leave any either.
    """
    dtype = np.dtype(dtype)
    wide, limit = np.result_type(dtype, np.float64), 0.0
    if dtype != wide:
        narrow = make(dtype)
        if narrow.rcond > NARROW:
            return narrow
        limit = 100 * float(np.finfo(dtype).eps)
    try:
        inner = make(wide)
    except MemoryLimit:
        if dtype != wide and narrow.rcond > limit:
            return narrow
        raise
    refuse_unsound(inner, dtype)
    return inner


def refuse_unsound(inner, dtype):
    """Raise Singular if the condition number leaves no digits in double precision.

    Or if rounding a kernel to `dtype` may have made the least singular value of a zero.
    """
    limit = max(5 * np.finfo(float).eps, (ZERO * np.finfo(dtype).eps) ** 2)
    bad = ~(inner.rconds > limit)
    if bad.any():
        raise Singular(
            "the layer is rank-deficient or too ill-conditioned for an inverse of its "
            f"normal equations (reciprocal condition number {inner.rcond:.1e})",
            np.flatnonzero(bad),
        )
