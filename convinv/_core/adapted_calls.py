"""Functions of arrays that take the arrays of other libraries too, and return them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from .adapters import SOME, adapter_of, argument, is_foreign
from .arrays import namespace
from .result import ConvergenceError, Result

P = ParamSpec("P")
R = TypeVar("R")


def adapts(
    data: str, side: str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function of arrays take those of other libraries.

    Parameters
    ----------
    data : str
        The argument that decides what is returned: where it is an array of another
        library, an array that the function returns, or the ``x`` of a result or of a
        callback's state, is one like it.
    side : {"output", "input"}, optional
        What the data are to the argument ``op``, which may be a layer then, whose size
        follows from them.

    Returns
    -------
    callable
        The decorator.
    """

    def decorate(function):
        signature = inspect.signature(function)

        @functools.wraps(function)
        def adapted(*args, **kwargs):
            if any(map(is_foreign, (*args, *kwargs.values()))):
                bound = signature.bind(*args, **kwargs)
                return _adapted(function, adapted, bound, data, side)
            return function(*args, **kwargs)

        return adapted

    return decorate


def _adapted(function, adapted, bound, data, side):
    """The call with arrays, and what it returns as the data are.

    `adapted` is the function with its decorator: what an array holds may be an array of
    one more library.
    """
    given, name = bound.arguments, function.__name__
    like = _like(given.get(data))
    whole = NotImplemented if like is None else _whole(function, bound, like)
    if whole is not NotImplemented:
        return whole
    for key, value in given.items():
        if bound.signature.parameters[key].kind is inspect.Parameter.VAR_KEYWORD:
            value = {k: argument(v, k, name) for k, v in value.items()}
        given[key] = argument(value, key, name)
    adapter = adapter_of(given.get("op")) if side else None
    if adapter is not None and adapter.is_layer(given["op"]):
        given["op"], given[data] = adapter.system(given["op"], given[data], data, side)
        if "columns" in bound.signature.parameters:  # networks have batches in rows
            given.setdefault("columns", False)
    if like is None:
        return function(*bound.args, **bound.kwargs)
    if _like(given[data]) is not None:
        function = adapted
    if callable(given.get("callback")):
        given["callback"] = _listening(given["callback"], like)
    try:
        return _restored(function(*bound.args, **bound.kwargs), like)
    except ConvergenceError as error:
        error.result = _restored(error.result, like)
        error.args = (error.args[0], error.result)
        raise


def _whole(function, bound, like):
    """What the library of the data makes of the call, if it takes whole calls."""
    adapter = adapter_of(like)
    assert adapter is not None
    return adapter.call(function, bound)


def _like(value):
    """The array of another library that the result is to be like."""
    first = value[:SOME] if isinstance(value, (list, tuple)) else [value]
    for thing in first:
        adapter = adapter_of(thing)
        if adapter is not None and adapter.is_array(thing):
            return thing
    return None


def _restored(found, like):
    """An array or a result with arrays as `like` is."""
    if isinstance(found, Result):
        return dataclasses.replace(found, x=_restored(found.x, like))
    if namespace(found) is None and not is_foreign(found):
        return found
    adapter = adapter_of(like)
    return found if adapter is None else adapter.restored(found, like)


def _listening(callback, like):
    """The callback, which sees an x as `like` is."""

    @functools.wraps(callback)
    def heard(state):
        return callback(_State(state, like))

    return heard


class _State:
    """A callback's state with an x of another library."""

    def __init__(self, state: Any, like: Any):
        self._state, self._like = state, like

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    @property
    def x(self) -> Any:
        """The present x."""
        return _restored(self._state.x, self._like)
