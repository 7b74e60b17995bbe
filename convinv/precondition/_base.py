"""The base class of preconditioners: operators that keep their set-up."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from .._core.arrays import working_dtype
from .._core.declarations import Use
from .._core.typing import AnyArray, Equations, OperatorInput
from .._core.validation import choice
from ..operators._base import ShapedOperator, is_layer

EQUATIONS = ("normal", "hermitian", "plain")
PRECONDITIONERS: dict[str, type[Preconditioner]] = {}


def preconditioner(name: str):
    """Enrol the decorated class under the name that `solve` takes."""

    def enrol(cls):
        PRECONDITIONERS[name] = cls
        return cls

    return enrol


class Preconditioner(ShapedOperator):
    """An approximate inverse of the matrix of a layer's equations, as an operator.

    It has shape ``(n, n)`` and takes arrays like the layer's input. SciPy's solvers
    (``M=``) and `convinv.solve` (``preconditioner=``) take it.

    Parameters
    ----------
    op : ConvLinearOperator
        Or the adjoint of one.
    damp : float
    equations : {"normal", "hermitian", "plain"}
        The matrix whose inverse it approximates: ``A^H A + damp^2 I`` (for `cgls`,
        `lsqr`, `lsmr` and `gmres` with ``normal=True``), a Hermitian positive definite
        A (for `cg`), or any square A (for plain `gmres`). The last two take no damp.
    """

    #: Problems of the contract tests on which methods that it preconditions may fail.
    limits: tuple[str, ...] = ()
    #: Whether there is one for stacks of convolutions, for their normal equations.
    takes_stacks = False

    def __init__(
        self, op: OperatorInput, damp: float = 0.0, equations: Equations = "normal"
    ):
        if not (is_layer(op) or self._takes_stack(op)):
            raise TypeError(
                f"a {type(self).__name__} preconditioner needs a ConvLinearOperator, "
                f"got {type(op).__name__}"
            )
        choice(equations, "equations", EQUATIONS)
        if equations != "normal" and op.shape[0] != op.shape[1]:
            raise ValueError(
                f"equations={equations!r} needs a square operator, got shape {op.shape}"
            )
        if equations != "normal" and damp:
            raise ValueError(f"equations={equations!r} takes no damp, got {damp!r}")
        if not 0 <= damp < float("inf"):
            raise ValueError(f"damp must be finite and not negative, got {damp!r}")
        self.op, self.damp, self.equations = op, float(damp), equations
        self.xp = op.xp
        self._other: Preconditioner | None = None
        super().__init__(op.dtype, op.input_shape, op.input_shape)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles compute their set-up again."""
        return type(self), (self.op, self.damp, self.equations)

    def at(self, equations: Equations) -> Preconditioner:
        """The preconditioner for other equations, which is kept.

        Its own damp does not change: a preconditioner whose damp differs from that of
        the solve still works, and may be regularized on purpose.
        """
        if equations == self.equations:
            return self
        if self._other is None or equations != self._other.equations:
            if self.damp:
                raise ValueError(
                    f"a preconditioner of damp={self.damp!r} is one for the normal "
                    "equations (cgls, lsqr, lsmr, gmres with normal=True); make one "
                    f"with damp=0 and equations={equations!r}"
                )
            self._other = self._anew(equations)
        return self._other

    def _anew(self, equations):
        return type(self)(self.op, self.damp, equations)

    @staticmethod
    def takes(op: OperatorInput) -> bool:
        """Whether there is one for a layer, as far as its options tell."""
        return True

    @classmethod
    def _takes_stack(cls, op):
        """Whether `op` is a stack of convolutions, and there is one for stacks."""
        return cls.takes_stacks and len(getattr(op, "convolutions", ())) > 1

    @staticmethod
    def numbers(use: Use) -> float:
        """Numbers that an application holds for an item of a batch."""
        return 3.0 * use.op.shape[1]

    @classmethod
    def _named(cls, op, damp, equations):
        """The preconditioner that `solve` makes from a name and keeps with `op`."""
        return cls(op.bare(), damp, equations)

    def apply_flat(self, v: Any) -> AnyArray:
        """The approximate inverse times `v`, of shape ``(B, n)``, in v's dtype."""
        raise NotImplementedError

    @cached_property
    def has_adjoint(self) -> bool:
        """It is Hermitian, but for plain equations, where no adjoint is known."""
        return self.equations != "plain"

    def _apply(self, X):
        dtype = working_dtype(X.dtype, "the operand")
        if self.dtype.kind == "c":
            dtype = np.result_type(dtype, np.complex64)
        X = X.astype(dtype, copy=False)
        flat = self.xp.ascontiguousarray(X.reshape((X.shape[0], -1)))
        return self.apply_flat(flat).reshape((X.shape[0], *self.output_shape))

    def _apply_adjoint(self, Y):
        if self.equations == "plain":
            raise TypeError("a preconditioner for plain equations has no adjoint")
        return self._apply(Y)
