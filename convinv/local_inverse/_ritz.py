"""Ends of the spectrum of preconditioned equations, by a few steps of Lanczos."""

import math

import numpy as np

from .._core.arrays import to_numpy
from .._core.random_vectors import unit_vector


def ritz_ends(prepared, op, steps, rng):
    """The smallest and largest Ritz value of ``M N`` after `steps` steps.

    Both lie within the spectrum. N, the matrix of the layer's equations with the
    preconditioner's damp, defines the inner product in which ``M N`` is Hermitian.
    """

    def equations(v):
        v = v.reshape(1, *op.input_shape)
        if prepared.equations == "hermitian":
            return op.apply(v).reshape(-1)
        w = op.apply_adjoint(op.apply(v)).reshape(-1)
        return w + prepared.damp**2 * v.reshape(-1)

    def precondition(w):
        return prepared.apply(w.reshape(1, *op.input_shape)).reshape(-1)

    return _lanczos(equations, precondition, _start(op, rng), steps)


def inverse_norm(prepared, steps, rng):
    """A lower bound of the norm of the preconditioner, the largest Ritz value."""

    def apply(w):
        return prepared.apply(w.reshape(1, *prepared.input_shape)).reshape(-1)

    return _lanczos(lambda v: v, apply, _start(prepared, rng), steps)[1]


def _lanczos(inner, apply, v, steps):
    """Ends of the Ritz values of ``apply(inner(v))``, symmetric in `inner`.

    The inner product is why no Golub-Kahan process serves: ``apply`` is known as a
    whole, not as a product of a matrix and its adjoint.
    """
    basis: list = []
    images: list = []
    matrix = np.zeros((steps, steps))
    for k in range(steps):
        w = inner(v)
        square = _dot(v, w)
        if not square > 0:  # the space is exhausted, or the matrix indefinite
            break
        length = math.sqrt(square)
        v, w = v / length, w / length
        basis.append(v)
        images.append(w)
        u = apply(w)
        for _ in range(2):  # orthogonal to rounding, in the inner product
            for j, (q, image) in enumerate(zip(basis, images)):
                part = _scalar(image, u)
                u = u - part * q
                matrix[j, k] += part.real
        size = math.sqrt(_dot(u, u))
        if size <= 1e-13 * math.sqrt(_dot(v, v)) * max(abs(matrix[k, k]), 1e-300):
            break
        v = u
    if not basis:
        raise ValueError("the layer's equations are not positive definite")
    n = len(basis)
    projected = np.triu(matrix[:n, :n])
    projected = projected + np.triu(projected, 1).T
    values = np.linalg.eigvalsh(projected)
    return float(values[0]), float(values[-1])


def slack(steps, n, condition, probability):
    """The part of the spectrum's width that Lanczos may miss at its end.

    Let the start be normal, with a standard deviation along one eigenvector that is at
    most `condition` times smaller than along others. Then the largest Ritz value of a
    matrix of order n is below the largest eigenvalue by more than ``slack`` of the
    width with at most `probability`. The proof uses Chebyshev's polynomial of degree
    ``steps - 1`` for the rest of the spectrum, which is at least
    ``exp(2 (steps - 1) sqrt(slack)) / 2`` at its end.
    """
    log = math.log(2 * math.sqrt(4 * n / math.pi) * condition / probability)
    for eps in np.linspace(0.01, 0.99, 99):
        reach = 2 * (steps - 1) * math.sqrt(eps)
        if log + 0.5 * math.log((1 - eps) / eps) <= reach:
            return float(eps)
    return 1.0


def steps_for(part, n, condition, probability):
    """The least number of steps whose `slack` is at most `part`."""
    steps = 1
    while slack(steps, n, condition, probability) > part:
        steps += 1
    return steps


def _start(op, rng):
    return op.xp.asarray(unit_vector(rng, op.shape[1], op.dtype))


def _scalar(a, b):
    return to_numpy((a.conj() * b).sum())[()]


def _dot(a, b):
    return float(_scalar(a, b).real)
