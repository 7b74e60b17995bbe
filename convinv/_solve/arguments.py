"""Checks of the arguments of `solve`, before any work."""

import dataclasses
import difflib

import numpy as np

from .._core.validation import integer, number
from .._problem.preconditioner import check_name
from ..operators._cells import is_tall_stack
from ..solvers import METHODS


def method(name, op):
    """The registry entry of a method, if it takes the operator."""
    if not isinstance(name, str):
        raise TypeError(f"method must be a string, got {name!r}")
    entry = _automatic(op) if name == "auto" else METHODS.get(name)
    if entry is None:
        close = difflib.get_close_matches(name, METHODS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        names = ", ".join(map(repr, ["auto", *sorted(METHODS)]))
        raise ValueError(f"method must be one of {names}, got {name!r}{hint}")
    taken = op.layer is not None if entry.takes_adjoints else op.is_convolution
    taken |= entry.takes_stacks and is_tall_stack(op)
    taken |= entry.takes_weights and bool(op.weighted_convolutions)
    if entry.convolution_only and not taken:
        taking = [m.name for m in METHODS.values() if m.takes_adjoints]
        is_adjoint = op.layer is not None
        hint = f"; of adjoints {', '.join(taking)} take any" if is_adjoint else ""
        raise TypeError(
            f"method {entry.name!r} needs a ConvLinearOperator, got "
            f"{type(op).__name__}{hint}"
        )
    if entry.needs_rows and not op.has_rows:
        raise TypeError(
            f"method {entry.name!r} needs the operator's rows: a ConvLinearOperator or "
            "a sparse or dense matrix of NumPy or SciPy, got an operator that only has "
            "products; use 'cgls' or 'rshk'"
        )
    return entry


def _automatic(op):
    """What "auto" asks of an operator: no more than the last method that it tries."""
    square = op.shape[0] == op.shape[1]
    needs = METHODS["gmres" if square and not op.has_adjoint else "cgls"]
    nothing = lambda problem, monitor: None  # noqa: E731
    return dataclasses.replace(needs, name="auto", function=nothing, by_setting={})


def check_options(entry, options):
    """Raise for options that the method does not have, and for invalid values."""
    unknown = sorted(set(options) - set(entry.options))
    if unknown:
        takes = ", ".join(entry.options) or "none"
        raise TypeError(
            f"method {entry.name!r} got unknown option(s) {', '.join(unknown)}; "
            f"its options are: {takes}"
        )
    for name, value in options.items():
        entry.options[name].check(value)


def check_operator(entry, op):
    """Raise for operators that the method does not take."""
    if entry.square and op.shape[0] != op.shape[1]:
        raise ValueError(
            f"method {entry.name!r} needs a square operator, got op of shape "
            f"{op.shape}; use 'cgls'{_unless(entry, 'square', False)}"
        )
    if entry.needs_adjoint and not op.has_adjoint:
        raise TypeError(
            f"method {entry.name!r} needs the adjoint of op, and op has no rmatvec"
        )


def check_damp(entry):
    """Raise if the method takes no damp."""
    if not entry.damp:
        raise ValueError(
            f"method {entry.name!r} takes no damp; use 'cgls' or 'lsmr'"
            f"{_unless(entry, 'damp', True)}"
        )


def check_preconditioner(entry, given):
    """Raise if the method takes no preconditioner, or the name is unknown."""
    if given is None:
        return
    if not (entry.preconditioner or entry.name == "auto"):
        taking = ", ".join(m.name for m in METHODS.values() if m.preconditioner)
        raise ValueError(f"method {entry.name!r} takes no preconditioner; {taking} do")
    if isinstance(given, str):
        check_name(given)


def _unless(entry, trait, value):
    """A hint: the option value with which the method has a trait."""
    for (name, setting), traits in entry.by_setting.items():
        if traits.get(trait) == value:
            return f" or {name}={setting!r}"
    return ""


def generator(rng):
    """The NumPy Generator of a seed."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"rng must be None, a non-negative integer or a Generator, got {rng!r}"
        ) from None


def conlim(value, entry):
    """`conlim` as a float or None; raises if the method estimates no condition."""
    if value is None:
        return None
    value = number(value, "conlim")
    if value < 1:
        raise ValueError(f"conlim must be at least 1, got {value!r}")
    if not (entry.condition or entry.name == "auto"):
        able = ", ".join(sorted(name for name, m in METHODS.items() if m.condition))
        raise ValueError(
            f"method {entry.name!r} estimates no condition number, so it takes no "
            f"conlim; {able} do"
        )
    return value


def maxiter(maxiter, unknowns):
    """The iteration limit, by default one that grows with the problem."""
    if maxiter is None:
        return max(1000, min(10 * unknowns, 10000))
    return integer(maxiter, "maxiter")
