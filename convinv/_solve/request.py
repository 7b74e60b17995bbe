"""The arguments of `solve` beside its operator and its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core.byte_counts import parse_bytes
from .._core.validation import number
from .._problem.batch import Layout
from ..operators._foreign import GeneralOperator
from ..solvers import Method
from . import arguments, bounds as within, counts
from .task import Task


@dataclass(frozen=True)
class Request:
    """A call of `solve` without its operator and its data.

    Attributes
    ----------
    method : str
    options : dict
        Of the method.
    preconditioner
        As `solve` takes it.
    rtol, atol, rtol_normal : float
    conlim : float or None
    maxiter : int or None
    rng : numpy.random.Generator
    max_memory : float or None
    bounds : pair or None
        As `solve` takes it.
    items : int
        Right-hand sides that one set-up is for, where there are more than a call has.
    """

    method: str
    options: dict[str, Any]
    preconditioner: Any
    rtol: float
    atol: float
    rtol_normal: float
    conlim: float | None
    maxiter: int | None
    rng: np.random.Generator
    max_memory: float | None
    bounds: Any = None
    items: int = 0

    @classmethod
    def checked(
        cls,
        method,
        options,
        preconditioner,
        rtol,
        atol,
        rtol_normal,
        conlim,
        maxiter,
        rng,
        max_memory,
        bounds=None,
    ) -> Request:
        """A request of what a user gave; raises for what makes no sense."""
        rtol = number(rtol, "rtol")
        return cls(
            method=method,
            options=options,
            preconditioner=preconditioner,
            rtol=rtol,
            atol=number(atol, "atol"),
            rtol_normal=(
                rtol if rtol_normal is None else number(rtol_normal, "rtol_normal")
            ),
            conlim=conlim,
            maxiter=None if maxiter is None else arguments.maxiter(maxiter, 0),
            rng=arguments.generator(rng),
            max_memory=None if max_memory is None else parse_bytes(max_memory),
            bounds=bounds,
        )

    def entry(self, op, damped) -> Method:
        """The method as it is for an operator; raises if it does not take that."""
        entry = arguments.method(self.method, op)
        arguments.check_options(entry, self.options)
        entry = entry.at(self.options)
        arguments.check_preconditioner(entry, self.preconditioner)
        if isinstance(op, GeneralOperator) and not entry.needs_adjoint:
            op.has_adjoint = False  # it may be a stub: it is never called
        arguments.conlim(self.conlim, entry)
        arguments.check_operator(entry, op)
        if damped:
            arguments.check_damp(entry)
        if self.bounds is not None:
            within.refuse(entry, op, self.preconditioner, self.conlim)
        return entry

    def task(self, op, layout: Layout, damp, rule, copied, weights=None) -> Task:
        """The task for an operator and data.

        `weights` are those of data for methods that minimize no least squares; others
        have them in `op` and in the data.
        """
        entry = self.entry(op, bool(damp or rule))
        if entry.objective == "poisson":
            counts.refuse(op, layout, self)
        if self.bounds is not None:
            within.limits(self.bounds, layout)
        return Task(
            op=op,
            layout=layout,
            entry=entry,
            options=self.options,
            preconditioner=self.preconditioner,
            rtol=self.rtol,
            atol=self.atol,
            rtol_normal=self.rtol_normal,
            conlim=arguments.conlim(self.conlim, entry),
            damp=damp,
            rule=rule,
            maxiter=arguments.maxiter(self.maxiter, op.shape[1]),
            rng=self.rng,
            max_memory=self.max_memory,
            copied=copied,
            bounds=self.bounds,
            weights=weights,
            items=max(self.items, layout.batch),
        )
