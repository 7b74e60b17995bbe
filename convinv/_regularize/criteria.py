"""Criteria for the Tikhonov damp, from singular values and components of the data.

With singular values s and the components ``beta`` of b along the left singular vectors,
the minimizer x of ``||A x - b||^2 + damp^2 ||x||^2`` has

- ``||r||^2 = sum (g beta)^2 + rest`` with ``g = damp^2 / (s^2 + damp^2)``,
- ``||x||^2 = sum (s beta / (s^2 + damp^2))^2``,

where `rest` is the part of ``||b||^2`` orthogonal to all of them. A rule takes the damp
at which a function of it has its minimum, or a root.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq, minimize_scalar

RULES = ("discrepancy", "gcv", "lcurve", "ncp")
PER_DECADE, FEWEST = 5, 20  # damps tried, before the best is refined
FLAT = 1e-4  # relative depth, from the smallest damp's value, that makes a minimum
MANY, WIDTH = 2**14, 0.005  # values that are grouped, and how far they are apart
BELOW, ABOVE = 100, 1000  # range of damps that ncp tries around that of gcv
TOP, TOP_OF_ALL = 10.0, 1e4  # largest damps, in units of the largest singular value
NARROW = 1.01  # a range with a smaller ratio of damps counts as one damp
NEAR = 1e-3  # distance from an end of the range, in its logarithm, that is at the end
NO_CORNER = (
    "the L-curve has no corner within the range of the singular values, so damp is "
    "where its curvature is largest; 'gcv', 'ncp' or 'discrepancy' may serve better"
)
BEYOND = "the criterion decreases up to the largest damp tried: noise may be all of b"


@dataclass
class DataSpectrum:
    """Data in the basis of singular vectors; several items are one long vector.

    Attributes
    ----------
    values, energy : ndarray, shape (F, r)
        Singular values in any order, and ``|beta|^2``. Infinite values are those of
        what no penalty sees.
    rest : ndarray, shape (F,)
        Parts of ``||b||^2`` orthogonal to the singular vectors.
    data : int
        Length of the vector of data.
    counted, counts : ndarray, shape (p,)
        Singular values and how often each counts in the trace of the hat matrix.
    power : callable, or None
        Maps a damp to the power of the residual in shells of increasing frequency,
        without the mean.
    share : ndarray or None
        The power in each shell if the residual were white noise, up to a factor.
    """

    values: np.ndarray
    energy: np.ndarray
    rest: np.ndarray
    data: int
    counted: np.ndarray
    counts: np.ndarray
    power: Callable | None = None
    share: np.ndarray | None = None

    @property
    def largest(self) -> float:
        finite = self.values[np.isfinite(self.values)]
        return float(finite.max(initial=0.0))

    @functools.cached_property
    def rough(self) -> "DataSpectrum":
        """Itself; of many values those that are nearly equal together.

        Its sums are nearly the same. It has no power by frequency.
        """
        if self.values.size <= MANY:
            return self
        values, energy = _grouped(self.values.ravel(), self.energy.ravel())
        counted, counts = _grouped(self.counted, self.counts)
        rest = np.array([self.rest.sum()])
        return DataSpectrum(
            values[:, None], energy[:, None], rest, self.data, counted, counts
        )

    def passed(self, damp):
        """``g``, the part of each component of b that remains in the residual."""
        return damp**2 / (self.values**2 + damp**2)

    def residual(self, damp) -> float:
        """``||b - A x||``."""
        left = np.sum(self.energy * self.passed(damp) ** 2)
        return float(np.sqrt(left + self.rest.sum()))

    def solution(self, damp) -> float:
        """``||x||``."""
        finite = np.where(np.isfinite(self.values), self.values, 0)
        inverse = finite / (finite**2 + damp**2)
        return float(np.sqrt(np.sum(self.energy * inverse**2)))

    def freedom(self, damp) -> float:
        """The trace of ``I - A (A^H A + damp^2 I)^-1 A^H``, free of cancellation."""
        left = damp**2 / (self.counted**2 + damp**2)
        return self.data - self.counts.sum() + float(np.sum(self.counts * left))


def _grouped(values, weights):
    """Values within a factor as one, their mean, and the sums of their weights."""
    usual = (values > 0) & np.isfinite(values)
    logs = np.log(values[usual])
    place = np.where(values > 0, 2**62, -(2**62))
    place[usual] = np.floor(logs / WIDTH)
    found, which = np.unique(place, return_inverse=True)
    means = np.bincount(which[usual], logs, len(found))
    means = np.exp(means / np.maximum(np.bincount(which[usual], None, len(found)), 1))
    means = np.where(np.abs(found) < 2**62, means, np.where(found > 0, np.inf, 0.0))
    return means, np.bincount(which, weights, len(found))


def gcv(spectrum, damp):
    """Generalized cross-validation, ``||r||^2 / trace^2`` per number of data.

    Golub, Heath and Wahba, Technometrics 21 (1979).
    """
    freedom = spectrum.freedom(damp)
    if not freedom > 0:  # an estimated trace may exceed the number of data
        return np.inf
    return spectrum.data * (spectrum.residual(damp) / freedom) ** 2


def curvature(spectrum, damp):
    """The curvature of the L-curve ``(log ||r||, log ||x||)``, positive in its corner.

    Hansen and O'Leary, SIAM J. Sci. Comput. 14 (1993). Derivatives are by ``log damp``,
    and that of ``||r||^2`` is ``-damp^2`` times that of ``||x||^2``.
    """
    s, square = spectrum.values, damp**2
    s = np.where(np.isfinite(s), s, 0)  # what is infinite has no part in ||L x||
    spread = s**2 + square
    third = np.sum(spectrum.energy * (s / spread) ** 2 / spread)
    fourth = np.sum(spectrum.energy * (s / spread**2) ** 2)
    x, r = spectrum.solution(damp) ** 2, spectrum.residual(damp) ** 2
    if not (x > 0 and r > 0):
        return -np.inf
    x1 = -4 * square * third
    x2 = 2 * x1 + 24 * square**2 * fourth
    r1, r2 = -square * x1, -square * (2 * x1 + x2)
    u1, v1 = r1 / (2 * r), x1 / (2 * x)
    u2, v2 = r2 / (2 * r) - 2 * u1**2, x2 / (2 * x) - 2 * v1**2
    speed = np.hypot(u1, v1)
    return (u1 * v2 - u2 * v1) / speed**3 if speed > 0 else -np.inf


def periodogram_distance(spectrum, damp):
    """The distance of the residual's cumulative periodogram from that of white noise.

    It is the root mean square distance between the normalized cumulative powers. Rust
    and O'Leary, Inverse Problems 24 (2008); Hansen, Kilmer and Kjeldsen, BIT 46 (2006),
    who choose the damp that minimizes it.
    """
    power, white = np.cumsum(spectrum.power(damp)), np.cumsum(spectrum.share)
    if not power[-1] > 0:
        return np.inf
    apart = power / power[-1] - white / white[-1]
    return np.sqrt(np.average(apart**2, weights=spectrum.share))


CRITERIA = {  # and the sign that makes it a minimum
    "gcv": (gcv, 1),
    "lcurve": (curvature, -1),
    "ncp": (periodogram_distance, 1),
}


@dataclass(frozen=True)
class DampCandidate:
    """The damp that a rule takes, and all damps tried with their values.

    The values are those of the criterion; for the discrepancy principle ``||r||`` minus
    the norm of the noise, for the L-curve its curvature.
    """

    damp: float
    damps: np.ndarray
    values: np.ndarray
    note: str | None = None

    def joined(self, damp, value, note=None) -> "DampCandidate":
        """These candidates with one more, which is taken."""
        at = int(np.searchsorted(self.damps, damp))
        damps, values = self.damps, self.values
        if not (at < len(damps) and damps[at] == damp):
            damps, values = np.insert(damps, at, damp), np.insert(values, at, value)
        return DampCandidate(damp, damps, values, note)


def pick(spectrum, rule, target, eps) -> DampCandidate:
    """The damp that a rule takes.

    `target` is the norm of the noise, `eps` the rounding of the data's dtype. The damp
    is 0 where the criterion is no larger at the smallest damp tried than anywhere.
    """
    if not spectrum.values.size or not spectrum.largest > 0:
        return DampCandidate(0.0, np.zeros(0), np.zeros(0))
    damps, rough = _range(spectrum, rule, eps), spectrum.rough
    if rule == "discrepancy":
        return _root(spectrum, rough, target, damps)
    if rule == "ncp" and rough is not spectrum:  # it takes each frequency
        near, rough = pick(rough, "gcv", None, eps).damp, spectrum
        far = (damps < near / BELOW) | (damps > near * ABOVE)
        damps = damps[~far] if near > 0 else damps
    criterion, sign = CRITERIA[rule]
    values = np.array([criterion(rough, damp) for damp in damps])
    best = int(np.argmin(np.where(np.isnan(values), np.inf, sign * values)))
    values[best] = criterion(spectrum, damps[best])
    tried, values = DampCandidate(0.0, damps, values), sign * values
    flat = not values[0] > values[best] + FLAT * abs(values[best])
    if not np.isfinite(values[best]) or (flat and rule != "lcurve"):
        note = NO_CORNER if rule == "lcurve" else None
        return replace(tried, note=note)
    damp, value = _refined(
        lambda damp: sign * criterion(spectrum, damp), damps, values, best
    )
    return tried.joined(damp, sign * value, _doubt(rule, damps, damp, sign * value))


def _range(spectrum, rule, eps):
    """The damps to try, in increasing order; a single one if all would be the same."""
    top = spectrum.largest
    low, high = eps * top, TOP * top
    if rule == "lcurve":  # the only range with a corner
        least = float(spectrum.values[spectrum.values > 0].min())
        low, high = max(least, 16 * eps * top), top
    if high <= NARROW * low:
        return np.array([high])
    count = max(int(np.ceil(PER_DECADE * np.log10(high / low))), FEWEST)
    return np.geomspace(low, high, count)


def _refined(function, damps, values, best):
    """``(damp, value)`` of the least value between the neighbors of the best damp."""
    last = len(damps) - 1
    if last:
        found = minimize_scalar(
            lambda log: function(np.exp(log)),
            bounds=np.log(damps[[max(best - 1, 0), min(best + 1, last)]]),
            method="bounded",
            options={"xatol": 1e-4},
        )
        if found.fun <= values[best]:
            return float(np.exp(found.x)), found.fun
    return float(damps[best]), values[best]


def _doubt(rule, damps, damp, value):
    """A note on a damp at an end of the range, or None."""
    above = damp >= damps[-1] * (1 - NEAR)
    if rule != "lcurve":
        return BEYOND if above else None
    inside = damps[0] * (1 + NEAR) < damp and not above
    return None if inside and value > 0 else NO_CORNER


def _root(spectrum, rough, target, damps):
    """The damp whose residual has the norm `target`; `rough` has nearly its sums."""

    def excess(log):
        return spectrum.residual(np.exp(log)) - target

    values = np.array([rough.residual(damp) - target for damp in damps])
    tried = DampCandidate(0.0, damps, values)
    low, high = damps[0], TOP_OF_ALL * spectrum.largest
    if values[0] >= 0:
        return tried
    beyond = excess(np.log(high))
    if beyond <= 0:
        note = "noise_level accounts for all of b, so damp is large and x about 0"
        return tried.joined(high, beyond, note)
    log = brentq(excess, np.log(low), np.log(high), xtol=1e-10)
    return tried.joined(float(np.exp(log)), excess(log))
