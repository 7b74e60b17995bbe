"""Options of methods, read off the types in the method's signature."""

from __future__ import annotations

import inspect
import math
import numbers
import operator
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from .validation import boolean, choice


@dataclass(frozen=True)
class Range:
    """The numbers that an option takes, from `least` to `most`.

    The ends belong to it unless `open_least` or `open_most` says that they do not.
    """

    least: float = -math.inf
    most: float = math.inf
    open_least: bool = False
    open_most: bool = False

    def __contains__(self, value):
        above = value > self.least if self.open_least else value >= self.least
        below = value < self.most if self.open_most else value <= self.most
        return bool(above and below)

    def __str__(self):
        if self.most == math.inf:
            finite = " and finite" if self.open_most else ""
            above = "above" if self.open_least else "at least"
            return f"{above} {self.least:g}{finite}"
        left = "(" if self.open_least else "["
        right = ")" if self.open_most else "]"
        return f"in {left}{self.least:g}, {self.most:g}{right}"


Fraction = Annotated[float, Range(0, 1, open_most=True)]
Accuracy = Annotated[float, Range(0, 1, open_least=True, open_most=True)]
NotNegative = Annotated[float, Range(0, open_most=True)]
Positive = Annotated[float, Range(0, open_least=True, open_most=True)]
Count = Annotated[int, Range(1)]
Relaxation = Annotated[float, Range(0, 2, open_least=True, open_most=True)]


@dataclass(frozen=True)
class Option:
    """An option of a method.

    Attributes
    ----------
    name : str
    default : object
    kind : type or None
        bool, int or float; None where the method itself checks what it is given.
    choices : tuple of str
        The texts that it takes, where it takes nothing else.
    range : Range or None
        Of numbers.
    optional : bool
        Whether it may be None.
    """

    name: str
    default: Any
    kind: type | None = None
    choices: tuple[str, ...] = ()
    range: Range | None = None
    optional: bool = False

    def __str__(self):
        return f"{self.name}={self.default!r}"

    def check(self, value):
        """Raise TypeError or ValueError for what it does not take."""
        if value is None and self.optional:
            return
        if self.choices:
            choice(value, self.name, self.choices)
        elif self.kind is bool:
            boolean(value, self.name)
        elif self.kind in (int, float):
            self._check_number(value)

    def _check_number(self, value):
        noun, found = "an integer" if self.kind is int else "a number", value
        try:
            if self.kind is int:
                found = operator.index(value)
            elif isinstance(value, bool) or not isinstance(value, numbers.Real):
                raise TypeError
        except TypeError:
            raise TypeError(f"{self._must_be(noun)}, got {value!r}") from None
        if self.range is not None and found not in self.range:
            noun = f"{noun} {self.range}"
            raise ValueError(f"{self._must_be(noun)}, got {value!r}")

    def _must_be(self, noun):
        return f"{self.name} must be {noun}{' or None' if self.optional else ''}"


def options_of(function) -> dict[str, Option]:
    """The keyword-only arguments of a function, by name."""
    hints = typing.get_type_hints(function, include_extras=True)
    return {
        p.name: _option(p.name, p.default, hints.get(p.name))
        for p in inspect.signature(function).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }


def _option(name, default, hint):
    """An option from its annotation; unions of other types are left to the method."""
    optional = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = typing.get_args(hint)
        optional = type(None) in kinds
        rest = [kind for kind in kinds if kind is not type(None)]
        hint = rest[0] if len(rest) == 1 else None
    found = None
    if typing.get_origin(hint) is Annotated:
        hint, found = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return Option(name, default, str, typing.get_args(hint), None, optional)
    kind = hint if hint in (bool, int, float) else None
    return Option(name, default, kind, (), found, optional)
