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
