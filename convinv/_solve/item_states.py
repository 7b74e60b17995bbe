"""The states of the items of a batch during a solve."""

from dataclasses import dataclass, field

import numpy as np

from .._core.result import Status


@dataclass
class ItemStates:
    """How far each item of a batch is.

    Attributes
    ----------
    status : list of Status
    nit : ndarray of int, shape (B,)
        Iterations made for the item.
    history : list of ndarray, shape (B,)
        The norms watched after each iteration, in the user's units.
    """

    status: list
    nit: np.ndarray
    history: list = field(default_factory=list)

    @classmethod
    def before(cls, batch):
        """The states before any iteration."""
        return cls([Status.MAXITER] * batch, np.zeros(batch, int))

    def mark(self, items, status):
        """Give some items, a mask, that status."""
        for i in np.flatnonzero(items):
            self.status[i] = status

    def mark_others(self, good, status):
        """Say of good items that they converged, and of all others the status."""
        self.mark(good, Status.CONVERGED)
        self.mark(~good, status)

    @property
    def converged(self):
        """A mask of the items that claim to have converged."""
        return np.array([s is Status.CONVERGED for s in self.status])
