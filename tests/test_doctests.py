"""The examples in the README and in the docstrings run, and print what they say."""

import doctest
import importlib
import pathlib
import re

import numpy as np
import pytest
from optional_packages import missing, skipped

import convinv

ROOT = pathlib.Path(convinv.__file__).parent
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+\.\d*(?:[eE][-+]?\d+)?")


class Checker(doctest.OutputChecker):
    """Compares floating-point numbers to the digits that are shown."""

    def check_output(self, want, got, optionflags):
        if super().check_output(want, got, optionflags):
            return True
        wanted, found = NUMBER.findall(want), NUMBER.findall(got)
        words = [NUMBER.sub("#", text) for text in (want, got)]
        same = super().check_output(*words, optionflags)
        return same and len(wanted) == len(found) and all(map(close, wanted, found))


def close(wanted, found):
    """Equal to one unit in the last digit of `wanted`."""
    mantissa, _, exponent = wanted.lower().partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return abs(float(wanted) - float(found)) <= 1.01 * unit


def run(test):
    runner = doctest.DocTestRunner(Checker(), optionflags=FLAGS)
    report = []
    with np.printoptions():  # left as they are, whatever an example sets
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def examples():
    """Every docstring of the package that has an example."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for path in sorted(ROOT.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if ">>>" not in source:
            continue
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
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
    path = ROOT.parent / "README.rst"
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
