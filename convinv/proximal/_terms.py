"""The parts of a splitting that belong to priors.

A term is ``g(L x)`` with a copy z of ``L x``, scaled multipliers u, and a penalty rho
of its own. Each has

``begin(x, unit)``
    Sets z, u and the penalty from a first x; `unit` is the size of ``A^H A``.
``back()``
    ``L^H (z - u)``, an array of the domain.
``update(x, relax)``
    ``v = relax L x + (1 - relax) z + u; z = prox(v); u = v - z``; returns the norms of
    the changes of z and of u.
``sizes()``
    The norms of z and of the multipliers u.
``certificate(y)``
    ``(value, gap, slope)`` at an image y: ``g(L y)``; what it is above the lower bound
    with the subgradient ``p = rho u``; ``L^H p``.
"""

import math

import numpy as np

from .._core.arrays import contiguous
from .._core.typing import AnyArray
from ..kernels import load
from ._total_variation import differences, divergence, magnitude

TYPICAL = 1.3  # first penalty of total variation, times its weight over the differences
SHARE = 0.1  # first penalty of other priors in units of A^H A, if they have no units


class Term:
    """What all terms share."""

    z: AnyArray
    u: AnyArray

    def __init__(self, prior, domain, problem):
        self.prior, self.domain, self.problem = prior, domain, problem
        self.rho = 1.0

    def rescale(self, factor):
        """Multiply the penalty by a factor; the multipliers stay."""
        self.rho *= factor
        self.u /= factor

    def widen(self, problem):
        """Go on in the precision of a problem."""
        self.problem = problem
        self.z, self.u = (a.astype(problem.dtype) for a in (self.z, self.u))

    def sizes(self):
        """The norms of z and of u."""
        return self.problem.norm(self.z), self.problem.norm(self.u)


class DifferenceTerm(Term):
    """Total variation: the differences along up to three axes, by the fused kernel."""

    def __init__(self, prior, axes, domain, problem):
        super().__init__(prior, domain, problem)
        self.axes = tuple(sorted(axis - len(domain.image_shape) for axis in axes))
        self._kernel = load("differences", problem.xp)
        ndim = len(domain.shape)
        self._moves = self.axes[0] < -3 or ndim + self.axes[0] < ndim - 3
        if self._moves:  # the axes of differences become the last ones
            count = len(self.axes)
            order = [a for a in range(-ndim, 0) if a not in self.axes] + [*self.axes]
            self._order = tuple(a + ndim for a in order)
            self._moved = tuple(domain.shape[a] for a in self._order)
            front = math.prod(self._moved[:-count])
            self._shape = (front, *(1,) * (3 - count), *self._moved[-count:])
            self._box = tuple((0, n) for n in self._shape[1:])
            self.which = tuple(range(3 - count, 3))
        else:
            self._shape, self._box = domain.volume_shape, domain.volume_box
            self.which = tuple(axis + 3 for axis in self.axes)
        shape = (len(self.axes), *self._shape)
        self.z, self.u = (problem.xp.zeros(shape, problem.dtype) for _ in range(2))

    @property
    def size(self):
        """Samples along the last three axes of a volume."""
        return self._shape[1:]

    def volume(self, x):
        """An array of the domain as a volume, with the differences' axes last."""
        if self._moves:
            x = x.transpose(self._order)
        return contiguous(x.reshape(self._shape))

    def domain_of(self, volume):
        """The inverse of `volume`."""
        if not self._moves:
            return volume.reshape(self.domain.shape)
        back = [int(a) for a in np.argsort(self._order)]
        return volume.reshape(self._moved).transpose(back)

    def _shrink(self, x, threshold, relax):
        options = self.domain.cyclic, threshold, relax, self.prior.isotropic
        volume = self.volume(x)
        sums = self._kernel.shrink(
            volume, self.z, self.u, self.which, self._box, *options
        )
        return self.problem.xp.sqrt(sums)

    def begin(self, x, unit):
        self._shrink(x, 0.0, 1.0)
        size, samples = float(self.sizes()[0]), math.prod(self._shape)
        weight = self.prior.known_weight
        if 0 < size < math.inf and weight > 0:
            self.rho = TYPICAL * weight * math.sqrt(samples) / size
        else:
            self.rho = SHARE * (unit or 1.0)
        self._shrink(x, weight / self.rho, 0.0)

    def back(self):
        return self.domain_of(self._kernel.divergence(self.z, self.u, self.which))

    def update(self, x, relax):
        return self._shrink(x, self.prior.known_weight / self.rho, relax)

    def sizes(self):
        norm = self.problem.norm
        field = self._counted(self.z) if self.domain.cyclic else self.z
        return norm(field), norm(self.u)

    def _counted(self, field):
        """A field without the differences that are free."""
        kept = self.problem.xp.zeros_like(field)
        for row, axis in enumerate(self.which):
            ends = [[first, end] for first, end in self._box]
            ends[axis][1] -= 1
            place = (row, slice(None), *(slice(*pair) for pair in ends))
            kept[place] = field[place]
        return kept

    def gram(self, x):
        """``L^H L x`` of an image."""
        axes = tuple(axis + x.ndim for axis in self.axes)
        return divergence(differences(x, axes), axes)

    def _multipliers(self):
        """u at the image's differences: ``(axes, *image_shape)``."""
        rows = [self.domain.image(self.domain_of(row)) for row in self.u]
        return self.problem.xp.stack(rows)

    def certificate(self, y):
        xp = self.problem.xp
        axes = tuple(axis + y.ndim for axis in self.axes)
        u, d = self._multipliers(), differences(y, axes)
        size = magnitude(d, self.prior.isotropic)
        value = self.prior.known_weight * xp.sum(size, dtype=np.float64)
        below = self.rho * xp.sum((u.conj() * d).real, dtype=np.float64)
        slope = self.problem.scalar(self.rho) * divergence(u, axes)
        return value, value - below, slope


