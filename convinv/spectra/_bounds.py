"""Bounds of the largest and smallest singular value of any layer, from products."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .._core.random_vectors import unit_vector

STEPS = 100
EPS = 2.0**-52
MEMORY = 2**26  # entries of the basis, at most, for the default number of steps


@dataclass(frozen=True)
class Estimate:
    """A number, its error, and its kind.

    Attributes
    ----------
    value : float
    error : float
        For an exact value, the size of rounding errors. For a bound, a distance within
        which some singular value certainly lies (usually the bounded one, but this is
        not proven).
    kind : {"exact", "lower bound", "upper bound"}
        Relation of `value` to the true number.
    """

    value: float
    error: float
    kind: str

    def _times(self, factor):
        """The estimate in other units."""
        return Estimate(self.value * factor, self.error * factor, self.kind)

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        if self.kind == "exact":
            return f"{self.value:.4g}"
        near = f"a singular value within {self.error:.1g}"
        return f"{self.value:.4g} ({self.kind}, {near})"


def extreme_singular_values(op, steps=None, rng=None):
    """Bounds of the largest singular value and of the smallest of ``min(m, n)``.

    Golub-Kahan bidiagonalization ``A V = U B``, ``A^H U = V B^H + beta v e^H`` from a
    random start, in the shorter of the two spaces, where the basis V is
    reorthogonalized at every step (Golub and Kahan 1965; Simon and Zha 2000). For a
    singular triple ``(p, theta, q)`` of B, theta lies between the ends, and
    ``beta |p_k| / sqrt(2)``, the residual of an eigenvector of ``[0, A; A^H, 0]``,
    bounds its distance from a singular value of A.

    The other bidiagonalizations start from data: `solvers._bidiagonal` keeps no basis
    and takes a preconditioner, `_regularize.hybrid_lsqr` keeps one for every item of a
    batch, on its device, and the lower bidiagonal factor that residuals come from.
    """
    n = min(op.shape)
    if steps is None:
        steps = min(STEPS, max(MEMORY // n, 10))
    steps = min(steps, n)
    forward, backward, shape = op.apply, op.apply_adjoint, op.input_shape
    if op.shape[0] < op.shape[1]:
        forward, backward, shape = backward, forward, op.output_shape
    other = op.output_shape if shape is op.input_shape else op.input_shape
    v = unit_vector(np.random.default_rng(rng), n, op.dtype)
    basis = np.empty((steps, n), op.dtype)
    alpha, beta, u, length, size = [], [], 0.0, 0.0, 0.0
    for k in range(steps):
        if k:
            beta.append(length)
        basis[k] = v
        u = forward(v.reshape(1, *shape)).reshape(-1) - length * u
        alpha.append(float(np.linalg.norm(u)))
        size = max(size, alpha[-1])
        if alpha[-1] <= n * EPS * size:  # the space is exhausted
            alpha[-1] = length = 0.0
            break
        u = u / alpha[-1]
        v = backward(u.reshape(1, *other)).reshape(-1) - alpha[-1] * v
        for _ in range(2):
            v = v - basis[: k + 1].T @ (basis[: k + 1].conj() @ v)
        length = float(np.linalg.norm(v))
        if length <= n * EPS * size:
            length = 0.0
            break
        v = v / length
    left, theta, _ = np.linalg.svd(np.diag(alpha) + np.diag(beta, 1))
    error = length * np.abs(left[-1]) / math.sqrt(2) + n * EPS * size
    return (
        Estimate(float(theta[0]), float(error[0]), "lower bound"),
        Estimate(float(theta[-1]), float(error[-1]), "upper bound"),
    )
