"""Arrays of Dask where the package takes arrays: calls that have a form for them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import dask.array as da

from .._core.adapters import Adapter
from .._core.typing import AnyArray
from ..imaging import deconvolve
from ._products import product
from ._solve import solve

FORMS: dict[str, Callable[..., Any]] = {
    "ShapedOperator.adjoint": lambda self, Y: product(self.H, Y, "Y"),
    "ShapedOperator.forward": lambda self, X: product(self, X, "X"),
    "deconvolve": inspect.unwrap(deconvolve),
    "solve": inspect.unwrap(solve),
}


class DaskAdapter(Adapter):
    """Calls with arrays of Dask, handed over to what makes graphs of them."""

    def is_array(self, thing: Any) -> bool:
        return isinstance(thing, da.Array)

    def call(self, function: Callable, bound: inspect.BoundArguments) -> Any:
        form = FORMS.get(function.__qualname__)
        if form is None:
            raise TypeError(
                f"{function.__name__} takes no arrays of Dask: compute() them first, "
                "or map it over blocks with dask.array.map_blocks"
            )
        return form(*bound.args, **bound.kwargs)

    def snapshot(self, array: Any, name: str) -> AnyArray:
        raise TypeError(
            f"{name} is an array of Dask, which is not in memory: compute() it"
        )

    def argument(self, array: Any, name: str, function: str) -> AnyArray:
        raise TypeError(
            f"{name} of {function} is an array of Dask and the data are not: compute() "
            "it, or make arrays of Dask of the data too (dask.array.from_array)"
        )
