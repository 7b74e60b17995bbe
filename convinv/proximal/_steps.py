"""The step of a splitting that fits the data, by the cheapest way that an operator has.

It minimizes over x ``||A x - b||^2 / 2 + sum_i rho_i / 2 ||L_i x - z_i + u_i||^2``.
Each class has its `domain`, ``begin()`` and ``solve(terms, x)``, which return x,
``update(relax)`` for copies of its own, and `unit`, the size of ``A^H A``.
"""

import math

import numpy as np
import scipy.fft

from .._closed_forms.cosine import cosine_type
from .._core.boundaries import padded_index
from .._core.random_vectors import standard_normal
from ..operators._polyphase import Polyphase
from ._domain import Domain
from ._frequencies import Cosines, Waves, torus_layer
from ._terms import DifferenceTerm, Term

START = 1e-2  # of the first x: the weight of its differences in units of A^H A
SPLIT = 0.1  # first penalties of data and border, in units of theirs
EPS = float(np.finfo(float).eps)
REDUCTION, MOST = 0.1, 20  # of the residual in a step by conjugate gradients


def choose(problem, priors):
    """The step for an operator and priors."""
    op = problem.op
    plain = op.is_convolution and problem.shape == (*problem.batch, *op.input_shape)
    if not plain or not all(_commutes(p, problem) for p in priors):
        return GradientStep(problem)
    g = op.geometry
    if (cosine_type(op) or (0,))[0] == 2:
        return ExactStep(problem, Cosines(g.input, problem.xp, problem.real))
    if Polyphase(g).is_torus and math.prod(g.stride) == 1:
        return ExactStep(problem, Waves(g.input, problem.xp, problem.dtype))
    return TorusStep(problem)


def _commutes(prior, problem):
    """Whether a prior is on x itself, or on differences along spatial axes."""
    axes = getattr(prior, "axes", ())
    if hasattr(prior, "operator"):
        return False
    axes = (axes,) if isinstance(axes, (int, np.integer)) else axes
    spatial = problem.op.geometry.ndim
    ndim = len(problem.shape)
    return all(axis % ndim >= ndim - spatial for axis in axes)


class _Frequencies:
    """What the steps share that invert a small matrix at every frequency."""

    by_transforms = True

    def __init__(self, problem, transform, layer, domain):
        self.problem, self.transform, self.domain = problem, transform, domain
        self._key = None
        host = transform.symbol(layer)
        self._symbol = self._put(host)
        gram = np.einsum("gfp...,gfq...->gpq...", host.conj(), host)
        self._gram = self._put(gram)
        trace = np.einsum("gpp...->g...", gram).real
        self.unit = float(trace.max())

    def _put(self, matrices):
        """Matrices of the host, in the working precision, on the device."""
        kind = self.problem.real
        if matrices.dtype.kind == "c":
            kind = np.result_type(kind, np.complex64)
        return self.problem.xp.asarray(matrices.astype(kind))

    def _spectrum(self, data):
        """The transform of ``(B, channels, *size)``, with an axis of groups."""
        groups = self._symbol.shape[0]
        size = self.transform.size
        data = data.reshape((len(data), groups, -1, *size))
        return self.transform.forward(data)

    def _adjoint(self, spectrum):
        """``A^H`` of the transform of data."""
        if self._symbol.shape[1:3] == (1, 1):
            return self._symbol.conj()[:, 0] * spectrum
        return self.problem.xp.einsum(
            "gfp...,bgf...->bgp...", self._symbol.conj(), spectrum
        )

    def _forward(self, spectrum):
        """A of the transform of unknowns."""
        return _multiply(self.problem.xp, self._symbol, spectrum)

    def _inverse(self, terms, data_weight=1.0):
        """The inverse of the quadratic form at every frequency, kept while it stays."""
        key = (data_weight, *(term.rho for term in terms))
        if key != self._key:
            total = np.zeros(self.transform.bins)
            for term in terms:
                if isinstance(term, DifferenceTerm):
                    total = total + term.rho * self.transform.squares(term.axes)
                else:
                    total = total + term.rho
            self._inverted = self._invert(data_weight, total)
            self._key = key
        return self._inverted

    def _invert(self, weight, shift):
        xp, channels = self.problem.xp, self._gram.shape[1]
        shift = xp.asarray(shift.astype(self.problem.real))
        weight = self.problem.scalar(weight)
        if channels == 1:
            total = weight * self._gram + shift
            nothing = abs(total) <= EPS * weight * self.unit
            return xp.where(nothing, 0, 1 / xp.where(nothing, 1, total))
        eye = xp.eye(channels, dtype=self.problem.real)
        least = self.problem.scalar(EPS * self.unit)
        total = xp.moveaxis(weight * self._gram, (1, 2), (-2, -1))
        total = total + (shift + least)[..., None, None] * eye
        return xp.moveaxis(xp.linalg.inv(total), (-2, -1), (1, 2))

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
        inverse = self._invert(1.0, shift)
        return self._image(_multiply(self.problem.xp, inverse, spectrum))


class ExactStep(_Frequencies):
    """For layers that a transform diagonalizes, as it does differences: exact."""

    def __init__(self, problem, transform):
        g = problem.op.geometry
        shape = (math.prod(problem.batch), g.c_in, *g.input)
        cyclic = isinstance(transform, Waves)
        domain = Domain(shape, problem.shape, cyclic=cyclic)
        super().__init__(problem, transform, problem.op, domain)
        data = problem.b.reshape((shape[0], g.c_out, *g.output))
        self._data = self._adjoint(self._spectrum(data))

    def begin(self):
        """A first x."""
        return self._first(self._data)

    def solve(self, terms, x):
        """The minimizer."""
        inverse = self._inverse(terms)
        spectrum = self._right(terms) + self._data
        return self._image(_multiply(self.problem.xp, inverse, spectrum))

    def embed(self, image):
        """The array of the domain with that image."""
        return image.reshape(self.domain.shape)

    def update(self, relax):
        """It has no copies of its own."""


