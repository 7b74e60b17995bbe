"""Examples of the documentation, compared to the digits that are shown."""

import doctest
import re

import numpy as np

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
