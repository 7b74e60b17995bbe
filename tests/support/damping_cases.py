"""Layers and data for the choice of damp, and the textbook formulas."""

import functools

import numpy as np
import pytest
from scipy import fft

from convinv import ConvLinearOperator
from convinv._regularize import damp_rule as damping

from .quiet import quietly

RULES = ["discrepancy", "gcv", "lcurve", "ncp"]
every_hybrid = pytest.mark.parametrize("small", [0, 256], ids=["hybrid", "exact"])
every_rule = pytest.mark.parametrize("rule", RULES)


def normal(rng, shape, dtype="float64"):
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = (values + 1j * rng.standard_normal(shape)) / np.sqrt(2)
    return values.astype(dtype)


def gaussian(radius, sigma):
    g = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.outer(g, g)[None, None] / g.sum() ** 2


def picture(shape):
    """Smooth, with edges: what a blur can be undone on."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    disc = (x**2 + y**2 < 0.5) * 1.0
    return (0.3 + 0.5 * disc + 0.2 * np.cos(3 * x) * (np.abs(y) < 0.7))[None]


def blur(boundary, size=(8, 9), sigma=1.0):
    return ConvLinearOperator(
        gaussian(3, sigma), (1, *size), padding=3, boundary=boundary
    )


def layer(shape, size, dtype="float64", **options):
    kernel = normal(np.random.default_rng(1), shape, dtype)
    return ConvLinearOperator(kernel, size, **options)


def decompose(monkeypatch, small):
    """Decompose matrices up to a size; with 0 neither these nor separable kernels."""
    monkeypatch.setattr(damping, "DENSE", small)
    if not small:
        monkeypatch.setattr(damping, "closed_form", lambda layer: None)


def disc(size):
    """A blur that is even and not separable, sharper than the others."""
    y, x = np.mgrid[-2:3, -2:3]
    kernel = np.clip(2.5 - np.hypot(x, y), 0, 1) + 4 * (np.hypot(x, y) == 0)
    kernel = kernel[None, None] / kernel.sum()
    return ConvLinearOperator(kernel, (1, *size), padding=2, boundary="symmetric")


def even(shape, size, dtype="float64"):
    """A layer that the cosine transform takes apart."""
    kernel = normal(np.random.default_rng(1), shape, dtype)
    for axis in range(2, len(shape)):
        kernel = kernel + np.flip(kernel, axis)
    return ConvLinearOperator(kernel, size, padding="same", boundary="symmetric")


def separable(dtype="float64"):
    """Two groups of a tall layer with a stride."""
    rng = np.random.default_rng(1)
    filters, down, across = (
        normal(rng, (2, *shape), dtype) for shape in ((2, 1, 1, 1), (3, 1), (1, 2))
    )
    kernel = (filters * down[:, None, None] * across[:, None, None]).reshape(4, 1, 3, 2)
    return ConvLinearOperator(kernel, (2, 6, 5), groups=2, stride=(1, 2), padding=1)


# name: (operator, whether it is invariant under shifts of a torus)
LAYERS = {
    "blur on a torus": (lambda: blur("periodic"), True),
    "over, strided": (
        lambda: layer(
            (5, 1, 3, 3), (1, 6, 8), stride=2, padding=1, boundary="periodic"
        ),
        True,
    ),
    "under, groups": (
        lambda: layer(
            (2, 2, 3, 2), (4, 4, 5), padding="same", groups=2, boundary="periodic"
        ),
        True,
    ),
    "complex": (
        lambda: layer((3, 2, 3), (2, 20), "complex128", padding=1, boundary="periodic"),
        True,
    ),
    "3-D": (
        lambda: layer(
            (2, 1, 2, 3, 2), (1, 3, 4, 4), padding="same", boundary="periodic"
        ),
        True,
    ),
    "blur": (lambda: blur("reflect"), False),
    "disc": (lambda: disc((8, 9)), False),
    "even, complex": (lambda: even((1, 2, 3), (2, 20), "complex128"), False),
    "separable": (lambda: separable(), False),
    "separable, complex": (lambda: separable("complex128"), False),
    "over": (lambda: layer((4, 1, 3, 3), (1, 7, 6)), False),
    "under": (lambda: layer((1, 2, 3, 3), (2, 5, 6), padding=1), False),
    "complex border": (lambda: layer((2, 1, 4), (1, 30), "complex128"), False),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def data(op, noise, dtype=None, seed=0, batch=None):
    """A smooth input seen through op with noise, and the level of that noise."""
    rng = np.random.default_rng(seed)
    shape = op.input_shape if batch is None else (batch, *op.input_shape)
    axes = tuple(range(-(len(op.input_shape) - 1), 0))
    x = normal(rng, shape, dtype or op.dtype)
    x = sum(np.roll(x, (i,) * len(axes), axes) for i in range(3))
    clean = op.forward(x)
    level = noise * np.sqrt(np.mean(np.abs(clean) ** 2))
    e = normal(rng, clean.shape, clean.dtype)
    return clean + level * e.astype(clean.dtype), level


class Dense:
    """The textbook formulas, from the matrix."""

    def __init__(self, op, b, torus):
        conv = isinstance(op, ConvLinearOperator)
        self.A = op.astype(np.result_type(op.dtype, float)).todense() if conv else op
        self.b = b.reshape(-1, self.A.shape[0]).T
        self.shape = getattr(op, "output_shape", None)
        self.torus, (self.m, self.n) = torus, self.A.shape
        self.norm = np.linalg.norm(self.A, 2)

    @functools.cache
    def solve(self, damp):
        gram = self.A.conj().T @ self.A + damp**2 * np.eye(self.n)
        return np.linalg.solve(gram, self.A.conj().T)

    def residual(self, damp):
        return self.b - self.A @ (self.solve(damp) @ self.b)

    def residual_norm(self, damp):
        return np.linalg.norm(self.residual(damp))

    def solution_norm(self, damp):
        return np.linalg.norm(self.solve(damp) @ self.b)

    def gcv(self, damp):
        trace = np.trace(np.eye(self.m) - self.A @ self.solve(damp)).real
        return self.residual_norm(damp) ** 2 / trace**2 * self.m / self.b.shape[1]

    def lcurve(self, damp):
        """The curvature by differences."""
        t = np.log(damp) + 1e-3 * np.arange(-2, 3)
        u = np.log([self.residual_norm(d) for d in np.exp(t)])
        v = np.log([self.solution_norm(d) for d in np.exp(t)])
        first = np.array([1, -8, 0, 8, -1]) / 12e-3
        second = np.array([-1, 16, -30, 16, -1]) / 12e-6
        u1, v1, u2, v2 = first @ u, first @ v, second @ u, second @ v
        return (u1 * v2 - u2 * v1) / np.hypot(u1, v1) ** 3

    def ncp(self, damp):
        images = self.residual(damp).T.reshape(-1, *self.shape)
        axes = tuple(range(2, images.ndim))
        spatial = images.shape[2:]
        if self.torus:
            parts = np.fft.fftn(images, axes=axes)
            sizes = [np.fft.fftfreq(n) for n in spatial]
        else:
            parts = fft.dctn(images, axes=axes, norm="ortho")
            sizes = [np.arange(n) / n for n in spatial]
        power = np.sum(np.abs(parts) ** 2, axis=(0, 1)).ravel()
        size = sum(s**2 for s in np.meshgrid(*sizes, indexing="ij")).ravel().round(10)
        power, size = power[1:], size[1:]
        upto = np.array([power[size <= s].sum() / power.sum() for s in size])
        white = np.array([np.mean(size <= s) for s in size])
        return np.sqrt(np.mean((upto - white) ** 2))

    def discrepancy(self, damp, level):
        return self.residual_norm(damp) - level * np.sqrt(self.b.size)

    def criterion(self, rule, damp, level):
        if rule == "discrepancy":
            return self.discrepancy(damp, level)
        return getattr(self, rule)(damp)


def chosen(op, b, rule, level=None, method="lsqr", **options):
    """The result of a solve that need not converge."""
    level = level if rule == "discrepancy" else None
    return quietly(op, b, method, damp=rule, noise_level=level, maxiter=5, **options)
