"""Detects when a recursion has become stationary."""

import math

ROUNDING = 1e-12  # relative changes that rounding may cause in double precision


class Settling:
    """Whether the recursion has become stationary.

    A block row depends on as many previous rows as the band is wide. The next row
    equals them only if all of them have stopped changing: if a dilation, or zeros of
    the kernel, leave lines that do not interact, neighboring rows may be equal much
    earlier.
    """

    def __init__(self, band, tolerance, rounding=ROUNDING):
        self.window, self.tolerance = max(band, 1), tolerance
        self.rounding = max(rounding, ROUNDING)
        self.changes: list = []

    def take(self, change):
        self.changes.append(change)

    def _largest(self, back):
        """The largest change in the latest window, `back` windows ago."""
        stop = len(self.changes) - back * self.window
        part = self.changes[max(stop - self.window, 0) : max(stop, 0)]
        return max(part) if len(part) == self.window else math.inf

    @property
    def done(self):
        change = self._largest(0)
        kept_up = change <= self.rounding and change >= self._largest(1) / 2
        return change <= self.tolerance or kept_up

    def rows_to_come(self):
        """The number of further rows that the rate of convergence predicts."""
        change, before = self._largest(0), self._largest(1)
        if not self.tolerance < change < before < math.inf:
            return 0.0
        rate = math.log(change / before) / self.window
        return math.log(self.tolerance / change) / rate
