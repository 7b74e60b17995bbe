"""What lies beyond the border of an image on a torus, as its boundary says."""

import math

import numpy as np

from .._core.boundaries import padded_index
from ._terms import Term


class BorderTerm(Term):
    """x is what the boundary makes of an image: a projection along each axis."""

    def __init__(self, domain, problem, before, after, boundary, rho):
        super().__init__(None, domain, problem)
        self.rho = rho
        sizes = [end - first for first, end in domain.box]
        self._folds = [
            _Fold(axis - 3, n, p, q, boundary, problem)
            for axis, (n, p, q) in enumerate(zip(sizes, before, after))
            if p or q
        ]
        self.u = problem.xp.zeros(domain.shape, problem.dtype)

    def projected(self, x):
        """The nearest array that the boundary makes of an image."""
        x = x + 0
        for fold in self._folds:
            fold.project(x)
        return x

    def begin(self, x):
        """The first copy is x, which is such an array."""
        self.z = x + 0

    def back(self):
        return self.z - self.u

    def update(self, x, relax):
        scalar = self.problem.scalar
        v = scalar(1 - relax) * self.z
        v += scalar(relax) * x
        v += self.u
        self.z = self.projected(v)
        v -= self.z
        self.u = v


class _Fold:
    """The projection along one axis: all copies of a sample become their mean.

    Only samples outside the image and those that they are copies of change.
    """

    def __init__(self, axis, n, before, after, boundary, problem):
        source = padded_index(n, before, after, boundary)
        outside = np.ones(source.size, bool)
        outside[before : before + n] = False
        inside = np.unique(source[outside & (source >= 0)]) + before
        places = np.concatenate([np.flatnonzero(outside), inside])
        same = (source[places, None] == source[places]) & (source[places] >= 0)
        mean = same / np.maximum(same.sum(axis=1, keepdims=True), 1)
        where = problem.xp.asarray(places)
        self._axis, self._at = axis, (..., where, *(slice(None),) * (-axis - 1))
        self._mean = problem.xp.asarray(mean.astype(problem.real))

    def project(self, x):
        """In place."""
        part = x[self._at]
        if self._axis == -1:
            x[self._at] = part @ self._mean.T
            return
        shape = part.shape
        columns = math.prod(shape[len(shape) + self._axis + 1 :])
        part = part.reshape((-1, self._mean.shape[0], columns))
        x[self._at] = (self._mean @ part).reshape(shape)
