"""The step of a splitting for layers of any kind: parts of periodic layers."""

import math

import scipy.fft

from ._border import BorderTerm
from ._domain import Domain
from ._frequencies import Waves, torus_layer
from ._frequency_steps import FrequencySteps, gram_of, multiply, multiply_adjoint
from ._terms import Term

SPLIT = 0.1  # penalties of data and border, in units of theirs


class TorusStep(FrequencySteps):
    """For layers, with weights or several: parts of periodic layers around the image.

    ``A = M C E``: E continues the image as the boundary says, C is periodic, M takes
    the outputs. The data are compared with a copy of C x, and with a boundary x is a
    copy of an image that E has made (Almeida and Figueiredo, IEEE Trans. Image Process.
    22, 2013, without E): what is left for each frequency is a small matrix.
    """

    def __init__(self, problem, parts):
        geometries = [part.layer.geometry for part in parts]
        before, after = (
            tuple(max(side) for side in zip(*(getattr(g, name) for g in geometries)))
            for name in ("before", "after")
        )
        g = geometries[0]
        size = tuple(
            scipy.fft.next_fast_len(p + n + q, real=True) if p + n + q > 1 else 1
            for p, n, q in zip(before, g.input, after)
        )
        shape = (math.prod(problem.batch), g.c_in, *size)
        box = [(p, p + n) for p, n in zip(before, g.input)]
        domain = Domain(shape, problem.shape, box, cyclic=True)
        transform = Waves(size, problem.xp, problem.dtype)
        data = [_DataTerm(domain, problem, part, transform, before) for part in parts]
        gram = sum(one.rho * gram_of(one.symbol) for one in data)
        super().__init__(problem, transform, domain, gram)
        self.unit /= SPLIT
        self._data = data
        for one in data:
            one.symbol = self.put(one.symbol)
        self._border = []  # at most one
        padded = [g for g in geometries if any(g.before) or any(g.after)]
        if padded:
            rho = SPLIT * self.unit
            border = before, after, padded[0].boundary, rho
            self._border.append(BorderTerm(domain, problem, *border))

    def begin(self):
        """A first x, with the mean of the data where there are none."""
        total = 0
        for one in self._data:
            part = self.problem.scalar(one.rho) * self._spectrum(one.filled())
            total = total + multiply_adjoint(self.problem.xp, one.symbol, part)
        return self._started(self._bordered(self._first(total)))

    def embed(self, image):
        """The array of the domain with that image."""
        x = self.problem.xp.zeros(self.domain.shape, self.problem.dtype)
        self.domain.put(x, image)
        return self._started(self._bordered(x))

    def _bordered(self, x):
        for border in self._border:
            x = border.projected(x)
        return x

    def _started(self, x):
        self._products(self._spectrum(x))
        for one in self._data:
            one.begin()
        for border in self._border:
            border.begin(x)
        self._x = x
        return x

    def _products(self, spectrum):
        """Tell the data's terms what C x is."""
        for one in self._data:
            product = multiply(self.problem.xp, one.symbol, spectrum)
            product = self.transform.backward(product).reshape(one.shape)
            one.product = product.astype(self.problem.dtype, copy=False)

    def solve(self, terms, x):
        """The minimizer."""
        xp, terms = self.problem.xp, [*terms, *self._border]
        spectrum = self._right(terms)
        for one in self._data:
            part = self._spectrum(one.z - one.u)
            part = multiply_adjoint(xp, one.symbol, part)
            spectrum = spectrum + self.problem.scalar(one.rho) * part
        spectrum = multiply(xp, self._inverse(terms), spectrum)
        self._products(spectrum)
        self._x = self._image(spectrum)
        return self._x

    def update(self, relax):
        """The copies of C x and of x."""
        for one in self._data:
            one.update(relax)
        for border in self._border:
            border.update(self._x, relax)


class _DataTerm(Term):
    """``||gain M v - b||^2 / 2`` with a copy v of C x."""

    def __init__(self, domain, problem, part, transform, before):
        super().__init__(None, domain, problem)
        xp, g = problem.xp, part.layer.geometry
        size = transform.size
        self.symbol = transform.symbol(torus_layer(part.layer, size))
        self.shape = (domain.shape[0], g.c_out, *size)
        first = [p - own for p, own in zip(before, g.before)]
        rows = zip(first, g.stride, g.output)
        self._place = (..., *(slice(f, f + s * (m - 1) + 1, s) for f, s, m in rows))
        b = part.data.reshape((self.shape[0], g.c_out, *g.output))
        self._b, size_of_gain = b.astype(problem.dtype, copy=False), 1.0
        self._gain = self._squared = None
        if part.gain is not None:
            gain = xp.asarray(part.gain)
            gain = gain.reshape((g.c_out, *g.output)) if gain.ndim else gain
            self._squared = (abs(gain) ** 2).astype(problem.real)
            largest = float(self._squared.max())
            size_of_gain = largest if largest > 0 else 1.0
            kind = problem.real if gain.dtype.kind != "c" else problem.dtype
            self._gain = gain.astype(kind)
            self._b = self._gain.conj() * self._b
        self.rho = SPLIT * size_of_gain
        self.z, self.u = (xp.zeros(self.shape, problem.dtype) for _ in range(2))
        self.product = self.z  # C x

    def filled(self):
        """Data without the gain, and their mean where there are none."""
        data = self.problem.xp.zeros(self.shape, self.problem.dtype)
        if self._gain is None:
            data += self._b.mean()
            data[self._place] = self._b
            return data
        known = self._squared != 0
        values = self._b / self.problem.xp.where(known, self._squared, 1)
        weights = (self._squared + 0 * abs(self._b)).sum()
        data += self._b.sum() / self.problem.xp.where(weights > 0, weights, 1)
        data[self._place] = self.problem.xp.where(known, values, data[self._place])
        return data

    def begin(self):
        """The first copy is C x, with the data."""
        self.z = self.product + 0
        self.update(0.0)

    def update(self, relax):
        scalar = self.problem.scalar
        v = scalar(1 - relax) * self.z
        v += scalar(relax) * self.product
        v += self.u
        at_data, rho = v[self._place], scalar(self.rho)
        whole = rho + (1 if self._squared is None else self._squared)
        near = (rho * at_data + self._b) / whole
        self.u[self._place] = at_data - near
        v[self._place] = near
        self.z = v
