"""Checks that any linear operator, and any solver, can be put through.

`check_operator` takes operators of SciPy, PyLops, SigPy, ODL and deepinv, objects with
``matvec`` and ``rmatvec``, and pairs of functions; `check_solver` takes a function that
solves. Both return a `Report`, a table of checks. ``pytest --pyargs convinv.testing``
runs them over the operators and methods of the installed package.
"""

from ._operators import check_operator
from ._report import CheckResult, ConformanceError, Report
from ._solvers import check_solver

__all__ = [
    "CheckResult",
    "ConformanceError",
    "Report",
    "check_operator",
    "check_solver",
]
