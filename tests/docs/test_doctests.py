"""The examples in the README and in the docstrings run, and print what they say."""

import doctest
import importlib

import pytest

import convinv
from support.doctests import FLAGS, Checker, run
from support.optional_packages import missing, skipped
from support.paths import PACKAGE


def examples():
    """Every docstring of the package that has an example."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if ">>>" not in source:
            continue
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        name = ".".join(parts)
        if needed := missing(name):
            yield skipped(needed, name)
            continue
        found = finder.find(importlib.import_module(name), name)
        yield from (pytest.param(t, id=t.name) for t in found if t.examples)


@pytest.mark.parametrize("test", list(examples()))
def test_docstring(test):
    run(test)


def test_readme():
    path = PACKAGE.parent / "README.rst"
    if not path.is_file():
        pytest.skip("an installed package has no README")
    text = path.read_text(encoding="utf-8")
    parser = doctest.DocTestParser()
    test = parser.get_doctest(text, {"__name__": "readme"}, "README.rst", str(path), 0)
    run(test)


def test_main_docstrings_have_examples():
    for thing in (convinv.ConvLinearOperator, convinv.solve, convinv.methods):
        assert ">>>" in thing.__doc__


@pytest.mark.parametrize(
    ("want", "got", "same"),
    [
        ("0.5\n", "0.5\n", True),
        ("1.23\n", "1.2345\n", True),
        ("1.23\n", "1.25\n", False),
        ("array([1., 2.5])\n", "array([1., 2.50001])\n", True),
        ("(True, 1e-10)\n", "(True, 2e-10)\n", False),
        ("3\n", "4\n", False),
        ("x 1.5\n", "y 1.5\n", False),
        ("[1.5]\n", "[1.5, 2.0]\n", False),
    ],
)
def test_the_checker(want, got, same):
    assert Checker().check_output(want, got, FLAGS) is same
