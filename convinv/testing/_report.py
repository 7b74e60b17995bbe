"""What checks have found, as a table."""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["passed", "failed", "skipped"]
WIDTH = 100  # of a table in text


class ConformanceError(AssertionError):
    """Some check has failed; the text is the table of those."""


@dataclass(frozen=True)
class CheckResult:
    """What one check has found.

    Attributes
    ----------
    check : str
        Its name.
    result : {"passed", "failed", "skipped"}
    detail : str
        What was measured, or why it failed or was skipped.
    """

    check: str
    result: Outcome
    detail: str = ""


@dataclass(frozen=True, repr=False)
class Report:
    """The table of `convinv.testing.check_operator` or `check_solver`.

    Attributes
    ----------
    subject : str
        What was checked.
    results : list of CheckResult

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.testing import check_operator
    >>> A = np.array([[1.0, 2.0], [0.0, 3.0]])
    >>> transposed_twice = (lambda x: A @ x, lambda y: A @ y)
    >>> report = check_operator(transposed_twice, input_shape=(2,))
    >>> report.passed
    False
    >>> [failure.check for failure in report.failures]
    ['adjoint']
    """

    subject: str
    results: list[CheckResult] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether no check has failed."""
        return not self.failures

    @property
    def failures(self) -> list[CheckResult]:
        """The checks that have failed."""
        return [found for found in self.results if found.result == "failed"]

    def raise_on_failure(self) -> Report:
        """Raise `ConformanceError` if some check has failed, else return the report.

        Returns
        -------
        Report

        Raises
        ------
        ConformanceError
            An AssertionError, whose text is the table of failures.
        """
        if self.failures:
            raise ConformanceError(str(Report(self.subject, self.failures)))
        return self

    def __getitem__(self, check: str) -> CheckResult:
        """The result of the check of that name."""
        for found in self.results:
            if found.check == check:
                return found
        names = ", ".join(repr(found.check) for found in self.results)
        raise KeyError(f"no check is called {check!r}; there are {names}")

    def __str__(self) -> str:
        first = max([len("check"), *(len(found.check) for found in self.results)])
        room = WIDTH - first - len("  skipped  ")
        lines = [self.subject, f"{'check':<{first}}  result   detail"]
        lines.append(f"{'-' * first}  -------  {'-' * room}")
        for found in self.results:
            detail = textwrap.wrap(found.detail, room) or [""]
            lines.append(f"{found.check:<{first}}  {found.result:<7}  {detail[0]}")
            lines += [f"{'':<{first}}  {'':<7}  {more}" for more in detail[1:]]
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The same as a table, for notebooks."""
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td style='text-align:left'>{html.escape(cell)}</td>"
                for cell in (found.check, found.result, found.detail)
            )
            + "</tr>"
            for found in self.results
        )
        heads = "".join(f"<th>{name}</th>" for name in ("check", "result", "detail"))
        return (
            f"<table><caption>{html.escape(self.subject)}</caption>"
            f"<tr>{heads}</tr>{rows}</table>"
        )
