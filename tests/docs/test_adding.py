"""What docs/inside/adding.rst tells a contributor to write passes contract tests."""

import re
import subprocess
import sys

import pytest

from support.paths import ROOT
from support.recipes import PLACES, block


def run(*arguments):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--recipes", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def passed(done):
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return int(re.search(r"(\d+) passed", done.stdout)[1])


@pytest.mark.slow
def test_the_recipes_are_enrolled_and_pass():
    """A method and a preconditioner, each in one file, are tested without more."""
    names = {re.search(r'@\w+\(\s*"(\w+)"', block(s))[1] for s in PLACES.values()}
    assert names == {"descent", "uniform"}
    contracts = "tests/contracts/solvers", "tests/solve/test_memory_honesty.py"
    assert passed(run(*contracts, "-k", "descent")) > 100
    preconditioned = "tests/contracts/solvers", "tests/precondition"
    assert passed(run(*preconditioned, "-k", "uniform or Uniform")) > 100
