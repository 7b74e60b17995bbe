"""The penalty of ADMM, balanced so that both residuals shrink at the same rate."""

import math

import numpy as np

# Iterations between two balances: few at first, then growing by a factor. With finitely
# many changes ADMM converges as with a fixed rho.
EVERY, UNTIL, STRETCH = 10, 100, 1.5
BALANCE = 5.0  # ratio of the relative residuals up to which rho does not change
FIRST, CLOSE = 5, 1.2  # the same of `Doubling`: its first balance, and its ratio
SOON, LATER = 100.0, 4.0  # largest factor of one change, at first and later
PROBES, PROBE = 20, 30.0  # trials for a step that changes x noticeably, and their ratio
NOTICEABLE = 0.03, 0.6  # relative change of x by such a step


class Penalty:
    """rho and its balance (Wohlberg 2017).

    Parameters
    ----------
    rho : float
        The initial rho.
    typical : float
        A rho in the units of the problem.
    eps : float
        Rounding of the working dtype: rho stays within a factor of ``eps^(-1/3)`` of
        `typical`, so that both residuals stay above rounding.
    """

    tolerated = BALANCE

    def __init__(self, rho, typical, eps):
        span = eps ** (-1 / 3)
        self.low, self.high = typical / span, typical * span
        self.rho = min(max(rho, self.low), self.high)
        self.next = EVERY

    def due(self, nit):
        """Whether to test the residuals after this iteration."""
        if nit < self.next:
            return False
        self.next = nit + EVERY if nit < UNTIL else math.ceil(STRETCH * nit)
        return True

    def balance(self, nit, primal, dual):
        """Change rho depending on the relative residuals; returns the factor."""
        if not (math.isfinite(primal) and math.isfinite(dual)) or primal == dual == 0:
            return 1.0
        most = SOON if nit <= UNTIL else LATER
        ratio = primal / dual if dual > 0 else math.inf
        if 1 / self.tolerated <= ratio <= self.tolerated:
            return 1.0
        factor = min(max(math.sqrt(ratio), 1 / most), most)
        rho = min(max(self.rho * factor, self.low), self.high)
        factor, self.rho = rho / self.rho, rho
        return factor


class Doubling(Penalty):
    """Balanced closely after some iterations, twice as many, and so on."""

    tolerated = CLOSE

    def __init__(self, rho, typical, eps):
        super().__init__(rho, typical, eps)
        self.next = FIRST

    def due(self, nit):
        if nit < self.next:
            return False
        self.next = 2 * nit
        return True


class Fixed:
    """A fixed rho."""

    def __init__(self, rho):
        self.rho = rho

    def due(self, nit):
        return False


def typical(problem, x):
    """A rho in the units of g and of x.

    For a norm g it is ``g(x) / ||x||^2``, a lower bound of its subgradient's size over
    that of x. Without a useful value it is one over a step that changes x noticeably,
    or None if there is no such step, as for an indicator: then every rho works.
    """
    size = float(problem.norm(x))
    if not 0 < size < math.inf:
        return None
    value = getattr(problem.g, "value", None)
    found = float(value(x)) if callable(value) else 0.0
    rho = found / size / size
    if np.finfo(float).tiny < rho < math.inf:
        return rho
    return _by_steps(problem, x, size)


def _by_steps(problem, x, size):
    step, last = 1.0, 0
    for _ in range(PROBES):
        moved = float(problem.norm(problem.check_prox(x, problem.scalar(step)) - x))
        if not math.isfinite(moved):
            return None
        toward = (moved < NOTICEABLE[0] * size) - (moved > NOTICEABLE[1] * size)
        if toward == 0 or toward == -last:
            break
        step, last = step * PROBE**toward, toward
    else:
        return None
    return 1 / step
