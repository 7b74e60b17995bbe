"""Which checks of `convinv.testing` the operators and solvers of others pass.

Run by ``python -m benchmarks.conformance --output benchmarks/results/conformance.md``.
Libraries that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.util

from convinv.testing import check_operator, check_solver

from ..support.machine import command, heading
from ..support.tables import section
from .operators import LIBRARIES
from .solvers import solvers


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", help="file to write the tables to")
    options = parser.parse_args(argv)
    there = [name for name in LIBRARIES if importlib.util.find_spec(name)]
    text = heading(
        "Conformance",
        command("conformance"),
        "a check that says nothing about an operator or solver is not counted",
        packages=("convinv", "numpy", "scipy", *there),
    )
    parts = [text, *(operators(name) for name in there), solver_table()]
    print(*parts, sep="\n\n")
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write("\n\n".join(parts) + "\n")


def operators(library):
    """The table of a library's operators."""
    rows = []
    for name, op, options in LIBRARIES[library]():
        report = check_operator(op, **options)
        told = report["boundary"]
        border = told.detail if told.result != "failed" else "see the failures"
        rows.append([name, border.partition(";")[0], *_found(report)])
    words = "Operators that are put through check_operator"
    return section(library, words, "operator,boundary,passed,failed", rows)


def solver_table():
    """The table of solvers."""
    rows = []
    for name, solver, needs in solvers():
        report = check_solver(solver, needs=needs, name=name)
        systems = "least squares" if needs == "any" else needs
        rows.append([name, systems, *_found(report)])
    words = "Solvers that are put through check_solver, at a tolerance of 1e-6"
    return section("SciPy", words, "solver,systems,passed,failed", rows)


def _found(report):
    """How many checks passed, and what the others found."""
    asked = [found for found in report.results if found.result != "skipped"]
    failures = {}  # by what they say, as one error fails every check
    for found in report.failures:
        failures.setdefault(found.detail, []).append(found.check)
    every = len(asked)
    told = "; ".join(
        f"{'all' if len(checks) == every else ', '.join(checks)}: {detail}"
        for detail, checks in failures.items()
    )
    passed = every - len(report.failures)
    return f"{passed} of {every}", told.replace("|", "\\|") or "-"


if __name__ == "__main__":
    main()
