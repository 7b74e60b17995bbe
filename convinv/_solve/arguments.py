"""The checks of solve's arguments, before any work."""

import dataclasses
import difflib
import operator

import numpy as np

from .._core.validation import number
from ..solvers import METHODS


def method(name, op):
    """The registry's entry of a method that suits the operator."""
    if not isinstance(name, str):
        raise TypeError(f"method must be a string, got {name!r}")
    entry = _automatic(op) if name == "auto" else METHODS.get(name)
    if entry is None:
        close = difflib.get_close_matches(name, METHODS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        names = ", ".join(map(repr, ["auto", *sorted(METHODS)]))
        raise ValueError(f"method must be one of {names}, got {name!r}{hint}")
    if entry.conv_only and not hasattr(op, "layer" if entry.adjoints else "geometry"):
        taking = [m.name for m in METHODS.values() if m.adjoints]
        hint = f"; of adjoints {', '.join(taking)} take any" if _is_adjoint(op) else ""
        raise TypeError(
            f"method {entry.name!r} needs a ConvLinearOperator, got "
            f"{type(op).__name__}{hint}"
        )
    known = hasattr(op, "geometry") or getattr(op, "matrix", None) is not None
    if entry.needs_rows and not known:
        raise TypeError(
            f"method {entry.name!r} needs the operator's rows: a ConvLinearOperator or "
            "a sparse or dense matrix, got an operator that only has products; use "
            "'cgls' or 'rshk'"
        )
    return entry


def _is_adjoint(op):
    return hasattr(op, "layer") and not hasattr(op, "geometry")


def _automatic(op):
    """What "auto" asks of an operator: no more than the last method that it tries."""
    square = op.shape[0] == op.shape[1]
    needs = METHODS["gmres" if square and not op.has_adjoint else "cgls"]
    nothing = lambda problem, monitor: None  # noqa: E731
    return dataclasses.replace(needs, name="auto", function=nothing)


def check_options(entry, options):
    """Refuse options that the method does not have."""
    unknown = sorted(set(options) - set(entry.options))
    if unknown:
        takes = ", ".join(entry.options) or "none"
        raise TypeError(
            f"method {entry.name!r} got unknown option(s) {', '.join(unknown)}; "
            f"its options are: {takes}"
        )


def check_operator(entry, op, options):
    """Refuse operators that the method can't work with."""
    normal = not entry.square or options.get("normal", False)
    if not normal and op.shape[0] != op.shape[1]:
        hint = " or normal=True" if "normal" in entry.options else ""
        raise ValueError(
            f"method {entry.name!r} needs a square operator, got op of shape "
            f"{op.shape}; use 'cgls'{hint}"
        )
    if (entry.needs_adjoint or options.get("normal", False)) and not op.has_adjoint:
        raise TypeError(
            f"method {entry.name!r} needs the adjoint of op, and op has no rmatvec"
        )


def generator(rng):
    """numpy's Generator for a seed."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"rng must be None, a non-negative integer or a Generator, got {rng!r}"
        ) from None


def conlim(value, entry):
    """A condition number, or None; refused where the method estimates none."""
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
    try:
        maxiter = operator.index(maxiter)
    except TypeError:
        raise TypeError(f"maxiter must be an integer, got {maxiter!r}") from None
    if maxiter < 0:
        raise ValueError(f"maxiter must not be negative, got {maxiter}")
    return maxiter
