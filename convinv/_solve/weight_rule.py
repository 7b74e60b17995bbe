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

from .._core.arrays import to_numpy
from .._problem.scaled_operator import scale_operator
from .._regularize.by_solves import Solves, searched
from .._regularize.criteria import DampCandidate, pick
from .._regularize.damp_rule import DampChoice, has_spectrum
from .._regularize.penalty_spectrum import (
    dense_penalty_spectrum,
    exact_spectrum,
    fits_torus,
    torus_spectrum,
)
from ..operators._scale import size_of
from .penalties import regularizers

LOOSE = 1e-3  # tolerance of the solves on the way
LARGE = 2**14  # unknowns or data above which solves take the place of projections
FIRST = 0.03  # first damp in units of the norms, where no spectrum suggests one
LARGEST, FAR = 10.0, 100.0  # largest damp in these units; farthest from the first


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
