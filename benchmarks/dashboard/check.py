"""Ratios to peers that became worse between the last two commits with results."""

import itertools
import math
from typing import NamedTuple

from .commits import history
from .defaults import RESULTS


class NothingToCompare(ValueError):
    """No ratio has been measured at two commits."""


class Change(NamedTuple):
    """A ratio at two commits, and its name with parameters."""

    name: str
    before: float
    after: float
    commits: tuple  # before, after

    @property
    def factor(self):
        return self.after / self.before

    def __str__(self):
        older, newer = (name[:8] for name in self.commits)
        return (
            f"{self.name}: {self.before:.3g} at {older}, {self.after:.3g} at {newer}, "
            f"{self.factor:.2f} times as much"
        )


def changes(values, order):
    """The last two values of every ratio.

    `values` maps ``(name, commit)`` to numbers, and `order` are the commits from the
    newest on; commits that are not among them do not count.
    """
    place = {commit: i for i, commit in enumerate(order)}
    known = [key for key in values if key[1] in place and finite(values[key])]
    for name in sorted({name for name, _ in known}):
        commits = sorted((c for n, c in known if n == name), key=place.get)[:2]
        if len(commits) == 2:
            after, before = (values[name, commit] for commit in commits)
            yield Change(name, before, after, tuple(reversed(commits)))


def finite(value):
    """Whether it is a measurement: asv has None for failed and nan for skipped ones."""
    return value is not None and math.isfinite(value) and value > 0


def ratios(machine, results=RESULTS):
    """``{(name, commit): value}`` of all ``track_ratio`` results of a machine."""
    from asv.benchmarks import Benchmarks
    from asv.config import Config
    from asv.results import iter_results_for_machine

    conf = Config()
    conf.results_dir, conf.benchmark_dir = str(results), ""
    benchmarks, values = Benchmarks.load(conf), {}
    for found in iter_results_for_machine(conf.results_dir, machine):
        for name in found.get_result_keys(benchmarks):
            if "track_ratio" in name:
                params = benchmarks[name]["params"]
                numbers = found.get_result_value(name, params)
                for combination, number in zip(itertools.product(*params), numbers):
                    title = f"{name}({', '.join(combination)})" if params else name
                    values[title, found.commit_hash] = number
    return values


def machines(results=RESULTS):
    """Names of the machines that have results."""
    return sorted(file.parent.name for file in results.glob("*/machine.json"))


def check(machine, factor, results=RESULTS):
    """Print what became worse; the number of those ratios."""
    found = list(changes(ratios(machine, results), history()))
    if not found:
        raise NothingToCompare(
            f"no ratio has results at two commits of --machine {machine}; there are "
            f"results of: {', '.join(machines(results)) or 'no machine'}"
        )
    worse = [change for change in found if change.factor > factor]
    for change in worse:
        print(change)
    print(f"{len(found)} ratios at two commits, {len(worse)} worse by over {factor:g}.")
    return len(worse)
