"""What a monitor knows of the items of a batch, and what it computes of that."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._core.arrays import placement
from .._core.result import Status

_CODES = list(Status)
RUNNING = -1
CONVERGED, STALLED, BREAKDOWN, INDEFINITE, ILL_CONDITIONED, NONFINITE, STOPPED = (
    _CODES.index(s)
    for s in (
        Status.CONVERGED,
        Status.STALLED,
        Status.BREAKDOWN,
        Status.INDEFINITE,
        Status.ILL_CONDITIONED,
        Status.NONFINITE,
        Status.STOPPED,
    )
)

NOISE = 16  # a singular value below this many rounding errors of the largest is noise


def divide(xp, where, a, b):
    """``a / b`` for the items in `where` that have b != 0, 0 for the others."""
    good = where & (b != 0)
    return xp.where(good, a / xp.where(good, b, 1.0), 0.0)


@dataclass
class Goals:
    """The norms at which a method may stop.

    Attributes
    ----------
    residual : array, shape (B,)
        Norm of the residual, negative for none.
    normal : array, shape (B,)
        Norm of the normal residual, for methods that do not know the residual.
    least : array, shape (B,)
        Norm of the normal residual that suffices if it is also at most `share` times
        that of the residual.
    share : float or None
        If None, the residual does not count.
    rounding : float
        Rounding of the normal residual relative to the residual's norm: below it a
        method would follow noise.
    conlim : float or None
        Condition number at which to stop.
    """

    residual: Any
    normal: Any
    least: Any
    share: float | None = None
    rounding: float = 0.0
    conlim: float | None = None

    def times(self, factor):
        """Goals lowered by a factor."""
        if factor == 1.0:
            return self
        share = None if self.share is None else factor * self.share
        lower = (factor * norm for norm in (self.residual, self.normal, self.least))
        return Goals(*lower, share, self.rounding, self.conlim)

    def normal_tol(self, xp, residual):
        """The norm of the normal residual at which an item is finished."""
        if self.share is None or residual is None:
            return self.normal
        small = xp.minimum(self.least, self.share * residual)
        return xp.maximum(small, self.rounding * residual)


@dataclass
class Items:
    """The state of each item of a batch, which recurrences read and set.

    Attributes
    ----------
    active : array of bool, shape (B,)
        Items still running: methods freeze the others by zero coefficients.
    goals : Goals
    eps : float
        The share of the largest singular value below which one is noise.
    known : bool
        Whether a method's factor is that of A, without a preconditioner.
    watched : bool
        Whether `left` is wanted.
    code : array of int, shape (B,)
        The numbers of the items' statuses.
    nit : array of int, shape (B,)
        Iterations made for the item.
    last : array, shape (B,)
        The norms last watched; NaN before the first.
    smallest : array, shape (B,)
        The method's estimate of the smallest singular value of A (of ``[A; damp I]``),
        infinite if it has none.
    left : array, shape (B,)
        How many times their tolerances the norms last watched were, if `watched`.
    column, inverse, size : array, shape (B,)
        Of the factor: the squared norm of the last column of its inverse, the sum of
        these, and the largest squared norm of its own.
    """

    active: Any
    goals: Goals
    eps: float
    known: bool
    watched: bool
    xp: Any
    code: Any = field(init=False)
    nit: Any = field(init=False)
    last: Any = field(init=False)
    smallest: Any = field(init=False)
    left: Any = field(init=False)
    column: Any = field(init=False)
    inverse: Any = field(init=False)
    size: Any = field(init=False)

    def __post_init__(self):
        xp, place = self.xp, placement(self.active)
        running, converged = (xp.asarray(c, **place) for c in (RUNNING, CONVERGED))
        self.code = xp.where(self.active, running, converged)
        self.nit = xp.zeros_like(self.code)
        zero = xp.zeros(self.active.shape, dtype=xp.float64, **place)
        self.column = self.inverse = self.size = self.left = zero
        self.smallest, self.last = zero + float("inf"), zero + float("nan")

    def factor(self, diagonal, above, hermitian=False):
        """Record a column of the method's bidiagonal factor R, before x changes.

        `diagonal` and `above` are the squares of ``R[k, k]`` and ``R[k - 1, k]``. The
        singular values of R lie between those of A (their squares, if `hermitian`), and
        the norms of the columns of its inverse follow from one to the next. An item
        ends if its R is singular to rounding, as noise would change its x. Returns
        these items.
        """
        xp, active = self.xp, self.active
        if not self.known:  # R would be that of the preconditioned operator
            return active & ~active
        column = (1 + above * self.column) / diagonal
        inverse = self.inverse + xp.where(active, column, 0.0)
        self.size = xp.maximum(self.size, xp.where(active, diagonal + above, 0.0))
        small, large = 1 / inverse, self.size
        if not hermitian:
            small, large = xp.sqrt(small), xp.sqrt(large)
        singular = ~(small > self.eps * large)
        self.end(singular, STALLED)
        regular = active & ~singular
        self.column = xp.where(regular, column, self.column)
        self.inverse = xp.where(regular, inverse, self.inverse)
        self.ends(xp.where(regular, small, self.smallest), large)
        return active & singular

    def ends(self, smallest, largest):
        """Record both ends of the singular values of a factor that the method builds.

        The error of the smaller one, toward zero, is up to the root of its size.
        """
        self.smallest = smallest
        if self.goals.conlim is not None:
            self.end(largest > self.goals.conlim * smallest, ILL_CONDITIONED)

    def end(self, items, code):
        """End those of `items` (bool array) that still run, with a status code."""
        if self.xp is np and not items.any():
            return  # the common case; on a device the test would synchronize
        items = items & self.active
        self.code = self.xp.where(items, code, self.code)
        self.active = self.active & ~items

    def judge(self, residual=None, normal=None):
        """Count an iteration, and end the items that have reached their goals.

        Takes the norms of the residual and of the normal residual, as far as the method
        has them.
        """
        xp = self.xp
        self.nit = xp.where(self.active, self.nit + 1, self.nit)
        watched = normal if residual is None else residual
        # finished items keep their last norm
        self.last = xp.where(self.active | xp.isnan(self.last), watched, self.last)
        self.end(~xp.isfinite(self.last), NONFINITE)
        if residual is not None:
            self.end(residual <= self.goals.residual, CONVERGED)
        if normal is not None:
            goal = self.goals.normal_tol(xp, residual)
            self.end(normal <= goal, CONVERGED)
            if self.watched:
                self.left = self._left(residual, normal, goal)

    def _left(self, residual, normal, goal):
        """How many times their tolerances the norms are, the lesser of both."""
        left = normal / goal
        if residual is None:
            return left
        other = self.goals.residual
        return self.xp.where(other > 0, self.xp.minimum(left, residual / other), left)
