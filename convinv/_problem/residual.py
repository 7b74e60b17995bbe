"""Residuals of a batch and their norms, in double precision."""

import numpy as np

from .. import kernels
from .._core.arrays import contiguous, namespace, placement, to_numpy
from ..operators._batches import batch_of

PIECE_BYTES = 2**22  # of the residuals of some items at once: a share of a cache


class Residuals:
    """``r = b - A x`` and ``s = A^H r - damp^2 x`` in double precision.

    On the host a convolution processes a few items of the batch together, so that
    vectors in double precision stay in a cache and reuse memory: new memory costs more
    than a product. They are kept only on request, in b's dtype.

    Parameters
    ----------
    op : ShapedOperator
    b : array, shape (B, m)
    damp : float

    Attributes
    ----------
    dtype : dtype
        float64 or complex128, in b's library.
    """

    def __init__(self, op, b, damp):
        self.op, self.b, self.damp = op, b, damp
        self.xp = xp = namespace(b)
        self.vectors = kernels.load("vectors", xp)
        is_complex = xp.isdtype(b.dtype, "complex floating")
        self.dtype = xp.complex128 if is_complex else xp.float64
        self.fused = op.fused
        batch = size = b.shape[0]
        if self.fused and xp is np:
            row_bytes = op.shape[0] * np.dtype(self.dtype).itemsize
            size = max(PIECE_BYTES // row_bytes, 1)
        starts = range(0, batch, size)
        self.pieces = [slice(i, min(i + size, batch)) for i in starts]
        self._held = None

    def wide(self, array):
        return self.xp.astype(array, self.dtype, copy=False)

    def forward(self, x):
        """``A x``."""
        y = self.op.apply(self.xp.reshape(x, (x.shape[0], *self.op.input_shape)))
        return contiguous(self.xp.reshape(y, (x.shape[0], -1)))

    def adjoint(self, y):
        """``A^H y``, NaN if the operator has no adjoint."""
        op, batch = self.op, y.shape[0]
        if not op.has_adjoint:
            shape = (batch, op.shape[1])
            return self.xp.full(shape, float("nan"), **placement(y))
        x = op.apply_adjoint(self.xp.reshape(y, (batch, *op.output_shape)))
        return contiguous(self.xp.reshape(x, (batch, -1)))

    def __call__(self, x, enough):
        """``(norms, r, s)`` of one x.

        `norms`, on the host and of shape ``(2, B)``, are those of r and s. r and s are
        None if ``enough(norms, items)`` is true for every slice of items.
        """
        norms, kept = np.empty((2, self.b.shape[0])), None
        missed = []
        for items in self.pieces:
            r, s, *sums = self._piece(x, items)
            norms[:, items] = [np.sqrt(to_numpy(part)) for part in sums]
            if kept is None and not enough(norms, items):
                kept = self._kept(r, s)
            if kept is None:
                missed.append(items)
            elif len(self.pieces) > 1:
                kept[0][items], kept[1][items] = r, s
        for items in missed if kept is not None else []:
            kept[0][items], kept[1][items], *_ = self._piece(x, items)
        return (norms, *(kept or (None, None)))

    def _kept(self, r, s):
        """Arrays for the r and s of all items: the given ones if they hold all."""
        kind = self.b.dtype
        if len(self.pieces) > 1:
            return [np.empty((self.b.shape[0], a.shape[1]), kind) for a in (r, s)]
        if kind == r.dtype:
            self._held = None
        return [self.xp.astype(a, kind, copy=False) for a in (r, s)]

    def _piece(self, x, items):
        """r and s of some items, overwritten by the next call, and squared norms."""
        if self.fused:
            return self._products(x[items, :], self.b[items, :])
        x, b = self.wide(x), self.wide(self.b)
        r = b - self.forward(x)
        s = self.adjoint(r)
        if self.damp:
            s = s - self.damp**2 * x
        return r, s, self.vectors.sumsq(r), self.vectors.sumsq(s)

    def _products(self, x, b):
        """Like `_piece`, by the kernels that work in place."""
        op, xp, batch = self.op, self.xp, b.shape[0]
        held, r, s = (a[:batch, :] for a in self._scratch(batch))
        if x.dtype != held.dtype:
            held[...] = x
            x = held
        op.apply(batch_of(x, op.input_shape), out=batch_of(r, op.output_shape))
        r, squares = self.vectors.subtract(b, r)
        image, out = batch_of(r, op.output_shape), batch_of(s, op.input_shape)
        _, normal = op.apply_adjoint(image, out=out, sumsq=True)
        if self.damp:
            factor = xp.full((batch,), -(self.damp**2), dtype=xp.float64)
            s, normal = self.vectors.axpy(factor, x, s)
        return r, s, squares, normal

    def _scratch(self, batch):
        """Arrays for x, r and s, those of the previous call if there was one."""
        if self._held is None:
            m, n = self.op.shape
            narrow = self.b.dtype != self.dtype
            self._held = [
                self.xp.empty((batch, size), dtype=self.dtype)
                for size in (n if narrow else 0, m, n)
            ]
        return self._held
