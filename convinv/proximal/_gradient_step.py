"""The step of a splitting for operators that no transform makes simple."""

import numpy as np

from .._core.random_vectors import standard_normal
from ._domain import Domain
from ._frequencies import Cosines
from ._terms import DifferenceTerm

REDUCTION, MOST = 0.1, 20  # of the residual in a step, and its iterations
ROUNDING = 10  # roundings in a residual, and in a curvature that may be zero


class GradientStep:
    """For all other operators: preconditioned conjugate gradients from the last x."""

    by_transforms = False

    def __init__(self, problem):
        self.problem = problem
        self.domain = Domain(problem.shape, problem.shape)
        self.unit = self._size()

    def _size(self):
        """The mean eigenvalue of ``A^H A``, from one random vector."""
        problem, rng = self.problem, np.random.default_rng(0)
        v = standard_normal(rng, problem.shape, problem.dtype)
        v = problem.xp.asarray(v.astype(problem.dtype))
        ratio = float(problem.norm(problem.forward(v)) / problem.norm(v))
        return ratio**2 or 1.0

    def begin(self):
        """A first x."""
        return self.problem.scalar(1 / self.unit) * self.problem.atb

    def embed(self, image):
        """The image itself."""
        return image

    def update(self, relax):
        """It has no copies of its own."""

    def decrease(self, terms, slope):
        """About what a step against a slope lowers the objective by."""
        step = _preconditioner(self, terms)(slope)
        product = self.problem.xp.sum((slope.conj() * step).real, dtype=np.float64)
        return float(product)

    def _normal(self, terms, x):
        """The quadratic form's matrix times x."""
        problem = self.problem
        total = problem.adjoint(problem.forward(x))
        for term in terms:
            total = total + problem.scalar(term.rho) * term.gram(x)
        return total

    def solve(self, terms, x):
        """The minimizer, up to a part of the last change."""
        problem, xp = self.problem, self.problem.xp
        right, product = problem.atb, self._normal(terms, x)
        for term in terms:
            right = right + problem.scalar(term.rho) * term.back()
        r, norm = right - product, problem.norm
        noise = ROUNDING * float(np.finfo(problem.real).eps)
        least = noise * (norm(right) + norm(product))
        precondition = _preconditioner(self, terms)
        first = old = p = None
        for _ in range(MOST):
            s = precondition(r)
            size = xp.sum((r.conj() * s).real)
            first = size if first is None else first
            if not bool(size > REDUCTION**2 * first * (0 if p is None else 1)):
                break
            if bool(norm(r) <= least):  # what is left is no direction
                break
            p = s if p is None else s + (size / old) * p
            q = self._normal(terms, p)
            curvature = xp.sum((p.conj() * q).real)
            if not bool(curvature > noise * self.unit * norm(p) ** 2):
                break
            step = (size / curvature).astype(problem.real)
            x, r, old = x + step * p, r - step * q, size
        return x


def _preconditioner(step, terms):
    """The inverse with ``A^H A`` replaced by a number, by a cosine transform."""
    problem, shift, term = step.problem, step.unit, None
    for one in terms:
        if isinstance(one, DifferenceTerm):
            term = one
        else:
            shift = shift + one.rho
    if term is None:
        factor = problem.scalar(1 / shift)
        return lambda r: factor * r
    cosines = Cosines(term.size, problem.xp, problem.real)
    squares = cosines.squares([axis - 3 for axis in term.which])
    inverse = 1 / (shift + term.rho * squares)
    inverse = problem.xp.asarray(inverse.astype(problem.real))

    def precondition(r):
        v = inverse * cosines.forward(term.volume(r))
        return term.domain_of(cosines.backward(v))

    return precondition
