"""The outcome of a run for each item of a batch, and the result made of it."""

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np

from .._core.result import SolveResult, Status

ORDER = [
    Status.NONFINITE,
    Status.BREAKDOWN,
    Status.INDEFINITE,
    Status.ILL_CONDITIONED,
    Status.STOPPED,
    Status.MAXITER,
    Status.STALLED,
    Status.CONVERGED,
]

FEW_DIGITS = 1e-3  # an estimate of the error of x from which on the message tells it
LONG = 1000  # iterations after which a failure is one of the condition


@dataclass
class Outcome:
    """The items of a batch after a run, in the user's units.

    Attributes
    ----------
    x : array, shape (B, n)
    good : ndarray of bool, shape (B,)
    residual, normal, error : ndarray, shape (B,)
    item_nit : ndarray of int, shape (B,)
    item_status : list of Status
    history : ndarray, shape (nit, B)
    watches_normal : bool
        Whether the history holds norms of the normal residual.
    method : str
    tried : list of str or None
        A sentence on each choice.
    notes : dict
    per_item : dict of ndarray, shape (B,)
        Further numbers for the result's ``extra``, one for each item.
    """

    x: Any
    good: np.ndarray
    residual: np.ndarray
    normal: np.ndarray
    error: np.ndarray
    item_nit: np.ndarray
    item_status: list
    history: np.ndarray
    watches_normal: bool
    method: str
    tried: list
    notes: dict
    per_item: dict = field(default_factory=dict)

    def result(self, layout, seconds) -> SolveResult:
        """The outcome as a result, in the user's shapes."""
        status = min(self.item_status, key=ORDER.index)
        extra = dict(self.notes)
        extra |= {name: layout.items(value) for name, value in self.per_item.items()}
        words = ["; then ".join(filter(None, self.tried)), extra.pop("message", None)]
        message = "; ".join(filter(None, [*words, self._doubt()]))
        if layout.batched:
            extra["success"] = layout.items(self.good)
            extra["nit"] = layout.items(self.item_nit)
            extra["status"] = self.item_status
        return SolveResult(
            x=layout.restore(self.x),
            success=bool(self.good.all()),
            status=status,
            message=f"{status.value} ({message})" if message else status.value,
            nit=len(self.history),
            residual_norm=layout.items(self.residual),
            normal_residual_norm=layout.items(self.normal),
            history=self.history.reshape(-1, *layout.batch_shape),
            method=self.method,
            error_bound=self._error_bound(layout),
            seconds=seconds,
            extra=extra,
        )

    def _error_bound(self, layout):
        if np.isnan(self.error).all():
            return None
        return layout.items(self.error)

    def _doubt(self):
        """A warning if x has few correct digits, else None."""
        known = ~np.isnan(self.error)
        failed = ~self.good & (len(self.history) >= LONG)  # of few nothing is learnt
        for items, words, help_ in (
            (self.good, "", "a smaller rtol or a damp helps"),
            (failed, "more than ", "a damp helps"),
        ):
            worst = np.max(self.error[items & known], initial=0.0)
            if worst > FEW_DIGITS:
                return (
                    f"x may be off by {words}{min(worst, 1):.1g} of its norm: A is "
                    f"ill-conditioned; {help_}"
                )
        return None


def merged(parts, x) -> Outcome:
    """The outcomes of all slices of a batch as one; `x` holds all items."""
    furthest = max(parts, key=lambda part: len(part.tried))
    longest = max(parts, key=lambda part: len(part.history))
    notes: dict = {}
    for part in parts:
        notes |= part.notes
    join = lambda name: np.concatenate([getattr(p, name) for p in parts])  # noqa: E731
    return Outcome(
        x=x,
        good=join("good"),
        residual=join("residual"),
        normal=join("normal"),
        error=join("error"),
        item_nit=join("item_nit"),
        item_status=[status for part in parts for status in part.item_status],
        history=_padded(parts, len(longest.history), longest.watches_normal),
        watches_normal=longest.watches_normal,
        method=furthest.method,
        tried=[_fullest(found) for found in zip_longest(*(p.tried for p in parts))],
        notes=notes,
        per_item={
            name: np.concatenate([part.per_item[name] for part in parts])
            for name in parts[0].per_item
        },
    )


def _padded(parts, length, normal):
    """The histories side by side; finished items repeat their last norm."""
    columns = []
    for part in parts:
        rows = list(part.history) or [part.normal if normal else part.residual]
        rows += [rows[-1]] * (length - len(rows))
        columns.append(np.stack(rows)[:length])
    return np.concatenate(columns, axis=1)


def _fullest(sentences):
    """The longest sentence of all slices on one choice: it has a note on an item."""
    return max(filter(None, sentences), key=len, default=None)
