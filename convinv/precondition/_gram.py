"""Preconditioners made from an approximate inverse of a Gram matrix."""

from .._exact import GramInverse, gram_of, refuse_unsound
from ._base import Preconditioner


class GramPreconditioner(Preconditioner):
    """Applies ``self._make(gram)``, an approximate inverse of the Gram matrix.

    Wide layers without damp have a singular ``A^H A``, whose pseudoinverse ``A^H (A
    A^H)^-2 A`` is approximated then: least-norm solutions stay what they are.
    """

    def __init__(self, op, damp=0.0, equations="normal"):
        super().__init__(op, damp, equations)
        wide = op.shape[0] < op.shape[1] and not damp
        side = "output" if wide else "input"
        self.side = "self" if equations == "hermitian" else side
        gram = gram_of(op, self.side)
        inner = self._make(gram)
        refuse_unsound(inner, op.dtype)
        self.inverse = GramInverse(op, gram, inner, self.damp)

    @property
    def nbytes(self):
        """Bytes that the set-up holds."""
        return self.inverse.nbytes

    def apply(self, v):
        op, xp = self._operator(v), self.xp
        if self.equations == "plain":
            v = op._backward(v).reshape(v.shape)
        if self.side != "output":
            return self._solve(v)
        batch = v.shape[0]
        y = op._forward(v).reshape((batch, -1))
        for _ in range(2):
            y = xp.ascontiguousarray(self._solve(y))
        return op._backward(y).reshape(v.shape)

    def _operator(self, v):
        """The layer in v's dtype."""
        return self.op if v.dtype == self.op.dtype else self.op.astype(v.dtype)

    def _solve(self, v):
        if v.dtype.kind == "c" and self.dtype.kind != "c":
            return self._solve(v.real) + v.dtype.type(1j) * self._solve(v.imag)
        x = self.inverse.symmetric(v.astype(self.dtype, copy=False))
        return x.astype(v.dtype, copy=False)

    def _make(self, gram):
        raise NotImplementedError
