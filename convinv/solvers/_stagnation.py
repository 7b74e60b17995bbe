"""The test that ends Kaczmarz methods where their residual no longer falls."""

from dataclasses import InitVar, dataclass, field
from typing import Any

from .._problem.items import STALLED

PATIENCE = 100  # iterations in which the residual must fall by PROGRESS
PROGRESS = 0.99
# To tell which of the two it is would take the smallest singular value.
MESSAGE = (
    "the residual falls by less than 1 % in 100 iterations: either convergence is "
    "slow, and 'cgls' is faster, or b is not in the range of A, where 'rek', 'rshek' "
    "and 'cgls' find the least-squares solution"
)


@dataclass
class StagnationTest:
    """Ends items whose norm hardly falls: inconsistent data, or slow convergence.

    Parameters
    ----------
    problem, monitor
    start : array, shape (B,), optional
        The square of the first norm, by default of that of b.

    Attributes
    ----------
    least : array, shape (B,)
        The least norm so far.
    mark : array, shape (B,)
        The least norm at the last look.
    count : int
        Norms that it has been told.
    """

    problem: Any
    monitor: Any
    start: InitVar[Any] = None
    least: Any = field(init=False)
    mark: Any = field(init=False)
    count: int = field(init=False, default=0)

    def __post_init__(self, start):
        problem = self.problem
        start = problem.vectors.sumsq(problem.b) if start is None else start
        self.least = self.mark = problem.xp.sqrt(start)

    def __call__(self, norm):
        """Take in the norm after an iteration; look every PATIENCE iterations."""
        self.least = self.problem.xp.minimum(self.least, norm)
        self.count += 1
        if self.count % PATIENCE == 0:
            self.monitor.end(~(self.least < PROGRESS * self.mark), STALLED)
            self.mark = self.least

    def is_due(self, count):
        """Whether it looks at the norm in one of the next `count` iterations."""
        return PATIENCE - self.count % PATIENCE <= count

    def notes(self):
        """What the result says where an item has stalled."""
        stalled = bool(self.problem.xp.any(self.monitor.items.code == STALLED))
        return {"message": MESSAGE} if stalled else {}