class ProximalTerm(Term):
    """A prior that has a proximal operator, on x itself."""

    def __init__(self, prior, domain, problem):
        super().__init__(prior, domain, problem)
        self._prox = prior.start() if hasattr(prior, "start") else prior.prox

    @property
    def image(self):
        """What the proximal operator gave last: it lies in the prior's domain."""
        return self._argument(self.z)

    def inside(self, image):
        """An image rounded otherwise, inside the prior's domain again."""
        value = getattr(self.prior, "value", None)
        if callable(value) and not math.isfinite(float(value(image))):
            return self.prior.prox(image, self.problem.scalar(1 / self.rho))
        return image

    def _apply(self, x):
        """``L x``."""
        return x

    def _apply_adjoint(self, y):
        """``L^H y``."""
        return y

    def _argument(self, z):
        """What the prior gets of z."""
        return self.domain.image(z)

    def _proximal(self, v):
        z = v + 0
        found = self._prox(self._argument(v), self.problem.scalar(1 / self.rho))
        self.domain.put(z, found)
        return z

    def begin(self, x, unit):
        self.z = self._apply(x) + 0
        self.u = self.problem.xp.zeros_like(self.z)
        start = self._argument(self.z)
        size, value = float(self.problem.norm(start)), 0.0
        if callable(getattr(self.prior, "value", None)):
            value = float(self.prior.value(start))
        useful = 0 < value < math.inf and size > 0
        self.rho = value / size / size if useful else SHARE * (unit or 1.0)
        self.update(x, 0.0)

    def back(self):
        return self._apply_adjoint(self.z - self.u)

    def update(self, x, relax):
        scalar, norm = self.problem.scalar, self.problem.norm
        v = scalar(relax) * self._apply(x) + scalar(1 - relax) * self.z + self.u
        before = self.z, self.u
        self.z = self._proximal(v)
        self.u = v - self.z
        return norm(self.z - before[0]), norm(self.u - before[1])

    def gram(self, x):
        """``L^H L x`` of an image."""
        return self._apply_adjoint(self._apply(x))

    def certificate(self, y):
        p = self.problem.scalar(self.rho) * self._argument(self.u)
        w = self._apply(y)
        value, gap = bregman(self.problem, self.prior, w, self.image, p)
        return value, gap, self._apply_adjoint(p)


class AnalysisTerm(ProximalTerm):
    """A prior on ``L x`` for any linear operator L; the domain is the image."""

    def __init__(self, prior, op, domain, problem):
        super().__init__(prior, domain, problem)
        self.op = op

    def _apply(self, x):
        shape = (*self.problem.batch, *self.op.input_shape)
        return self.op.forward(x.reshape(shape)).astype(self.problem.dtype, copy=False)

    def _apply_adjoint(self, y):
        x = self.op.adjoint(y).reshape(self.domain.shape)
        return x.astype(self.problem.dtype, copy=False)

    def _argument(self, z):
        return z

    def _proximal(self, v):
        return self._prox(v, self.problem.scalar(1 / self.rho))


def bregman(problem, prior, w, z, p):
    """``(g(w), g(w) - g(z) - <p, w - z>)`` with p a subgradient at z.

    Where g(w) is infinite or not known, as outside a set, the value is that of z, and
    the gap a bound of what the distance from z to w can change.
    """
    xp = problem.xp
    value = getattr(prior, "value", None)
    at_w, at_z = (float(value(a)) if callable(value) else math.nan for a in (w, z))
    if not math.isfinite(at_w):
        known = at_z if math.isfinite(at_z) else 0.0
        return known, problem.norm(p) * problem.norm(w - z)
    slope = xp.sum((p.conj() * (w - z)).real, dtype=np.float64)
    return at_w, at_w - at_z - slope


def term_of(prior, domain, problem):
    """The term of a prior: as it says, or by its proximal operator."""
    make = getattr(prior, "term", None)
    if make is None:
        return ProximalTerm(prior, domain, problem)
    return make(domain, problem)
