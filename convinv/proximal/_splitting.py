"""ADMM with a copy for every prior: several priors, and priors of ``L x``."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._gradient_step import GradientStep
from ._penalty import Doubling
from ._problem import AIM, FLOOR, StoppingTest
from ._steps import choose
from ._terms import ProximalTerm, term_of
from ._torus_step import TorusStep

RELAX = 1.8  # over-relaxation: about half as many iterations as with 1
FIRST, LEAST = 8, 4  # iterations before the first test of x, and between two tests
SINGLE = 2e-5  # least tolerance of iterations in single precision
RANGE = 1e-10, 1e10  # of the numbers of these
IDLE = 3  # tests without progress after which they end
PATIENCE = 400  # iterations of layers as parts of periodic ones
POWER, MOST, LONGEST = 1 / 3, 2.0, 100  # the next test, by a power law, and its latest


@dataclass(frozen=True)
class Check:
    """What is known of an x: see `Splitting`."""

    measure: float
    rest: Any
    value: float


class Splitting:
    """The minimizer of ``||A x - b||^2 / 2 + sum_i g_i(L_i x)``.

    With a copy z_i of each ``L_i x``, an iteration minimizes over x (`_steps`), then
    over the copies (`_terms`). Each copy has a penalty of its own, balanced so that the
    copy and its multipliers converge equally fast.

    A test of x takes the multipliers p_i, which are subgradients of g_i at z_i: for all
    y, ``g_i(L_i y) >= g_i(L_i x) - gap_i + <p_i, L_i (y - x)>``. So the objective is at
    most ``sum_i gap_i + ||e|| ||x - y||`` above that at the minimizer y, with
    ``e = A^H (A x - b) + sum_i L_i^H p_i``. What e can lower the objective by is
    estimated with the quadratic form of the step.

    The iterations are in single precision where that is enough for the tolerance, until
    tests find no progress. The tests are in the precision of the problem.
    """

    def __init__(self, problem, priors, rho=None, relax=RELAX):
        self.problem, self.rho, self.relax = problem, rho, relax
        self.priors, work = priors, problem
        self.step = choose(problem, priors)
        if self.step.by_transforms and _single_is_enough(problem, self.step, priors):
            work = problem.narrow()
            self.step = choose(work, priors)
        self.is_narrow = work is not problem
        domain = self.step.domain
        self.terms = [term_of(prior, domain, work) for prior in priors]
        self.unit = float(problem.norm(problem.atb))

    def run(self, x0=None):
        """``(stopping, x, check)`` of the iterations from x0, an image."""
        problem, stopping = self.problem, StoppingTest(self.problem)
        stopping.every = 1
        x = self.step.begin() if x0 is None else self.step.embed(self._narrow(x0))
        penalties = self._penalties(x)
        answer = self._answer(x) if x0 is None else x0
        check, due, best, idle, since = None, FIRST, np.inf, 0, 0
        while stopping.going:
            x = self.step.solve(self.terms, x)
            changes = [term.update(x, self.relax) for term in self.terms]
            self.step.update(self.relax)
            nit = stopping.nit + 1
            if nit >= due or nit == problem.maxiter or problem.callback is not None:
                answer = self._answer(x)
                check = self.check(answer)
                if stopping.ends(answer, check.measure, problem.rtol):
                    break
                due = self._due(nit, check.measure)
                idle = 0 if check.measure < best else idle + 1
                best = min(best, check.measure)
                if self.is_narrow and idle >= IDLE:
                    x = self._widen(answer)
                if nit >= PATIENCE and isinstance(self.step, TorusStep):
                    (x, penalties), since = self._start_again(answer), nit
            else:
                stopping.passes(check and check.measure)
            self._balance(penalties, changes, nit - since)
        return stopping, answer, check or self.check(answer)

    def _due(self, nit, measure):
        """The iteration of the next test."""
        wanted = max(AIM * self.problem.rtol, np.finfo(float).tiny)
        factor = min((measure / wanted) ** POWER, MOST)
        return max(nit + LEAST, min(int(np.ceil(factor * nit)), nit + LONGEST))

    def _narrow(self, x):
        """An image in the precision of the iterations."""
        return x.astype(self.step.problem.dtype, copy=False)

    def _widen(self, image):
        """Go on in the precision of the problem, from an image."""
        self.is_narrow, self.step = False, choose(self.problem, self.priors)
        for term in self.terms:
            term.widen(self.problem)
        return self.step.embed(image)

    def _start_again(self, image):
        """Go on without copies of data and border, which can converge slowly."""
        self.is_narrow, self.step = False, GradientStep(self.problem)
        domain = self.step.domain
        self.terms = [term_of(prior, domain, self.problem) for prior in self.priors]
        return image, self._penalties(image)

    def _penalties(self, x):
        """Begin all terms; returns the balance of each, None where it is fixed."""
        for term in self.terms:
            term.begin(x, self.step.unit)
            if self.rho is not None:
                term.rescale(self.rho / term.rho)
        eps = float(np.finfo(self.step.problem.real).eps)
        fixed = [None] * len(self.terms) if self.rho is not None else []
        every = self.terms[len(fixed) :]
        return [*fixed, *(Doubling(term.rho, term.rho, eps) for term in every)]

    def _balance(self, penalties, changes, nit):
        for term, penalty, (moved, turned) in zip(self.terms, penalties, changes):
            if penalty is None or not penalty.due(nit):
                continue
            size, force = term.sizes()
            if size > 0 and force > 0:
                primal, dual = float(turned / size), float(moved / force)
                term.rescale(penalty.balance(nit, primal, dual))

    def _answer(self, x):
        """The copy of x of a prior on x itself, which lies in its domain, or x."""
        dtype = self.problem.dtype
        for term in self.terms:
            if type(term) is ProximalTerm:
                return term.inside(term.image.astype(dtype))
        return self.step.domain.image(x).astype(dtype)

    def check(self, x) -> Check:
        """Test an image: the larger of ``||e||`` and the gaps, relative."""
        problem = self.problem
        rest = problem.forward(x) - problem.b
        slope, value, gap = problem.adjoint(rest), 0.0, 0.0
        for term in self.terms:
            here, more, part = term.certificate(x)
            value, gap = value + here, gap + more
            slope = slope + part
        squared = float(problem.norm(rest)) ** 2
        objective = squared / 2 + float(value)
        eps = float(np.finfo(problem.real).eps)
        size = float(problem.norm(problem.b)) ** 2 / 2 + abs(float(value))
        e, gap = float(problem.norm(slope)), float(gap)
        gap += self.step.decrease(self.terms, self._narrow(slope))
        floor = max(problem.atol, float(problem.floor(x, self.step.unit)))
        parts = [
            0.0 if e <= floor else e / max(self.unit, np.finfo(float).tiny),
            0.0 if gap <= FLOOR * eps * size else gap / objective,
        ]
        return Check(float(np.max(parts)), rest, float(value))


def _single_is_enough(problem, step, priors):
    """Whether single precision is narrower, and has the tolerance and the range."""
    if problem.real != np.float64 or problem.rtol < SINGLE:
        return False
    weights = [getattr(prior, "weight", None) for prior in priors]
    sizes = [step.unit, *(w for w in weights if w)]
    largest = float(abs(problem.b).max()) if problem.b.size else 0.0
    sizes += [largest] if largest else []
    return all(RANGE[0] < size < RANGE[1] for size in sizes)
