"""Approximate inverses of the Gram matrix on the boxes of tiles.

In the interior of an image the Gram matrix is invariant under shifts, and what a box
cuts off is made up for by its halo: the inverse on a torus suffices. At the borders of
the image it has to be that of the layer with its padding: exact, by a factor or a
bordered circulant, or by conjugate gradients with the torus as preconditioner.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kernels
from .._core.arrays import namespace
from .._core.errors import Singular
from .._inverse.accuracy import FINEST
from .._inverse.border_correction import BorderCorrectedCirculant
from .._inverse.embedding import Embedding, is_embedded
from .._inverse.gram import Gram
from .._inverse.gram_inverse import GramInverse, sound
from .._planning import costs
from .._planning.ways import Plan
from ..operators._convolution import ConvLinearOperator
from ..operators._stacked import StackedOperator
from ..solvers.direct import factored
from ..solvers.schwarz import border_corrected

EXACT: dict[str, Any] = {"direct": factored, "schwarz": border_corrected}
STEPS = 15  # expected iterations of conjugate gradients, to compare costs
MOST = 200  # iterations at most


def local_operator(parts, axes, tile):
    """The convolutions on the box of a tile, as a stack.

    Where the box ends within the image, rows read zeros beyond it (on layers whose
    padding folds, folded samples), and all rows that read the box are there; but of
    convolutions without any padding, beside differences, only rows within the box.
    """
    shape = (parts[0].op.input_shape[0], *tile.box)
    padded = not are_embedded(parts)
    found = [_local(part.op, axes, tile, shape, padded) for part in parts]
    return found[0] if len(found) == 1 else StackedOperator(found)


def are_embedded(parts) -> bool:
    """Whether the parts are a convolution without padding and its penalties."""
    return len(parts) > 1 and all(is_embedded(part.op) for part in parts)


def _local(op, axes, tile, shape, padded):
    boundary = op.boundary
    if boundary == "periodic" and not any(axis.whole for axis in axes):
        boundary = "zero"
    padding = []
    for axis, segment, number in zip(axes, tile.segments, range(len(axes))):
        a = 3 - len(axes) + number
        g = op.geometry
        span, step = g.dilation[a] * (g.kernel[a] - 1), g.stride[a]
        before, after = g.before[a], g.after[a]
        low, high = (span, span) if padded else (before, after)
        if not segment.open_low:  # windows start where they do in the image
            before = low + (before + segment.box[0] - low) % step
        if not segment.open_high:
            after = high
        padding.append((before, after))
    options = {**op.options, "padding": tuple(padding), "boundary": boundary}
    return ConvLinearOperator(op.kernel, shape, **options)


class TorusInverse:
    """The inverse on a torus of the size of a box."""

    def __init__(self, op, damp):
        gram = Gram(op, "input")

        def make(dtype, accuracy):
            return BorderCorrectedCirculant(
                gram, damp=damp, xp=op.xp, dtype=dtype, bands=False
            )

        inner, _ = sound(make, op.dtype)
        self._inverse = GramInverse(op.xp, gram, inner, damp)

    def apply(self, g):
        """The inverse of ``(B, C, *box)``."""
        return _on_flat(self._inverse.symmetric, g)


class ExactInverse:
    """The inverse of a layer with its borders, of a way that costs were found for.

    It is refined once where it has fewer digits than are asked for.
    """

    def __init__(self, op, damp, way, rtol):
        self.op, self.damp, self.is_coarse = op, damp, rtol < FINEST
        self._inverse = EXACT[way.name](op, damp, **way.options)

    def apply(self, g):
        """The inverse of ``(B, C, *box)``."""
        d = _on_flat(self._inverse.solve, g)
        if self.is_coarse:
            d = d + _on_flat(self._inverse.solve, g - _gram(self.op, self.damp, d))
        return d


class IteratedInverse:
    """Conjugate gradients, preconditioned by the inverse on a torus.

    Parameters
    ----------
    op : ConvLinearOperator or StackedOperator
        On a box.
    damp : float
    torus : TorusInverse
    rtol : float
        Of the residual at which they stop.
    """

    def __init__(self, op, damp, torus, rtol):
        self.op, self.damp, self.torus, self.rtol = op, damp, torus, rtol
        self._vectors = kernels.load("vectors", op.xp)

    def apply(self, g):
        """The inverse of ``(B, C, *box)``."""
        xp, shape, vectors = namespace(g), g.shape, self._vectors
        r = xp.ascontiguousarray(g).reshape((len(g), -1)).copy()
        goal = self.rtol**2 * vectors.sumsq(r)
        x, p = xp.zeros_like(r), None
        gamma = None
        for _ in range(MOST):
            z = self.torus.apply(r.reshape(shape)).reshape(r.shape)
            found = vectors.dot(r, z).real
            if p is None:
                p = z.copy()
            else:
                beta = _quotient(xp, found, gamma)
                p, _ = vectors.axpby(xp.ones_like(beta), z, beta, p)
            gamma = found
            q = _gram(self.op, self.damp, p.reshape(shape)).reshape(r.shape)
            alpha = _quotient(xp, gamma, vectors.dot(p, q).real)
            x, _ = vectors.axpy(alpha, p, x)
            r, squares = vectors.axpy(-alpha, q, r)
            if bool(xp.all(squares <= goal)):
                break
        return x.reshape(shape)


class EmbeddedInverse:
    """Conjugate gradients on the rows that a torus adds to unpadded convolutions.

    Parameters
    ----------
    op : ConvLinearOperator or StackedOperator
        On a box, rows of convolutions on a torus.
    damp : float
    rtol : float
        Of the residual at which they stop.
    """

    def __init__(self, op, damp, rtol):
        self._inverse, self.rtol = Embedding(op, damp, op.dtype), rtol
        self._vectors = kernels.load("vectors", op.xp)

    def apply(self, g):
        """The inverse of ``(B, C, *box)``."""
        xp, vectors, inverse = namespace(g), self._vectors, self._inverse
        flat = xp.ascontiguousarray(g).reshape((len(g), -1))
        if inverse.added is None:
            return inverse.solution(flat).reshape(g.shape)
        r = inverse.start(flat)
        goal = (self.rtol / inverse.largest) ** 2 * vectors.sumsq(flat)
        w, p = xp.zeros_like(r), inverse.precondition(r.copy())
        gamma, squares = vectors.dot(r, p).real, vectors.sumsq(r)
        for _ in range(MOST):
            if bool(xp.all(squares <= goal)):
                break
            q = inverse.project(p)
            alpha = _quotient(xp, gamma, vectors.dot(p, q).real)
            w, _ = vectors.axpy(alpha, p, w)
            r, squares = vectors.axpy(-alpha, q, r)
            z = inverse.precondition(r)
            before, gamma = gamma, vectors.dot(r, z).real
            beta = _quotient(xp, gamma, before)
            p, _ = vectors.axpby(xp.ones_like(beta), z, beta, p)
        return inverse.solution(flat, w).reshape(g.shape)


def border_inverse(op, damp, torus, rtol, batch=1, uses=1):
    """The cheapest inverse of a box at the image's border.

    `torus` makes the `TorusInverse` of its size; `uses` is how often the inverse is
    applied. Raises Singular if there is none.
    """
    plan = Plan(op, damp, batch, rtol)
    embedded = is_embedded(op)
    if embedded:
        once = costs.embedding(op, batch).once
    else:
        once = costs.iteration(op, batch, damp) + costs.circulant(plan.gram, batch).once
    ways = [
        way
        for way in plan.exact_ways
        if "shift" not in way.options and way.options["accuracy"] <= max(rtol, FINEST)
    ]

    def cost(way):
        return way.cost.once + way.cost.setup / uses

    way = min(ways, key=cost, default=None)
    if way is not None and cost(way) <= STEPS * once:
        try:
            return ExactInverse(op, damp, way, rtol)
        except (Singular, np.linalg.LinAlgError, MemoryError):
            pass  # iterations say whether it is that
    if embedded:
        return EmbeddedInverse(op, damp, rtol)
    return IteratedInverse(op, damp, torus(), rtol)


def _gram(op, damp, p):
    """``(A^H A + damp^2) p`` in the precision of p."""
    op = op if p.dtype == op.dtype else op.astype(p.dtype)
    q = op.apply_adjoint(op.apply(p))
    return q + damp**2 * p if damp else q


def _on_flat(function, g):
    xp = namespace(g)
    flat = xp.ascontiguousarray(g).reshape((len(g), -1))
    return function(flat).astype(g.dtype, copy=False).reshape(g.shape)


def _quotient(xp, a, b):
    """``a / b``, 0 where b is not positive."""
    safe = b > 0
    return xp.where(safe, a / xp.where(safe, b, 1.0), 0.0)
