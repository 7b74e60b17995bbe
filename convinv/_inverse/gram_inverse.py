"""From an inverse of the Gram matrix N to the solution of a problem."""

import copy
import math

import numpy as np

from .._core.errors import MemoryLimit, Singular
from .accuracy import COARSE, FINEST, FULL, NARROW, at
from .circulant import look
from .gram import Gram

MEMORY = 2**30  # bytes of a factor, and of what finding its entries takes
ROUNDING = 1e-12  # what refinements for damped wide layers with a start leave
# Shifts of iterated Tikhonov regularization: a smaller one converges faster and leaves
# more rounding outside the range of A^H, too much for tolerances below TIGHT.
SHIFT, LARGER, TIGHT = 1e-4, 1e-3, 1e-8
ZERO = 4  # rounding errors of the kernel that a singular value of zero may become
LARGE = 2**14  # unknowns from which on inverse iteration is worth its time no more
UNSEEN = 1e-12  # of the sum of an unknown's taps: it may be rounding
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
    accuracy : Accuracy
    """

    def __init__(self, xp, gram, inner, damp, shift=0.0, accuracy=FULL):
        self.xp, self.gram, self.inner = xp, gram, inner
        self.damp, self.shift, self.accuracy = damp, shift, accuracy
        self._least = None
        self.seen = None if damp or gram.side != "input" else _seen(gram, xp)

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
        """In the precision of the inverse, or that of v where this is wider."""
        xp, given = self.xp, np.dtype(v.dtype)
        dtype = self.inner.dtype
        if not self.accuracy.single:
            dtype = np.result_type(given, dtype)
        elif given.kind == "c":
            dtype = np.result_type(dtype, np.complex64)
        v = self.gram.pack(v.astype(dtype, copy=False))
        x = function(xp.ascontiguousarray(v)).astype(np.result_type(given, dtype))
        x = self.gram.unpack(xp.ascontiguousarray(x))
        return x if self.seen is None else x * self.seen

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
        error = min(self.accuracy.decay, 0.1)
        # the division makes errors large
        for _ in range(math.ceil(math.log(ROUNDING) / math.log(error))):
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
        if self.accuracy.single and self.rcond > NARROW:
            interior = look(self.gram, self.damp).least
            return math.sqrt(min(self.inner.least, interior))
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


def _seen(gram, xp):
    """1 for unknowns that the layer sees and 0 for others, None where it sees all."""
    op = gram.op
    cover = op._with_kernel(xp.abs(op.kernel))
    sums = cover._backward(xp.ones((1, *op.output_shape), dtype=cover.dtype))
    seen = sums > UNSEEN * sums.max()
    if bool(seen.all()):
        return None
    return seen.reshape(1, -1).astype(gram.dtype)


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


def gram_inverse(op, kind, key, damp, make, accuracy=FINEST):
    """``GramInverse`` of kind `kind`, by ``make(gram, dtype, accuracy)``."""

    def build():
        gram = gram_of(op, side_of(op))
        # a singular interior may still be part of a regular layer
        wanted = FULL if accuracy <= FINEST else at(accuracy, look(gram, damp).rcond)
        inner, found = sound(
            lambda dtype, accuracy: make(gram, dtype, accuracy), op.dtype, wanted
        )
        return GramInverse(op.xp, gram, inner, damp, accuracy=found)

    return op.layer._kept((kind, damp, accuracy, *key), build)


def shift_for(rtol) -> float:
    """What is added to a singular N, the root of it in units of ``||A||``."""
    return SHIFT if rtol >= TIGHT else LARGER


def shifted(op, damp, shift) -> float:
    """The damp with which an inverse is one of N plus ``(shift ||A||)^2``."""
    return math.hypot(damp, shift * math.sqrt(gram_of(op, side_of(op)).bound))


def is_kept(op, *key) -> bool:
    """Whether a set-up whose key begins so is kept with the layer."""
    kept = [k for k in list(op.layer._plans) if isinstance(k, tuple)]
    return any(k[: len(key)] == key for k in kept)


def shifted_inverse(gram, xp, damp, dtype, make, shares):
    """A `GramInverse` by ``make(damp, dtype)``, where N is singular of N plus a shift.

    The shift is the first of `shares` of a bound of N's largest eigenvalue with which
    it can be had. Raises Singular only where N is zero.
    """
    for share in (0.0, *shares):
        shift = share * gram.bound if share else 0.0
        root = math.hypot(damp, math.sqrt(shift)) if shift else damp
        try:
            inner, _ = sound(lambda dtype, _, root=root: make(root, dtype), dtype)
            return GramInverse(xp, gram, inner, root, shift)
        except Singular as error:
            refusal = error
    raise refusal


def sound(make, dtype, accuracy=FULL):
    """``make(dtype, accuracy)`` and its accuracy; exact where coarse has few digits.

    An inverse in single precision, of an operator in single precision or of a coarse
    one, is made again in double precision where it is too ill-conditioned for that.
    Raises Singular where double precision would not leave any digits either.
    """
    dtype = np.dtype(dtype)
    wide, limit = np.result_type(dtype, np.float64), 0.0
    narrow = np.dtype(np.float32 if dtype.kind == "f" else np.complex64)
    exact = accuracy
    if dtype == narrow or accuracy.single:
        found = make(narrow, accuracy)
        if found.rcond > (COARSE if accuracy.single else NARROW):
            return found, accuracy
        limit = 100 * float(np.finfo(narrow).eps)
    if accuracy.single:
        exact = at(accuracy.decay, found.rcond)._replace(single=False, narrow=False)
    try:
        inner = make(wide, exact)
    except MemoryLimit:
        if (dtype == narrow or accuracy.single) and found.rcond > limit:
            return found, accuracy
        raise
    refuse_unsound(inner, dtype)
    return inner, exact


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
