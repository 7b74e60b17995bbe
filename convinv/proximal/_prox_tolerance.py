"""How accurate proximal operators are that iterate: as accurate as a solve needs."""

import numpy as np

SHARE = 0.1  # of a step, or of the tolerance: largest error of a proximal operator
LOOSEST = 1e-2


class Tolerances:
    """Relative tolerances of the operators of a proximal gradient method.

    In the iterations the error is a share of the last step, so that it falls with the
    steps; in the test of x it is a share of what the test accepts.

    Parameters
    ----------
    problem : Problem
    least : float
        The length of a step that the method accepts as the last one.
    """

    def __init__(self, problem, least):
        self._problem, self._least = problem, least
        self._loop, self._check = (
            prox if hasattr(prox, "rtol") and not prox.is_given else None
            for prox in (problem.prox, problem.check_prox)
        )
        if self._loop is not None:
            self._loop.rtol = LOOSEST

    def follow(self, length, x):
        """After a step of that length to x."""
        if self._loop is not None:
            wanted = max(float(length), self._least)
            self._loop.rtol = self._relative(wanted, x)

    def tight(self, x):
        """Before the test of x."""
        if self._check is not None:
            self._check.rtol = self._relative(self._least, x)

    def _relative(self, length, x):
        size = max(float(self._problem.norm(x)), np.finfo(float).tiny)
        return min(SHARE * length / size, LOOSEST)