class TorusStep(_Frequencies):
    """For other layers: parts of a periodic layer on a torus around the image.

    ``A = M C E``: E continues the image as the boundary says, C is periodic, M takes
    the outputs. The data are compared with a copy of C x, and with a boundary x is a
    copy of an image that E has made (Almeida and Figueiredo, IEEE Trans. Image Process.
    22, 2013, without E): what is left for each frequency is a small matrix.
    """

    def __init__(self, problem):
        g = problem.op.geometry
        size = tuple(
            scipy.fft.next_fast_len(n, real=True) if n > 1 else 1 for n in g.padded
        )
        shape = (math.prod(problem.batch), g.c_in, *size)
        box = [(p, p + n) for p, n in zip(g.before, g.input)]
        domain = Domain(shape, problem.shape, box, cyclic=True)
        transform = Waves(size, problem.xp, problem.dtype)
        layer = torus_layer(problem.op, size)
        super().__init__(problem, transform, layer, domain)
        self.data = _DataTerm(domain, problem, size)
        self.border = []  # at most one
        if any(g.before) or any(g.after):
            self.border.append(_BorderTerm(domain, problem, g, self.unit))

    def begin(self):
        """A first x, with the mean of the data where there are none."""
        x = self._first(self._adjoint(self._spectrum(self.data.filled())))
        for border in self.border:
            x = border.projected(x)
        return self._started(x)

    def embed(self, image):
        """The array of the domain with that image."""
        x = self.problem.xp.zeros(self.domain.shape, self.problem.dtype)
        self.domain.put(x, image)
        for border in self.border:
            x = border.projected(x)
        return self._started(x)

    def _started(self, x):
        self._products(self._spectrum(x))
        self.data.begin()
        for border in self.border:
            border.begin(x)
        self._x = x
        return x

    def _products(self, spectrum):
        """Tell the data's term what C x is."""
        cx = self.transform.backward(self._forward(spectrum))
        self.data.product = cx.reshape(self.data.shape).astype(
            self.problem.dtype, copy=False
        )

    def solve(self, terms, x):
        """The minimizer."""
        terms = [*terms, *self.border]
        inverse = self._inverse(terms, self.data.rho)
        spectrum = self._right(terms)
        given = self._spectrum(self.data.z - self.data.u)
        spectrum = spectrum + self.problem.scalar(self.data.rho) * self._adjoint(given)
        spectrum = _multiply(self.problem.xp, inverse, spectrum)
        self._products(spectrum)
        self._x = self._image(spectrum)
        return self._x

    def update(self, relax):
        """The copies of C x and of x."""
        self.data.update(relax)
        for border in self.border:
            border.update(self._x, relax)


class _DataTerm(Term):
    """``||M v - b||^2 / 2`` with a copy v of C x."""

    def __init__(self, domain, problem, size):
        super().__init__(None, domain, problem)
        xp, g = problem.xp, problem.op.geometry
        self.shape = (domain.shape[0], g.c_out, *size)
        self._place = (..., *(slice(0, s * (m - 1) + 1, s)
                              for s, m in zip(g.stride, g.output)))  # fmt: skip
        self.b = problem.b.reshape((self.shape[0], g.c_out, *g.output))
        self.z, self.u = (xp.zeros(self.shape, problem.dtype) for _ in range(2))
        self.rho = SPLIT
        self.product = self.z  # C x

    def filled(self):
        """The data, and their mean elsewhere."""
        data = self.problem.xp.zeros(self.shape, self.problem.dtype)
        data += self.b.mean()
        data[self._place] = self.b
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
        at_data = v[self._place]
        near = (scalar(self.rho) * at_data + self.b) / scalar(1 + self.rho)
        self.u[self._place] = at_data - near
        v[self._place] = near
        self.z = v


class _BorderTerm(Term):
    """x is what the boundary makes of an image: a projection along each axis."""

    def __init__(self, domain, problem, g, unit):
        super().__init__(None, domain, problem)
        self.rho = SPLIT * unit
        self._folds = [
            _Fold(axis - 3, n, p, q, g.boundary, problem)
            for axis, (n, p, q) in enumerate(zip(g.input, g.before, g.after))
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
        r = problem.atb - self._normal(terms, x)
        for term in terms:
            r = r + problem.scalar(term.rho) * term.back()
        precondition = _preconditioner(self, terms)
        first = old = p = None
        for _ in range(MOST):
            s = precondition(r)
            size = xp.sum((r.conj() * s).real)
            first = size if first is None else first
            if not bool(size > REDUCTION**2 * first * (0 if p is None else 1)):
                break
            p = s if p is None else s + (size / old) * p
            q = self._normal(terms, p)
            curvature = xp.sum((p.conj() * q).real)
            if not bool(curvature > 0):
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


def _multiply(xp, matrices, v):
    """Matrices ``(groups, p, q, *bins)`` times vectors ``(B, groups, q, *bins)``."""
    if matrices.shape[1:3] == (1, 1):
        return matrices[:, 0] * v
    return xp.einsum("gpq...,bgq...->bgp...", matrices, v)
