"""Checks: functions that return what they measured, or say that something is wrong."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._report import CheckResult, Report

Check = Callable[[Any], str]


class Wrong(Exception):
    """What is checked does not do what it should; the text says what it did."""


class NotAsked(Exception):
    """The check says nothing about what is checked; the text says why."""


@dataclass
class Registry:
    """Checks in the order of their enrolment, by their names."""

    checks: dict[str, Check]

    def check(self, name: str) -> Callable[[Check], Check]:
        """Enrol the decorated function of a subject under a name.

        It returns a detail for the table. It raises `Wrong`, or any other exception,
        where the check fails, and `NotAsked` where it does not apply.
        """

        def enrol(function: Check) -> Check:
            self.checks[name] = function
            return function

        return enrol

    def report(self, title: str, subject: Any, names: Any = None) -> Report:
        """Run the checks of these names, by default all."""
        chosen = list(self.checks) if names is None else list(names)
        unknown = sorted(set(chosen) - set(self.checks))
        if unknown:
            known = ", ".join(map(repr, self.checks))
            raise ValueError(
                f"checks must be names among {known}, got {', '.join(unknown)}"
            )
        found = [_run(name, self.checks[name], subject) for name in chosen]
        return Report(title, found)


def _run(name: str, function: Check, subject: Any) -> CheckResult:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return CheckResult(name, "passed", function(subject))
    except NotAsked as reason:
        return CheckResult(name, "skipped", str(reason))
    except Wrong as error:
        return CheckResult(name, "failed", str(error))
    except Exception as error:  # whatever the subject raises
        text = str(error).strip().splitlines()
        words = f": {text[0]}" if text else ""
        return CheckResult(name, "failed", f"raised {type(error).__name__}{words}")


def expect(condition: Any, detail: str) -> None:
    """Raise `Wrong` with a detail unless the condition holds."""
    if not condition:
        raise Wrong(detail)


OPERATOR_CHECKS = Registry({})
SOLVER_CHECKS = Registry({})
