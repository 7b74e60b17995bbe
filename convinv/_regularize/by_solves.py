"""The damp that a rule takes by a few solves, each of which leaves true residuals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from .criteria import BEYOND, NO_CORNER, DampCandidate
from .data_spectrum import Periodogram

APART, FINE = 3.0, 61  # factor between five points of an L-curve, and its refinement
STEP, MOST = 2.0, 7  # factor between damps that are compared, and solves at most
NEAR = 0.01  # relative distance from the norm of the noise that suffices
WIDE, CLOSE = 2.5, 0.05  # steps of a bracket that is refined, and a near vertex
FURTHEST = 3.0  # longest step of the secant method, in the logarithm of damp
UNSETTLED = "damp had not settled after {} solves"


@dataclass(frozen=True)
class Solves:
    """What solves with a damp leave.

    Attributes
    ----------
    residual : callable
        ``residual(damp)``: residuals ``(B, m)`` in the data's weights, and the norm of
        what the penalties see of x.
    first : float
        The damp to begin with.
    spectrum : DataSpectrum or None
    data : float
        The number of data that count.
    images : tuple of int or None
        The shape of residuals as images.
    bounds : tuple of float
        The logarithms of the smallest and the largest damp.
    """

    residual: Callable[[float], Any]
    first: float
    spectrum: Any
    data: float
    images: tuple[int, ...] | None
    bounds: tuple[float, float] = (-math.inf, math.inf)


def searched(solves, rule, target) -> DampCandidate:
    """The damp that a rule takes by solves."""
    if rule == "discrepancy":
        return _by_secant(solves, target)
    if rule == "lcurve":
        return _by_corner(solves)
    criterion = _ncp(solves) if rule == "ncp" else lambda damp: _gcv(solves, damp)
    return _by_parabola(solves, criterion)


def _gcv(solves, damp):
    r, _ = solves.residual(damp)
    spectrum = solves.spectrum
    if spectrum is None:
        raise ValueError(
            "damp='gcv' needs convolutions, whose trace is known; use 'discrepancy', "
            "'ncp' or 'lcurve' for other operators"
        )
    free = spectrum.freedom(damp) * solves.data / spectrum.data
    return float(np.sum(np.abs(r) ** 2)) / free**2


def _ncp(solves):
    if solves.images is None or math.prod(solves.images[1:]) < 2:
        raise ValueError(
            "damp='ncp' looks at residuals as images, and op's output is none; use "
            "'gcv' or 'discrepancy'"
        )
    periodogram = Periodogram(solves.images)
    white = np.cumsum(periodogram.share)

    def distance(damp):
        r, _ = solves.residual(damp)
        power = np.cumsum(periodogram.power(r))
        apart = power / power[-1] - white / white[-1]
        return float(np.sqrt(np.average(apart**2, weights=periodogram.share)))

    return distance


def _by_corner(solves):
    """The damp at which an L-curve through a few points has the largest curvature."""
    logs = math.log(solves.first) + math.log(APART) * np.arange(-2, 3)
    tiny = np.finfo(float).tiny
    points = []
    for log in logs:
        r, seen = solves.residual(math.exp(log))
        points.append(
            [math.log(max(float(np.linalg.norm(r)), tiny)), math.log(max(seen, tiny))]
        )
    curve = CubicSpline(logs, points)
    inner = np.linspace(logs[1], logs[3], FINE)  # at both ends curvature is a guess
    (u1, v1), (u2, v2) = curve(inner, 1).T, curve(inner, 2).T
    with np.errstate(all="ignore"):
        curvature = (u1 * v2 - u2 * v1) / np.hypot(u1, v1) ** 3
    best = int(np.nanargmax(np.where(np.isfinite(curvature), curvature, -np.inf)))
    solved = [0, FINE // 2, FINE - 1]
    tried = DampCandidate(0.0, np.exp(inner[solved]), curvature[solved])
    note = None if 0 < best < FINE - 1 and curvature[best] > 0 else NO_CORNER
    return tried.joined(math.exp(inner[best]), curvature[best], note)


def _by_parabola(solves, criterion):
    """The damp of the least value: a bracket around it, then parabolas."""
    found: dict[float, float] = {}

    def at(log):
        found[log] = criterion(math.exp(log))

    step, start = math.log(STEP), math.log(solves.first)
    for log in (start, start - step, start + step):
        at(log)
    bounds = solves.bounds
    while len(found) < MOST:
        logs, i = _least(found)
        if 0 < i < len(logs) - 1:
            vertex = _vertex(
                logs[i - 1 : i + 2], [found[k] for k in logs[i - 1 : i + 2]]
            )
            narrow = logs[i + 1] - logs[i - 1] < WIDE * math.log(STEP)
            if narrow or min(abs(vertex - log) for log in logs) < CLOSE:
                break
            at(vertex)
        else:  # steps outward double
            step, end = 2 * step, logs[i]
            outward = end - step if i == 0 else end + step
            if not bounds[0] <= outward <= bounds[1]:
                break
            at(outward)
    logs, i = _least(found)
    values = np.array([found[log] for log in logs])
    tried = DampCandidate(0.0, np.exp(logs), values)
    if not 0 < i < len(logs) - 1:
        note = BEYOND if i else UNSETTLED.format(len(found))
        return tried.joined(float(np.exp(logs[i])), values[i], note)
    vertex = _vertex(logs[i - 1 : i + 2], values[i - 1 : i + 2])
    return tried.joined(math.exp(vertex), values[i])


def _least(found):
    """The arguments in order, and the place of the least value."""
    logs = sorted(found)
    return logs, min(range(len(logs)), key=lambda i: found[logs[i]])


def _vertex(logs, values):
    """The least point of the parabola through three, which lies between them."""
    (a, b, c), (u, v, w) = logs, values
    left, right = (v - u) / (b - a), (w - v) / (c - b)
    bend = (right - left) / (c - a)
    if not bend > 0:
        return b
    return min(max((a + b) / 2 - left / (2 * bend), a), c)


def _by_secant(solves, target):
    """The damp whose residual has the norm `target`."""
    if not target > 0:
        empty = np.zeros(0)
        return DampCandidate(0.0, empty, empty)
    logs, misses = [math.log(solves.first)], []
    while True:
        r, _ = solves.residual(math.exp(logs[-1]))
        norm = max(float(np.linalg.norm(r)), np.finfo(float).tiny)
        misses.append(math.log(norm / target))
        if abs(misses[-1]) <= NEAR or len(logs) == MOST:
            break
        logs.append(logs[-1] + _secant_step(logs, misses))
    order = np.argsort(logs)
    values = target * np.expm1(np.array(misses))
    tried = DampCandidate(0.0, np.exp(np.array(logs))[order], values[order])
    best = int(np.argmin(np.abs(misses)))
    note = None if abs(misses[best]) <= NEAR else UNSETTLED.format(len(logs))
    return tried.joined(math.exp(logs[best]), values[best], note)


def _secant_step(logs, misses):
    """The next step in the logarithm; the residual grows with damp."""
    slope = 0.5
    if len(logs) > 1 and logs[-1] != logs[-2]:
        slope = (misses[-1] - misses[-2]) / (logs[-1] - logs[-2])
    slope = slope if slope > 1e-3 else 0.05
    step = -misses[-1] / slope
    below = [log for log, miss in zip(logs, misses) if miss < 0]
    above = [log for log, miss in zip(logs, misses) if miss > 0]
    following = logs[-1] + max(-FURTHEST, min(step, FURTHEST))
    if below and above:  # keep to the bracket
        low, high = max(below), min(above)
        if not low < following < high:
            following = (low + high) / 2
    return following - logs[-1]
