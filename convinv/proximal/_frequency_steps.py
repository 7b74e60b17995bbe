"""Steps of a splitting that invert a small matrix at every frequency."""

import math

import numpy as np

from ._domain import Domain
from ._frequencies import Waves
from ._terms import DifferenceTerm

START = 1e-2  # of the first x: the weight of its differences in units of A^H A
EPS = float(np.finfo(float).eps)
RCOND = 1e-10  # of pseudoinverses: eigenvalues that count as zero


class FrequencySteps:
    """What the steps share that invert a small matrix at every frequency."""

    by_transforms = True

    def __init__(self, problem, transform, domain, gram):
        self.problem, self.transform, self.domain = problem, transform, domain
        self._key = None
        self._gram = gram
        self._groups = gram.shape[0]
        self.unit = float(np.einsum("gpp...->g...", gram).real.max())

    def put(self, matrices):
        """Matrices of the host, in the working precision, on the device."""
        kind = self.problem.real
        if matrices.dtype.kind == "c":
            kind = np.result_type(kind, np.complex64)
        return self.problem.xp.asarray(matrices.astype(kind))

    def _spectrum(self, data):
        """The transform of ``(B, channels, *size)``, with an axis of groups."""
        size = self.transform.size
        data = data.reshape((len(data), self._groups, -1, *size))
        return self.transform.forward(data)

    def _inverse(self, terms):
        """The inverse of the quadratic form at every frequency, kept while it stays."""
        key = tuple(term.rho for term in terms)
        if key != self._key:
            total = np.zeros(self.transform.bins)
            for term in terms:
                if isinstance(term, DifferenceTerm):
                    total = total + term.rho * self.transform.squares(term.axes)
                else:
                    total = total + term.rho
            self._inverted = self._invert(total)
            self._key = key
        return self._inverted

    def _invert(self, shift):
        """On the host, in double precision; pseudoinverses where nothing is added."""
        channels = self._gram.shape[1]
        if channels == 1:
            total = self._gram + shift
            nothing = abs(total) <= EPS * self.unit
            return self.put(np.where(nothing, 0, 1 / np.where(nothing, 1, total)))
        gram = np.moveaxis(self._gram, (1, 2), (-2, -1))
        alone = shift <= EPS * self.unit
        total = gram + np.where(alone, self.unit, shift)[..., None, None] * np.eye(
            channels
        )
        inverse = np.linalg.inv(total)
        inverse[:, alone] = np.linalg.pinv(gram[:, alone], RCOND, hermitian=True)
        return self.put(np.moveaxis(inverse, (-2, -1), (1, 2)))

    def decrease(self, terms, slope):
        """About what a step against a slope, an image, lowers the objective by."""
        x = self.problem.xp.zeros(self.domain.shape, self.problem.dtype)
        self.domain.put(x, slope)
        spectrum = multiply(self.problem.xp, self._form(terms), self._spectrum(x))
        step = self.domain.image(self._image(spectrum))
        product = self.problem.xp.sum((slope.conj() * step).real, dtype=np.float64)
        return float(product)

    def _form(self, terms):
        """The inverse of the quadratic form without the copies of a step."""
        return self._inverse(terms)

    def _image(self, spectrum):
        """From a spectrum of unknowns to the domain."""
        x = self.transform.backward(spectrum)
        return x.reshape(self.domain.shape).astype(self.problem.dtype, copy=False)

    def _right(self, terms):
        """The transform of ``sum rho L^H (z - u)``."""
        parts = [self.problem.scalar(term.rho) * term.back() for term in terms]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return self._spectrum(total.reshape((-1, *self.domain.shape[1:])))

    def _first(self, spectrum):
        """A first x: the least-squares solution with a small weight of differences."""
        axes = [axis for axis in (-3, -2, -1) if self.transform.size[axis] > 1]
        shift = START * self.unit * self.transform.squares(axes)
        inverse = self._invert(shift)
        return self._image(multiply(self.problem.xp, inverse, spectrum))


class ExactStep(FrequencySteps):
    """For layers that a transform diagonalizes, as it does differences: exact."""

    def __init__(self, problem, transform):
        g = problem.op.geometry
        shape = (math.prod(problem.batch), g.c_in, *g.input)
        cyclic = isinstance(transform, Waves)
        domain = Domain(shape, problem.shape, cyclic=cyclic)
        symbol = transform.symbol(problem.op)
        super().__init__(problem, transform, domain, gram_of(symbol))
        data = problem.b.reshape((shape[0], g.c_out, *g.output))
        symbol = self.put(symbol)
        self._data = multiply_adjoint(problem.xp, symbol, self._spectrum(data))

    def begin(self):
        """A first x."""
        return self._first(self._data)

    def solve(self, terms, x):
        """The minimizer."""
        inverse = self._inverse(terms)
        spectrum = self._right(terms) + self._data
        return self._image(multiply(self.problem.xp, inverse, spectrum))

    def embed(self, image):
        """The array of the domain with that image."""
        return image.reshape(self.domain.shape)

    def update(self, relax):
        """It has no copies of its own."""


def gram_of(symbol):
    """``A^H A`` from the matrices ``(groups, filters, channels, *bins)`` of A."""
    return np.einsum("gfp...,gfq...->gpq...", symbol.conj(), symbol)


def multiply(xp, matrices, v):
    """Matrices ``(groups, p, q, *bins)`` times vectors ``(B, groups, q, *bins)``."""
    if matrices.shape[1:3] == (1, 1):
        return matrices[:, 0] * v
    return xp.einsum("gpq...,bgq...->bgp...", matrices, v)


def multiply_adjoint(xp, matrices, v):
    """The same with the adjoints of the matrices."""
    if matrices.shape[1:3] == (1, 1):
        return matrices.conj()[:, 0] * v
    return xp.einsum("gfp...,bgf...->bgp...", matrices.conj(), v)
