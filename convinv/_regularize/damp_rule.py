"""The damp of `solve` chosen from the data, by name of a rule."""

from dataclasses import dataclass

import numpy as np

from .._closed_forms.cosine import CosineSymbol
from .._closed_forms.forms import FrequencyForm, SeparableForm, closed_form
from .._core.arrays import placement
from .._core.validation import number
from .._problem.scaling import ScaledProblem
from .._problem.units import Units
from ..operators._polyphase import Polyphase
from ..operators._symbol import Symbol
from .criteria import RULES, DampCandidate, pick
from .data_spectrum import (
    Periodogram,
    dense_spectrum,
    separable_spectrum,
    spectrum_by_frequency,
)
from .hybrid_lsqr import krylov_pick

# Largest matrices that are formed and decomposed: unknowns or data, and entries. For
# GCV a factor of larger ones, since projections take long to find the trace.
DENSE, DENSE_ENTRIES = 256, 2**20
TRACE, TRACE_ENTRIES = 8, 4


@dataclass(frozen=True)
class DampChoice:
    """A damp in the user's units, how it was found, and an optional note."""

    damp: float
    path: dict
    note: str | None

    def annotate(self, notes):
        """Add the choice to a result's ``extra`` and message."""
        notes |= {"damp": self.damp, "damp_path": self.path}
        words = [word for word in (notes.get("message"), self.note) if word]
        if words:
            notes["message"] = "; ".join(words)


@dataclass(frozen=True)
class Rule:
    """A rule by name, with its arguments checked; `noise_level` may be None."""

    name: str
    noise_level: float | None

    def choose(self, op, layout) -> DampChoice:
        """The damp for an operator and data.

        The items of a batch count as one long vector, since one operator is inverted
        for all of them.
        """
        scaled = ScaledProblem(op, layout, 0.0, 0.0, 0.0)
        if scaled.zero.all():
            nothing = DampCandidate(0.0, np.zeros(0), np.zeros(0))
            return _in_units(None, nothing, self.name, Units(0, np.array(0)))
        unit = int(scaled.units.data[~scaled.zero].max())
        xp, b = layout.xp, scaled.b
        factor = np.ldexp(1.0, np.where(scaled.zero, 0, scaled.units.data - unit))
        factor = xp.astype(xp.asarray(factor, **placement(b)), b.dtype)
        b = b * factor[:, None]
        eps = float(np.finfo(layout.dtype).eps)
        target = None
        if self.name == "discrepancy":
            size = np.sqrt(layout.batch * op.shape[0])
            target = float(np.ldexp(self.noise_level or 0.0, -unit) * size)
        spectrum, found = _pick(scaled, b, self.name, target, eps)
        units = Units(scaled.units.operator, np.array(unit))
        return _in_units(spectrum, found, self.name, units)


def _pick(scaled, b, rule, target, eps):
    """`pick` from all singular values, or from as many as are needed."""
    wide = scaled.wide
    m, n = wide.shape
    spectrum = _closed_spectrum(wide, b) if wide.is_convolution else None
    if spectrum is None and _is_small(m, n, rule):
        spectrum = dense_spectrum(wide, b)
    if spectrum is None:
        return krylov_pick(scaled.working, b, rule, target, eps)
    return spectrum, pick(spectrum, rule, target, eps)


def has_spectrum(op, rule):
    """Whether a closed form of a layer gives all that a rule needs at little cost."""
    if Polyphase(op.geometry).is_torus:
        return True
    form = closed_form(op)
    if isinstance(form, SeparableForm):
        return rule != "ncp"  # each damp would take the transform of a residual
    cosine = isinstance(form, FrequencyForm) and form.orthonormal
    return cosine and isinstance(form.blocks(), CosineSymbol)


def _closed_spectrum(layer, b):
    """The spectrum of a layer with a closed form, None for others."""
    if Polyphase(layer.geometry).is_torus:
        return spectrum_by_frequency(Symbol(layer), b)
    form = closed_form(layer)
    if isinstance(form, SeparableForm):
        return separable_spectrum(layer, form.decomposition, b)
    if isinstance(form, FrequencyForm) and form.orthonormal:
        blocks = form.blocks()
        if isinstance(blocks, CosineSymbol):
            return spectrum_by_frequency(blocks, b)
    return None


def _is_small(m, n, rule):
    """Whether a decomposition of the matrix takes no longer than projections."""
    side, entries = DENSE, DENSE_ENTRIES
    if rule == "gcv":
        side, entries = TRACE * side, TRACE_ENTRIES * entries
    return min(m, n) <= side and m * n <= entries


def _in_units(spectrum, found, rule, units) -> DampChoice:
    """A choice in the user's units, from one in `units` that all items share."""
    data = int(units.data)
    power = {"gcv": 2 * data, "discrepancy": data}.get(rule, 0)
    with np.errstate(over="ignore", under="ignore"):
        residuals = np.array([spectrum.rough.residual(damp) for damp in found.damps])
        solutions = np.array([spectrum.rough.solution(damp) for damp in found.damps])
        path = {
            "damp": np.ldexp(found.damps, units.operator),
            "criterion": np.ldexp(found.values, power),
            "residual_norm": units.unscale_residual_norm(residuals),
            "solution_norm": np.ldexp(solutions, data - units.operator),
        }
    return DampChoice(units.unscale_damp(found.damp), path, found.note)


def rule(damp, noise_level, op) -> Rule | None:
    """The rule that `damp` names, None for a number; raises for what does not fit."""
    named = isinstance(damp, str)
    if noise_level is not None:
        noise_level = number(noise_level, "noise_level")
        if damp != "discrepancy":
            raise ValueError(
                f"noise_level is for damp='discrepancy', got damp={damp!r}"
            )
    if not named:
        return None
    if damp not in RULES:
        raise TypeError(
            f"damp must be a real number or one of {', '.join(map(repr, RULES))}, "
            f"got {damp!r}"
        )
    if damp == "discrepancy" and noise_level is None:
        raise ValueError("damp='discrepancy' needs noise_level, got None")
    if not op.has_adjoint:
        raise TypeError(f"damp={damp!r} needs the adjoint of op, and op has no rmatvec")
    if damp == "ncp" and Periodogram.of(op) is None:
        raise TypeError(
            "damp='ncp' looks at the residual as an image: it needs a "
            "ConvLinearOperator with more than one output sample per channel, got "
            f"{type(op).__name__} with output shape {op.output_shape}"
        )
    return Rule(damp, noise_level)
