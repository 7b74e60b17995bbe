"""Preconditioners made from an approximate inverse of a Gram matrix."""

from __future__ import annotations

from typing import Any

from .._core.typing import AnyArray, Equations, OperatorInput
from .._inverse.gram_inverse import GramInverse, gram_of, shifted_inverse, sound
from ..operators._base import is_layer
from ..operators._batches import batch_of
from ._base import Preconditioner


class GramPreconditioner(Preconditioner):
    """Applies the inverse of the Gram matrix that ``self._make`` returns.

    Wide layers without damp have a singular ``A^H A``; its pseudoinverse
    ``A^H (A A^H)^-2 A`` is approximated then, so that least-norm solutions do not
    change.
    """

    takes_stacks = True
    SHARE = 1e-8  # shift of the diagonal of a singular matrix, in units of its size

    def __init__(
        self,
        op: OperatorInput,
        damp: float = 0.0,
        equations: Equations = "normal",
        shifted: bool = False,
    ):
        super().__init__(op, damp, equations)
        self.shifted = bool(shifted)
        wide = op.shape[0] < op.shape[1] and not damp and is_layer(op)
        side = "output" if wide else "input"
        self.side = "self" if equations == "hermitian" else side
        gram = gram_of(op, self.side)

        def make(damp, dtype):
            return self._make(gram, damp, dtype)

        if shifted:
            self.gram_inverse = shifted_inverse(
                gram, op.xp, self.damp, op.dtype, make, [self.SHARE]
            )
        else:
            inner, _ = sound(lambda dtype, _: make(self.damp, dtype), op.dtype)
            self.gram_inverse = GramInverse(op.xp, gram, inner, self.damp)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.op, self.damp, self.equations, self.shifted)

    @classmethod
    def _named(cls, op, damp, equations):
        found = cls(op, damp, equations, shifted=True)
        found.op = op.bare()
        return found

    def _anew(self, equations):
        return type(self)(self.op, self.damp, equations, shifted=True)

    @property
    def nbytes(self) -> int:
        """Bytes that the set-up holds."""
        return self.gram_inverse.nbytes

    @property
    def shift(self) -> float:
        """The shift of the matrix's diagonal, 0 if the matrix is not singular."""
        return self.gram_inverse.shift

    def apply_flat(self, v: Any) -> AnyArray:
        op, xp = self._operator(v), self.xp
        if self.equations == "plain":
            v = op.apply_adjoint(batch_of(v, op.output_shape)).reshape(v.shape)
        if self.side != "output":
            return self._solve(v)
        batch = v.shape[0]
        y = op.apply(batch_of(v, op.input_shape)).reshape((batch, -1))
        for _ in range(2):
            y = xp.ascontiguousarray(self._solve(y))
        return op.apply_adjoint(batch_of(y, op.output_shape)).reshape(v.shape)

    def _operator(self, v):
        """The layer in v's dtype."""
        return self.op if v.dtype == self.op.dtype else self.op.astype(v.dtype)

    def _solve(self, v):
        if v.dtype.kind == "c" and self.dtype.kind != "c":
            return self._solve(v.real) + v.dtype.type(1j) * self._solve(v.imag)
        x = self.gram_inverse.symmetric(v.astype(self.dtype, copy=False))
        return x.astype(v.dtype, copy=False)

    def _make(self, gram, damp, dtype):
        raise NotImplementedError
