"""Options as data: read off a signature, and checked from there."""

from typing import Annotated, Literal

import numpy as np
import pytest

from convinv import solve
from convinv._core.options import Range, options_of
from support.problems import METHODS, easy


def function(
    problem,
    *,
    order: Literal["cyclic", "random"] = "cyclic",
    symmetric: bool = False,
    count: Annotated[int, Range(1)] = 3,
    share: Annotated[float, Range(0, 1, open_most=True)] | None = None,
    rows=None,
):
    """Options of every kind."""


OPTIONS = options_of(function)


def test_what_is_read():
    assert list(OPTIONS) == ["order", "symmetric", "count", "share", "rows"]
    assert OPTIONS["order"].choices == ("cyclic", "random")
    assert OPTIONS["share"].optional and not OPTIONS["count"].optional
    assert str(OPTIONS["count"]) == "count=3"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("order", ["random"]),
        ("symmetric", [True, np.False_]),
        ("count", [1, np.int64(7)]),
        ("share", [None, 0, 0.5, np.float32(0.25)]),
        ("rows", [None, "all", [1, 2]]),
    ],
)
def test_what_is_taken(name, values):
    for value in values:
        OPTIONS[name].check(value)


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        ("order", "back", ValueError, "order must be one of 'cyclic', 'random', got"),
        ("order", None, ValueError, "order must be one of"),
        ("symmetric", 1, TypeError, "symmetric must be True or False, got 1"),
        ("count", 0, ValueError, "count must be an integer at least 1, got 0"),
        ("count", 1.5, TypeError, "count must be an integer, got 1.5"),
        ("count", None, TypeError, "count must be an integer, got None"),
        ("share", 1.0, ValueError, r"share must be a number in \[0, 1\) or None, got"),
        ("share", np.nan, ValueError, r"share must be a number in \[0, 1\)"),
        ("share", "much", TypeError, "share must be a number or None, got 'much'"),
        ("share", True, TypeError, "share must be a number or None, got True"),
    ],
)
def test_what_is_refused(name, value, error, words):
    with pytest.raises(error, match=words):
        OPTIONS[name].check(value)


def test_every_option_of_every_method_takes_its_default():
    for method in METHODS.values():
        for option in method.options.values():
            if option.default is not None or option.optional:
                option.check(option.default)


@pytest.mark.parametrize("method", METHODS)
def test_wrong_options_are_refused_before_any_work(method, monkeypatch):
    """Each option that says what it takes, with something else."""
    monkeypatch.setattr("convinv._solve.task.Run", None)
    c, _ = easy(method)
    for option in METHODS[method].options.values():
        if option.kind is None:
            continue
        with pytest.raises((TypeError, ValueError), match=f"{option.name} must be"):
            solve(c.op, c.b, method, **{option.name: object()})
