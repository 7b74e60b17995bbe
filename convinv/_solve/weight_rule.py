"""The damp that a rule chooses, from a spectrum or from a few solves.

Where no transform takes the operators apart, the criterion is that of true residuals at
a few damps, around the one that a spectrum on a torus suggests. Only the trace that
generalized cross-validation needs is that of the torus: its rows differ from those of
the operator near the borders alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from .._core.arrays import to_numpy
from .._problem.scaled_operator import scale_operator
from .._regularize.criteria import BEYOND, NO_CORNER, DampCandidate, pick
from .._regularize.damp_rule import DampChoice, has_spectrum
from .._regularize.data_spectrum import Periodogram
from .._regularize.penalty_spectrum import (
    dense_penalty_spectrum,
    exact_spectrum,
    fits_torus,
    torus_spectrum,
)
from ..operators._scale import size_of
from .penalties import regularizers

LOOSE = 1e-3  # tolerance of the solves on the way
APART, FINE = 3.0, 61  # factor between five points of an L-curve, and its refinement
LARGE = 2**14  # unknowns or data above which solves take the place of projections
STEP, MOST = 2.0, 7  # factor between damps that are compared, and solves at most
NEAR = 0.01  # relative distance from the norm of the noise that suffices
FIRST = 0.03  # first damp in units of the norms, where no spectrum suggests one
LARGEST, FAR = 10.0, 100.0  # largest damp in these units; farthest from the first
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


def choose_weight(rule, form, request) -> DampChoice:
    """The damp of all penalties of a `GeneralForm`, or of x itself."""

    def residual(damp, unit):
        op, own = form.stack([damp] * max(len(form.penalties), 1))
        task = request.task(op, form.plain(op), own, None, 0).loose(LOOSE)
        return form.left(task.outcome(None, False), unit)

    penalties = form.penalties or regularizers("identity", form.op)
    question = Question(rule, form.base, penalties, form.data, _counted(form), residual)
    question.images, question.eps = _images(form.op), _eps(form.layout)
    return question.answer(exact=form.weights is None)


def choose_damp(task) -> DampChoice:
    """The damp of a task with a rule, by solves where they cost less than projections.

    Projections of large problems on Krylov spaces take as many products as some tens of
    solves with an exact inverse.
    """
    op, layout, rule = task.op, task.layout, task.rule
    by_solves = (
        op.is_convolution and min(op.shape) > LARGE and not has_spectrum(op, rule.name)
    )
    if not (by_solves and fits_torus(op)):
        return rule.choose(op, layout)

    def residual(damp, unit):
        x = task.loosely_damped(damp)
        image = x.reshape((len(x), *op.input_shape))
        r = layout.b - op.apply(image).reshape(layout.b.shape)
        return to_numpy(r) * 2.0**-unit, float(np.linalg.norm(to_numpy(x))) * 2.0**-unit

    identity = regularizers("identity", op)
    question = Question(rule, op, identity, layout.b, float(layout.b.size), residual)
    question.images, question.eps = _images(op), _eps(layout)
    return question.answer(exact=False)


def _images(op):
    """The shape of the data as images, None if they are none."""
    shape = tuple(op.output_shape)
    return shape if math.prod(shape[1:]) > 1 else None


def _eps(layout):
    return float(np.finfo(layout.dtype).eps)


@dataclass
class Question:
    """What damp a rule takes for an operator, penalties and data.

    Attributes
    ----------
    rule : Rule
    op : ShapedOperator
        With the weights of the data.
    penalties : list of ShapedOperator
    data : array, shape (B, m)
    counted : float
        The number of data whose weight is not zero.
    residual : callable
        ``residual(damp, unit)``, see `Solves`; in units of two to the power `unit`.
    images : tuple of int or None
        The shape of the data as images.
    eps : float
        The rounding of the solve.
    """

    rule: Any
    op: Any
    penalties: list
    data: Any
    counted: float
    residual: Callable
    images: Any = None
    eps: float = 2.0**-52

    def answer(self, exact) -> DampChoice:
        """The choice; `exact`: there may be a spectrum of the operators themselves."""
        rule, penalties = self.rule, self.penalties
        units = _Units.of(self.op, self.data)
        if units is None:
            nothing = DampCandidate(0.0, np.zeros(0), np.zeros(0))
            return _Units(0, 0).choice(nothing, rule, np.zeros((0, 2)))
        op, b = scale_operator(self.op, units.operator), units.scaled(self.data)
        target = None
        if rule.name == "discrepancy":
            target = math.ldexp(rule.noise_level, -units.data) * self.counted**0.5
        spectrum = exact_spectrum(op, penalties, b) if exact else None
        if exact and spectrum is None and rule.name != "ncp":
            spectrum = dense_penalty_spectrum(op, penalties, b)
        if spectrum is not None:
            found = pick(spectrum, rule.name, target, self.eps)
            rough = spectrum.rough
            norms = [[rough.residual(d), rough.solution(d)] for d in found.damps]
            return units.choice(found, rule, np.reshape(norms, (-1, 2)))
        spectrum = torus_spectrum(op, penalties, b)
        first, top = _first(spectrum, rule, target, self.eps, op, penalties, b)
        seen: dict[float, tuple] = {}

        def residual(damp):
            found = self.residual(math.ldexp(damp, units.operator), units.data)
            seen[damp] = float(np.linalg.norm(found[0])), found[1]
            return found

        solves = Solves(
            residual,
            first,
            spectrum,
            self.counted,
            self.images,
            (math.log(first / FAR), math.log(min(first * FAR, LARGEST * top))),
        )
        found = searched(solves, rule.name, target)
        return units.choice(found, rule, _between(seen, found.damps))


def _between(seen, damps):
    """Norms at some damps from those of solves, by interpolation of logarithms."""
    known = sorted(seen)
    if not known:
        return np.zeros((len(damps), 2))
    norms = np.maximum([seen[damp] for damp in known], np.finfo(float).tiny)
    return np.exp(
        [np.interp(np.log(damps), np.log(known), np.log(norm)) for norm in norms.T]
    ).T


def _first(spectrum, rule, target, eps, op, penalties, b):
    """The damp to begin with, and the largest singular value, about."""
    if spectrum is not None:
        # an L-curve on a torus has corners that the jumps at its borders make
        name = "gcv" if rule.name == "lcurve" else rule.name
        near = pick(spectrum, name, target, eps).damp
        return near or FIRST * spectrum.largest, spectrum.largest
    norms = [
        np.ldexp(size[1], size[0]) for size in (size_of(o, b) for o in (op, *penalties))
    ]
    largest = norms[0] / max(min(norms[1:]), np.finfo(float).tiny)
    return FIRST * largest, largest


@dataclass(frozen=True)
class _Units:
    """Powers of two that operator and data are divided by."""

    operator: int
    data: int

    @classmethod
    def of(cls, op, b):
        """Those of an operator and data; None for data that are zero."""
        largest = float(np.abs(to_numpy(b)).max(initial=0.0))
        if not largest:
            return None
        return cls(size_of(op, b)[0], int(np.frexp(largest)[1]))

    def scaled(self, b):
        """The data on the host, in double precision."""
        b = to_numpy(b)
        return b.astype(np.result_type(b.dtype, np.float64)) * 2.0**-self.data

    def choice(self, found, rule, norms) -> DampChoice:
        """A choice in the user's units; `norms` are of residuals and of what L sees."""
        power = {"gcv": 2 * self.data, "discrepancy": self.data}.get(rule.name, 0)
        path = {
            "damp": np.ldexp(found.damps, self.operator),
            "criterion": np.ldexp(found.values, power),
            "residual_norm": np.ldexp(norms[:, 0], self.data),
            "solution_norm": np.ldexp(norms[:, 1], self.data - self.operator),
        }
        return DampChoice(math.ldexp(found.damp, self.operator), path, found.note)


def _counted(form):
    """The number of data whose weight is not zero."""
    items = form.data.shape[0]
    if form.weights is None:
        return float(items * form.data.shape[1])
    return float(items * to_numpy(form.weights > 0).sum())


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
