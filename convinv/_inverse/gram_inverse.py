"""Solutions of a problem from an inverse of the Gram matrix N."""

import copy
import math

import numpy as np

from .._core.errors import MemoryLimit, Singular
from ..operators._cells import keeper, parts_of
from .accuracy import COARSE, FINEST, FULL, NARROW, at
from .circulant import look
from .gram import Gram

MEMORY = 2**30  # bytes of a factor, and of finding its entries
ROUNDING = 1e-12  # residual of refinements for damped wide layers with a start
# Shifts of iterated Tikhonov regularization: a smaller one converges faster and leaves
# more rounding outside the range of A^H, too much for tolerances below TIGHT.
SHIFT, LARGER, TIGHT = 1e-4, 1e-3, 1e-8
ZERO = 4  # rounding errors of the kernel up to which a singular value may be zero
LARGE = 2**14  # unknowns above which inverse iteration costs too much time
UNSEEN = 1e-12  # sum of an unknown's taps, over the largest, that may be rounding
STEPS = 4  # of inverse iteration for the smallest singular value


class GramInverse:
    """An (approximate) inverse of ``A^H A + damp^2 I`` or ``A A^H + damp^2 I``.

    Attributes
    ----------
    gram : Gram
    damp : float
    inner : BlockCholesky or BorderCorrectedCirculant
        In double precision if single precision would leave few digits.
    shift : float
        Additional shift of a singular N: the inverse is then an approximation, for
        preconditioning. Usually 0.
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
        """``M v`` for flat `v`, (B, n) or (B, m) depending on the side."""
        return self._apply(self.inner.solve, v)

    def symmetric(self, v):
        """``M v`` for a Hermitian positive definite M."""
        return self._apply(self.inner.symmetric, v)

    def _apply(self, function, v):
        """Apply `function` in the wider of the precisions of the inverse and of v."""
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
            d = self.solve(problem.gradient)
            return self._in_range(problem, d) if self.damp > problem.damp else d
        if not problem.damp or problem.origin is None:
            return problem.adjoint(self.solve(problem.b))
        # d = (s - A^H N^-1 A s) / damp^2 inverts A^H A + damp^2 with the inverse of N
        s = problem.gradient
        v = problem.forward(s)
        u = self.solve(v)
        error = min(self.accuracy.decay, 0.1)
        # the division makes errors large
        for _ in range(math.ceil(math.log(ROUNDING) / math.log(error))):
            residual = v - problem.forward(problem.adjoint(u)) - problem.damp**2 * u
            u = u + self.solve(residual)
        return (s - problem.adjoint(u)) / problem.damp**2

    def _in_range(self, problem, d):
        """What a shifted N gave, without the null space of A.

        Division by the shift leaves rounding there, which no further iteration would
        take away. With ``y = A d``, which is in the range of A whatever b is, ``A^H (y
        - A (N + shift)^-1 A^H y) / shift`` is nearly d, and A^H times something.
        """
        y = problem.forward(d)
        again = problem.forward(self.solve(problem.adjoint(y)))
        return problem.adjoint((y - again) / self.damp**2)

    @property
    def smallest_singular_value(self):
        """The smallest singular value of A, or of ``[A; damp I]``, about.

        Found once, from above, by a few steps of inverse iteration. For large
        well-conditioned layers these would take a large part of a solve's time, and the
        inverse gives an estimate. For a wide layer it is the least of the singular
        values that affect the solution of least norm.
        """
        # pivots of a factor along the image do not show it: a Laplacian's are large
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
    """1 for unknowns that influence the output, 0 for others; None if all do."""
    sums = 0.0
    for op in parts_of(gram.op):
        cover = op.with_kernel(xp.abs(op.kernel))
        ones = xp.ones((1, *op.output_shape), dtype=cover.dtype)
        sums = sums + cover.apply_adjoint(ones)
    seen = sums > UNSEEN * sums.max()
    if bool(seen.all()):
        return None
    return seen.reshape(1, -1).astype(gram.dtype)


def _widened(problem, dtype):
    """The problem in double precision, with its gradient not rounded to single."""
    wide = copy.copy(problem)
    wide.b = problem.b.astype(dtype)
    if problem.origin is not None:
        wide.origin = problem.origin.astype(dtype)
    wide.gradient, _ = wide.normal_residual(wide.b, None)
    return wide


def condition_notes(inverse, problem):
    """The condition as a method with an inverse reports it, in the user's units."""
    least = inverse.smallest_singular_value / problem.kernel_scale
    return {"rcond": inverse.rcond, "smallest_singular_value": least}


