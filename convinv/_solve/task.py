"""A call of `solve` with checked arguments, and how it is run."""

from __future__ import annotations

import contextlib
import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._problem.batch import Layout
from .._problem.scaling import ScaledProblem
from ..operators._dot_test import products
from ..solvers import Method
from . import bounds, counts
from .auto import MethodChoice, choose, given
from .groups import has_groups, parts_of, solve_parts
from .memory import MemoryEstimate
from .memory_errors import explained
from .restarts import Run
from .slices import slices_of, solve_slices
from .weight_rule import LOOSE, choose_damp

WRONG = 1e-5  # of their norms, a difference of products that no rounding makes
NO_ADJOINT = "the adjoint of op is not its adjoint (see convinv.dot_test)"


@dataclass(frozen=True)
class Task:
    """A call of `solve` with its arguments checked.

    Attributes
    ----------
    op : ShapedOperator
    layout : Layout
    entry : Method
        As it is with `options`; of "auto", what that asks of an operator.
    options : dict
        Of the method.
    preconditioner
        As `solve` takes it.
    rtol, atol, rtol_normal : float
    conlim : float or None
    damp : float
        0 where `rule` is to choose it.
    rule : Rule or None
    maxiter : int
    rng : numpy.random.Generator
    max_memory : float or None
    copied : int
        Bytes of the copies that were made of b and x0.
    is_part : bool
        Whether the operator is some groups of the user's.
    bounds : pair or None
        As `solve` takes it.
    weights : array or None
        Of the data, like b or one item of it, for methods whose objective is not least
        squares; for that they are in `op` and b.
    items : int
        Right-hand sides that one set-up is for.
    """

    op: Any
    layout: Layout
    entry: Method
    options: dict[str, Any]
    preconditioner: Any
    rtol: float
    atol: float
    rtol_normal: float
    conlim: float | None
    damp: float
    rule: Any
    maxiter: int
    rng: np.random.Generator
    max_memory: float | None
    copied: int
    is_part: bool = False
    bounds: Any = None
    weights: Any = None
    items: int = 1

    def estimate(self) -> MemoryEstimate:
        """The memory that the solve takes."""
        return MemoryEstimate(
            self.op,
            self.layout,
            self.entry,
            self.options,
            self.preconditioner,
            bool(self.damp or self.rule),
            self.copied,
            self.bounds is not None,
        )

    def loose(self, rtol) -> Task:
        """The same with a larger tolerance, for solves on the way to others."""
        return replace(self, rtol=max(rtol, self.rtol), rtol_normal=rtol)

    def loosely_damped(self, damp):
        """The x of a loose solve with a damp in place of the rule, ``(B, n)``."""
        task = replace(self, damp=damp, rule=None).loose(LOOSE)
        return task._outcome(self.slices(), None, False).x

    def slices(self):
        """Slices of the batch that fit into `max_memory`, None without a limit."""
        if self.max_memory is None:
            return None
        return slices_of(self.estimate(), self.max_memory)

    def outcome(self, callback, progress):
        """Solve all items at once, or slice by slice."""
        slices = self.slices()
        try:
            with np.errstate(all="ignore"):
                outcome = self._damped_outcome(slices, callback, progress)
        except MemoryError as error:
            raise explained(error, self.estimate()) from error
        if not outcome.good.all() and self.entry.needs_adjoint:
            self._suspect_adjoint(outcome)
        return outcome

    def _damped_outcome(self, slices, callback, progress):
        """Solve with the damp that the rule chooses, if there is a rule."""
        if self.rule is None:
            return self._outcome(slices, callback, progress)
        choice = choose_damp(self)
        task = replace(self, damp=choice.damp, rule=None)
        outcome = task._outcome(slices, callback, progress)
        choice.annotate(outcome.notes)
        return outcome

    def _outcome(self, slices, callback, progress):
        parts = slices or [slice(None)]
        total = self.maxiter * len(parts)
        with progress_bar(progress, self.entry.name, total) as tick:
            outcome = solve_slices(self.run, self.layout, parts, callback, tick)
        if slices:
            outcome.notes["slices"] = len(slices)
        return outcome

    def run(self, layout, callback, tick, stopped):
        """The outcome of some items, and whether the callback has asked to stop."""
        if self.entry.objective == "poisson":
            return counts.run(self, layout, callback, tick, stopped)
        if self.bounds is not None:
            return bounds.run(self, layout, callback, tick, stopped)
        scaled = ScaledProblem(
            self.op, layout, self.damp, self.rtol, self.atol, self.rtol_normal
        )
        begun: list = []  # choices by which it was seen whether groups go apart
        parts = self._parts(scaled, begun)
        if parts is not None:
            return solve_parts(self, parts, layout, callback, tick, stopped)
        if self.entry.hermitian:
            scaled.refuse_unless_hermitian(self.entry.name)
        run = Run(scaled, layout, self.maxiter, self.rng, callback, tick, self.conlim)
        if stopped:
            run.leave_unsolved()
        else:
            # the estimate of memory counts single precision
            may_widen = self.max_memory is None
            run.solve(lambda: self._choices(scaled, begun), may_widen)
        return run.outcome(), run.stopped

    def _parts(self, scaled, begun):
        """Parts of the layer to be solved separately, None if there are none."""
        automatic = self.entry.name == "auto" and self.preconditioner is None
        if not automatic or self.is_part or not has_groups(scaled.working):
            return None
        choices = self._automatic(scaled)
        choice = next(choices)
        begun.append(itertools.chain([choice], choices))
        return parts_of(self.op, scaled.working, choice, scaled.damp)

    def _choices(self, scaled, begun):
        """The methods to try."""
        if self.entry.name != "auto":
            choice = MethodChoice(self.entry.name, "", self._options())
            return [replace(choice, preconditioner=self.preconditioner)]
        if self.preconditioner is not None:
            return [given(scaled.working, self.preconditioner)]
        return begun.pop() if begun else self._automatic(scaled)

    def _options(self):
        """The method's options; a limit of memory above its own replaces that."""
        own = self.entry.options.get("memory")
        given = self.max_memory
        if own is None or given is None or "memory" in self.options:
            return self.options
        return {**self.options, "memory": max(given, own.default)}

    def _automatic(self, scaled):
        return choose(
            scaled.working,
            damp=scaled.damp,
            batch=self.items,
            rtol=self.rtol,
            memory=math.inf if self.max_memory is None else self.max_memory,
            maxiter=self.maxiter,
        )

    def _suspect_adjoint(self, outcome):
        """Add a note to the message if the user's adjoint is wrong."""
        if self.op.layer is not None or self.op.matrix is not None:
            return
        rng = np.random.default_rng(0)
        left, right, size = products(self.layout.b, self.op, rng)
        if not abs(left - right) <= WRONG * size:
            words = [outcome.notes.get("message"), NO_ADJOINT]
            outcome.notes["message"] = "; ".join(filter(None, words))


@contextlib.contextmanager
def progress_bar(progress, name, total):
    """Yield a function of the iteration number, which updates a progress bar."""
    if not progress:
        yield lambda nit: None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError("progress=True needs the package tqdm") from None
    with tqdm(total=total, desc=name, unit="it") as bar:
        yield lambda nit: bar.update(nit - bar.n)
