"""The priors of a solve: one, or a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from ._elementwise import merged
from ._priors import Analysis, Proximal

PriorInput: TypeAlias = Proximal | Sequence[Proximal]


def listed(g, name="g") -> list:
    """The priors as a list, checked."""
    priors = list(g) if isinstance(g, (list, tuple)) else [g]
    if not priors:
        raise ValueError(f"{name} must hold at least one prior, got none")
    for prior in priors:
        if not callable(getattr(prior, "prox", None)):
            raise TypeError(
                f"{name} must have a method prox(x, step), as "
                "convinv.proximal.Proximal does, or be a sequence of such objects, got "
                f"{type(prior).__name__}"
            )
    return priors


def single(g, method):
    """The one prior of a method that has room for one."""
    priors = listed(g)
    if len(priors) > 1 and all(getattr(p, "weight", 0) is not None for p in priors):
        priors = merged(priors)
    names = ", ".join(type(p).__name__ for p in priors)
    if len(priors) > 1:
        raise ValueError(
            f"{method} takes one prior, or several of single entries (L1, Box, "
            f"NonNegative), got {names}; use minimize or admm"
        )
    if isinstance(priors[0], Analysis):
        raise TypeError(
            f"{method} needs the proximal operator of the prior, and {names} has none; "
            "use minimize or admm"
        )
    return priors[0]


def needs_copies(priors) -> bool:
    """Whether there are several priors, or one that says how it is split."""
    return len(priors) > 1 or callable(getattr(priors[0], "term", None))