def side_of(op):
    """The side of the smaller Gram matrix, which usually has full rank.

    "input" for ``A^H A`` of `op`, "output" for ``A A^H``. The adjoint of a layer uses
    the same matrix as the layer. Only the former is known of a stack.
    """
    layer = keeper(op)
    tall = layer.shape[0] >= layer.shape[1] or op.layer is None
    side = "input" if tall else "output"
    return side if layer is op else OTHER[side]


OTHER = {"input": "output", "output": "input", "self": "self"}


def gram_of(op, side):
    """N's stencil, which does not depend on damp; kept with the layer."""
    layer = keeper(op)
    side = side if layer is op else OTHER[side]
    return layer.cached(("gram", side), lambda: Gram(layer.bare(), side))


def gram_inverse(op, kind, key, damp, make, accuracy=FINEST):
    """``GramInverse`` of kind `kind`, by ``make(gram, dtype, accuracy)``."""

    def build():
        gram = gram_of(op, side_of(op))
        # a regular layer may have a singular interior
        wanted = FULL if accuracy <= FINEST else at(accuracy, look(gram, damp).rcond)
        inner, found = sound(
            lambda dtype, accuracy: make(gram, dtype, accuracy), op.dtype, wanted
        )
        return GramInverse(op.xp, gram, inner, damp, accuracy=found)

    return keeper(op).cached((kind, damp, accuracy, *key), build)


def shift_for(rtol) -> float:
    """The square root of the shift of a singular N, in units of ``||A||``."""
    return SHIFT if rtol >= TIGHT else LARGER


def shifted(op, damp, shift) -> float:
    """The damp that makes an inverse that of N plus ``(shift ||A||)^2``."""
    return math.hypot(damp, shift * math.sqrt(gram_of(op, side_of(op)).bound))


def is_kept(op, *key) -> bool:
    """Whether a set-up whose key begins with `key` is kept."""
    kept = keeper(op).cached_keys
    return any(k[: len(key)] == key for k in kept)


def shifted_inverse(gram, xp, damp, dtype, make, shares):
    """A `GramInverse` by ``make(damp, dtype)``; of N plus a shift if N is singular.

    The shift is the first of `shares`, times a bound of N's largest eigenvalue, with
    which the inverse exists. Raises Singular only if N is zero.
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
    """``make(dtype, accuracy)`` and its accuracy; exact if coarse leaves few digits.

    An inverse in single precision, because the operator is in it or the inverse is
    coarse, is computed again in double precision if it is too ill-conditioned and has
    not been left there. Raises Singular if double precision would leave no digits
    either.
    """
    dtype = np.dtype(dtype)
    wide, limit = np.result_type(dtype, np.float64), 0.0
    narrow = np.dtype(np.float32 if dtype.kind == "f" else np.complex64)
    exact = accuracy
    if dtype == narrow or accuracy.single:
        found = make(narrow, accuracy)
        if found.rcond > (COARSE if accuracy.single else NARROW):
            return found, accuracy
        if found.dtype == wide:
            refuse_unsound(found, dtype)
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

    Also if the least singular value may be a zero changed by rounding the kernel to
    `dtype`.
    """
    limit = max(5 * np.finfo(float).eps, (ZERO * np.finfo(dtype).eps) ** 2)
    bad = ~(inner.rconds > limit)
    if bad.any():
        raise Singular(
            "the layer is rank-deficient or too ill-conditioned for an inverse of its "
            f"normal equations (reciprocal condition number {inner.rcond:.1e})",
            np.flatnonzero(bad),
        )
