"""The weight of a prior, chosen from the size of the noise."""

import math

import numpy as np

from .._core.arrays import placement
from .._core.random_vectors import standard_normal
from .._core.validation import number
from .._linalg.batched import real_dtype
from .._regularize.noise import noise_of

MOST, STEP = 12, 2.5  # weights that are tried, and their ratio
START = 0.4  # the first weight, over the noise in A^H b
PROBE = 0.1  # of the noise: the change of the data that shows the degrees of freedom
LOOSE = 10.0  # tolerance of the solves in between, in units of the solver's


def choose_weight(priors, problem, noise_level, solve):
    """``(priors, notes)``, the weight that is None replaced.

    The weight has the least of Stein's estimate of the risk ``||A x - A x_true||^2``
    for noise of variance s^2 in m data: ``||A x - b||^2 - m s^2 + 2 s^2 d``. The
    degrees of freedom d are the trace of the derivative of A x by b, known from the
    solution for data with a random change (Ramani, Blu and Unser, IEEE Trans. Image
    Process. 17, 2008).

    Parameters
    ----------
    priors : list
    problem : Problem
        The checked arguments.
    noise_level : float or None
        Standard deviation of the noise; by default estimated from b.
    solve : callable
        ``solve(priors, b, x0, factor)`` returns x, with `factor` times the tolerance.
    """
    open_ones = [i for i, p in enumerate(priors) if getattr(p, "weight", 1.0) is None]
    if not open_ones:
        if noise_level is not None:
            raise ValueError(
                "noise_level is for a prior whose weight is None, got a weight for all"
            )
        return priors, {}
    if len(open_ones) > 1:
        names = ", ".join(type(priors[i]).__name__ for i in open_ones)
        raise ValueError(
            f"only one weight can be chosen, but {names} have none; give the others one"
        )
    (place,) = open_ones
    level = _noise_level(problem, noise_level)
    search = _Search(priors, place, problem, level, solve)
    weight = search.run()
    notes = {"weight": weight, "noise_level": level, "weights_tried": search.tried}
    return search.with_weight(weight), notes


def _noise_level(problem, given):
    if given is not None:
        return number(given, "noise_level", positive=True)
    op = problem.op
    if not op.is_convolution:
        raise ValueError(
            "a weight of None needs noise_level, the standard deviation of the noise: "
            f"it can be estimated from images, but op is a {type(op).__name__}"
        )
    found = noise_of(problem.b, op.geometry.ndim)
    level = math.sqrt(float(np.mean(found**2)))
    if level == 0:
        raise ValueError(
            "a weight of None needs noise_level: the noise estimated from b is zero"
        )
    return level


class _Search:
    """The least risk among weights in geometric progression, and between these."""

    def __init__(self, priors, place, problem, level, solve):
        self.priors, self.place, self.problem = priors, place, problem
        self.level, self.solve, self.tried = level, solve, 0
        b, rng = problem.b, np.random.default_rng(0)
        probe = standard_normal(rng, b.shape, real_dtype(b.dtype))
        probe = np.sign(probe).astype(b.dtype)
        self.probe = problem.xp.asarray(probe, **placement(b))
        self.x = self.other = None

    def with_weight(self, weight):
        """The priors with that weight."""
        priors = list(self.priors)
        priors[self.place] = priors[self.place].with_weight(weight)
        return priors

    def risk(self, weight):
        """The estimate, in units of the noise's variance and of the data."""
        problem, xp = self.problem, self.problem.xp
        self.tried += 1
        priors, change = self.with_weight(weight), PROBE * self.level
        other = problem.b + problem.scalar(change) * self.probe
        self.x = self.solve(priors, problem.b, self.x, LOOSE)
        start = self.x if self.other is None else self.other
        self.other = self.solve(priors, other, start, LOOSE)
        ax = problem.forward(self.x)
        moved = problem.forward(self.other) - ax
        fitted = float(xp.sum((self.probe.conj() * moved).real)) / change
        residual = float(problem.norm(ax - problem.b)) / self.level
        return residual**2 / problem.b.size - 1 + 2 * fitted / problem.b.size

    def run(self):
        """The weight."""
        problem = self.problem
        v = standard_normal(np.random.default_rng(1), problem.shape, problem.dtype)
        v = problem.xp.asarray(v.astype(problem.dtype), **placement(problem.b))
        gain = float(problem.norm(problem.forward(v)) / problem.norm(v))
        first = START * self.level * (gain or 1.0)
        risks = {0: self.risk(first)}  # by powers of the ratio
        while self.tried < MOST:
            best = min(risks, key=lambda power: risks[power])
            unknown = [k for k in (best - 1, best + 1) if k not in risks]
            if not unknown:
                break
            risks[unknown[0]] = self.risk(first * STEP ** unknown[0])
        best = min(risks, key=lambda power: risks[power])
        return first * STEP ** (best + _vertex(risks, best))


def _vertex(risks, best):
    """Where the parabola through the best power and its neighbors is least."""
    if best - 1 not in risks or best + 1 not in risks:
        return 0.0
    below, here, above = (risks[best + k] for k in (-1, 0, 1))
    curvature = below - 2 * here + above
    return (below - above) / (2 * curvature) if curvature > 0 else 0.0
