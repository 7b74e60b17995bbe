"""Libraries whose arrays and layers stand for arrays and operators of this package.

An object is known by the name of the package that the classes of its type are made in,
so that nothing has to be imported to look. An `Adapter` is loaded when an object of its
library comes up first; ``convinv/__init__.py`` registers them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from .typing import AnyArray

SOME = 8  # entries of a list that are looked at


class Adapter:
    """What the package does with the objects of a library.

    A subclass says which of the three kinds its library has, and defines the methods
    of these: of arrays `snapshot`, `argument` and `restored`, or `call` where a library
    computes with arrays that are not in memory; of layers `convolution`, `system` and
    `way_out`; of operators `operator`.
    """

    def is_array(self, thing: Any) -> bool:
        """Whether it is an array of the library."""
        return False

    def is_layer(self, thing: Any) -> bool:
        """Whether it is a module of a network, of any kind."""
        return False

    def is_operator(self, thing: Any) -> bool:
        """Whether it is a linear operator of the library."""
        return False

    def snapshot(self, array: Any, name: str) -> AnyArray:
        """The values of an array, of NumPy or CuPy, in the same memory if possible."""
        raise NotImplementedError(f"{type(self).__name__} has no arrays")

    def argument(self, array: Any, name: str, function: str) -> AnyArray:
        """The same for an argument of a function, which has no gradient."""
        return self.snapshot(array, name)

    def call(self, function: Callable, bound: inspect.BoundArguments) -> Any:
        """What a function gives whose data are an array of the library.

        NotImplemented where the function is to be called with the `argument`, and its
        array `restored`.
        """
        return NotImplemented

    def restored(self, array: AnyArray, like: Any) -> Any:
        """An array of NumPy or CuPy as one of the library, as `like` is."""
        raise NotImplementedError(f"{type(self).__name__} has no arrays")

    def convolution(self, layer: Any) -> tuple[AnyArray, dict[str, Any]]:
        """Kernel and options of a convolution layer; TypeError for others."""
        raise NotImplementedError(f"{type(self).__name__} has no layers")

    def system(
        self, layer: Any, data: AnyArray, name: str, side: str
    ) -> tuple[Any, AnyArray]:
        """A layer's operator, and its data without the bias.

        `side` says what the data are, "output" or "input" of the layer, whose size
        follows from them.
        """
        raise NotImplementedError(f"{type(self).__name__} has no layers")

    def way_out(self, layer: Any) -> str:
        """What to call for the operator of a layer, for the end of an error."""
        raise NotImplementedError(f"{type(self).__name__} has no layers")

    def operator(self, op: Any) -> Any:
        """A ShapedOperator of an operator; TypeError for what is none of linear ones.

        Its shapes are those that the library gives to items.
        """
        raise NotImplementedError(f"{type(self).__name__} has no operators")


_loaders: dict[str, Callable[[], Adapter]] = {}
_loaded: dict[str, Adapter] = {}


def register_adapter(library: str, load: Callable[[], Adapter]) -> None:
    """Let ``load()`` make the adapter for objects of the package `library`."""
    _loaders[library] = load
    _library_of.cache_clear()


def _library(kind: Any) -> str | None:
    packages = (str(cls.__module__).partition(".")[0] for cls in kind.__mro__)
    return next((name for name in packages if name in _loaders), None)


_library_of: Any = functools.lru_cache(maxsize=512)(_library)


def adapter_of(thing: Any) -> Adapter | None:
    """The adapter for an object, None for what the package takes itself."""
    library = _library_of(type(thing))
    if library is None:
        return None
    if library not in _loaded:
        _loaded[library] = _loaders[library]()
    return _loaded[library]


def is_foreign(value: Any) -> bool:
    """Whether it is an object of another library, or a list that begins with such."""
    if isinstance(value, (int, float, str)):  # no cache in the way of compilers
        return False
    kind = type(value)
    if kind is list or kind is tuple:
        return any(_library_of(type(v)) is not None for v in value[:SOME])
    return _library_of(kind) is not None


def argument(value: Any, name: str, function: str) -> Any:
    """An argument of a function with arrays instead of another library's.

    Lists are looked into. Raises for an array with a gradient, which would be lost.
    """
    return _converted(value, lambda adapter, a: adapter.argument(a, name, function))


def snapshot(value: Any, name: str) -> Any:
    """The same where values are copied and have no gradient: of a kernel."""
    return _converted(value, lambda adapter, a: adapter.snapshot(a, name))


def _converted(value, convert):
    if not is_foreign(value):
        return value
    if isinstance(value, (list, tuple)) and adapter_of(value) is None:
        return type(value)(_converted(v, convert) for v in value)
    adapter = adapter_of(value)
    assert adapter is not None
    return convert(adapter, value) if adapter.is_array(value) else value


def operator_of(thing: Any) -> Any:
    """The ShapedOperator of another library's operator, None for what is none."""
    adapter = adapter_of(thing)
    if adapter is None or not adapter.is_operator(thing):
        return None
    return adapter.operator(thing)


def way_out(thing: Any) -> str:
    """What to call for the operator of a layer, "" for what is none."""
    adapter = adapter_of(thing)
    if adapter is None or not adapter.is_layer(thing):
        return ""
    return f": {adapter.way_out(thing)}"
