"""The penalty of ADMM, balanced so that both residuals shrink alike."""

import math

import numpy as np

# Balanced every few iterations, then in stretches that get longer by a factor: with
# finitely many changes, ADMM converges as with one rho.
EVERY, UNTIL, STRETCH = 10, 100, 1.5
BALANCE = 5.0  # of one relative residual to the other, what is left alone
SOON, LATER = 100.0, 4.0  # factors of one change at most, in either part
PROBES, PROBE = 20, 30.0  # tries for a step that changes x noticeably, and their ratio
NOTICEABLE = 0.03, 0.6  # of x, what such a step changes


class Penalty:
    """rho and its balance (Wohlberg 2017).

    Parameters
    ----------
    rho : float
        To begin with.
    typical : float
        A rho in the units of the problem.
    eps : float
        Rounding of the working dtype: rho stays within a factor of ``eps^(-1/3)`` of
        `typical`, where neither residual drowns in rounding.
    """

    def __init__(self, rho, typical, eps):
        span = eps ** (-1 / 3)
        self.low, self.high = typical / span, typical * span
        self.rho = min(max(rho, self.low), self.high)
        self.next = EVERY

    def due(self, nit):
        """Whether to look at the residuals after this iteration."""
        if nit < self.next:
            return False
        self.next = nit + EVERY if nit < UNTIL else math.ceil(STRETCH * nit)
        return True

    def balance(self, nit, primal, dual):
        """Change rho by what the relative residuals say; returns the factor."""
        if not (math.isfinite(primal) and math.isfinite(dual)) or primal == dual == 0:
            return 1.0
        most = SOON if nit <= UNTIL else LATER
        ratio = primal / dual if dual > 0 else math.inf
        if 1 / BALANCE <= ratio <= BALANCE:
            return 1.0
        factor = min(max(math.sqrt(ratio), 1 / most), most)
        rho = min(max(self.rho * factor, self.low), self.high)
        factor, self.rho = rho / self.rho, rho
        return factor


class Fixed:
    """A rho that stays."""

    def __init__(self, rho):
        self.rho = rho

    def due(self, nit):
        return False


def typical(problem, x):
    """A rho in the units of g and of x, whatever those are.

    For a norm g it is ``g(x) / ||x||^2``, a lower bound of its subgradient's size over
    that of x. Without a useful value it is one over a step that changes x noticeably,
    and None if there is none, as for an indicator: any rho will do.
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
