"""Types of what users give and get, for annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike


@runtime_checkable
class Array(Protocol):
    """An array of NumPy, of CuPy, or of a library that keeps the array API standard."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> Any: ...


# Arrays, and lists of numbers; SciPy's operators, matrices, objects with products.
ArrayInput: TypeAlias = ArrayLike | Array
OperatorInput: TypeAlias = Any
# An array of whatever library: results, and arguments that no list can stand for.
# Checkers know no type for the arrays of all libraries.
AnyArray: TypeAlias = Any
# Of a result: None where the caller did not ask for it, which no checker can see.
FloatIfAsked: TypeAlias = float | Any
ArrayIfAsked: TypeAlias = np.ndarray | Any
Shape: TypeAlias = Sequence[int]
PerAxis: TypeAlias = int | Sequence[int]
Padding: TypeAlias = (
    int | Sequence[int] | Sequence[tuple[int, int]] | Literal["valid", "same"]
)
BoundaryName: TypeAlias = Literal[
    "zero", "periodic", "reflect", "symmetric", "replicate"
]
Seed: TypeAlias = int | np.random.Generator | None
Callback: TypeAlias = Callable[[Any], Any] | None
DampRule: TypeAlias = Literal["gcv", "discrepancy", "lcurve", "ncp"]
Damp: TypeAlias = float | Sequence[float] | DampRule
Equations: TypeAlias = Literal["normal", "hermitian", "plain"]
ArrangementName: TypeAlias = Literal["strip", "interleaved", "standard", "randomized"]
Activation: TypeAlias = Literal["signum", "smooth"]
Orthonormalization: TypeAlias = Literal[
    "householder", "gram-schmidt", "modified", "pivoted", "smooth"
]
