"""The problem of methods for counts: the Poisson likelihood, and the verdict on x."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import kernels
from .._core.arrays import to_numpy
from .problem import Problem
from .total_variation import SmoothTotalVariation

AIM = 0.9  # methods aim a little lower, since products drift
ROUNDINGS = 100  # of the largest sensitivity, below which nothing is seen
DARK = 1e-2  # of the data, the least part that a flat start explains
SLACK = 1e-6  # of the deviance, what rounding may add
ROUNDED = 16  # roundings of x in its dtype that its distance may contain
DEVIANCE = 1.0  # per datum, at which "discrepancy" stops


class PoissonProblem(Problem):
    r"""Minimize ``sum_i w_i (u_i - b_i log u_i) + tv TV(x)`` over ``x >= 0``.

    Here ``u = A x + background``. Up to the terms of `tv` that is the Kullback-Leibler
    divergence from b to u, and the negative logarithm of the likelihood of counts b
    whose means are u. `solve` has scaled A and b by powers of two.

    Parameters
    ----------
    op : ShapedOperator
        The operator, scaled, without negative entries.
    b : array, shape (B, m)
        The data, scaled, not negative where their weight is not zero.
    weights : array, shape (B, m) or (1, m), optional
        Of each datum, 0 where it does not count.
    background : array, shape (1, m) or (B, m)
        In the units of b.
    tv : float
        The weight of the total variation, in the units of A.
    stopping : {"change", "discrepancy", None}
        What the distance is that `look` tells.
    rtol, maxiter, kernel_scale, x_scale
        As for `Problem`.

    Attributes
    ----------
    counts : array, shape (B, m)
        ``w b``.
    sensitivity : array, shape (B, n) or (1, n)
        ``A^H w``, by which an unknown is seen.
    level : array, shape (B,)
        The value of a flat x that explains as many counts as there are.
    """

    def __init__(
        self, op, b, *, weights, background, tv, stopping, rtol, maxiter, units
    ):
        super().__init__(
            op,
            b,
            origin=None,
            damp=0.0,
            kernel_scale=units.operator_scale,
            x_scale=units.x_scale,
            preconditioner=None,
            maxiter=maxiter,
            rng=None,
            rtol=rtol,
        )
        xp = self.xp
        self.steps = kernels.load("poisson", xp)
        self.weights, self.stopping = weights, stopping
        self.counts = b
        if weights is not None:
            self.counts = xp.where(weights > 0, weights * b, xp.zeros_like(b))
        self.background = background
        ones = xp.ones_like(b[:1, :]) if weights is None else weights
        self.data = self._sum(ones)
        self.sensitivity = self.adjoint(ones)
        self.total = self._sum(self.sensitivity)
        self.inverse = self._inverse(self.sensitivity)
        self.level = self._level(ones)
        self.zero = xp.zeros_like(self.level)
        self.tv = SmoothTotalVariation(self, tv) if tv else None

    def _inverse(self, scale):
        """The inverse of a scale; 0 where it is nothing but rounding."""
        xp, eps = self.xp, float(self.xp.finfo(self.b.dtype).eps)
        largest = xp.max(scale, axis=1, keepdims=True)
        seen = scale > ROUNDINGS * eps * largest
        found = 1 / xp.where(seen, scale, xp.ones_like(scale))
        return xp.where(seen, found, xp.zeros_like(scale))

    def _sum(self, array):
        return self.xp.sum(array, axis=1, dtype=self.xp.float64)

    def _level(self, ones):
        """The flat start, from the counts that the background leaves."""
        xp = self.xp
        counts = self._sum(self.counts)
        rest = counts - self._sum(ones * self.background)
        total = xp.where(self.total > 0, self.total, xp.ones_like(self.total))
        return xp.maximum(rest, DARK * counts) / total

    def narrowed(self, op, kind):
        """The same problem in another precision, with `op` in it."""
        found = copy.copy(self)
        cast = lambda a: None if a is None else self.xp.astype(a, kind)  # noqa: E731
        found.op = op
        for name in ("b", "counts", "weights", "background", "sensitivity"):
            setattr(found, name, cast(getattr(self, name)))
        found.inverse = found._inverse(found.sensitivity)
        if self.tv is not None:
            found.tv = SmoothTotalVariation(found, self.tv.weight)
        return found

    def flat(self):
        """The start: ``level`` everywhere."""
        xp = self.xp
        level = xp.astype(self.level, self.b.dtype)[:, None]
        return level + self.zeros(self.shape[1])

    def means(self, x, u=None, q=None):
        """``u = A x + background`` above zero and ``w b / u``; `u` and `q` are reused.

        A datum that is zero has no part in it, and others keep u away from zero; but
        products by FFT have roundings of both signs.
        """
        u = self.forward(x, out=u)
        q = self.xp.empty_like(u) if q is None else q
        return self.steps.quotient(u, self.background, self.counts, q)

    def look(self, x, u, q, out=None):
        """``(g, inverse, distance)`` at x: the gradient, written to `out`, and more.

        `inverse` is that of the part of the gradient that grows x, which is the
        sensitivity and the positive part of what the total variation adds: a
        Richardson-Lucy step is ``x - x g * inverse``. The distance, (B,), is what is to
        fall to `goal`.
        """
        xp, inverse = self.xp, self.inverse
        back = self.adjoint(q, out=out)
        if self.tv is not None:
            more, rising = self.tv.gradient(x)
            inverse = self._inverse(self.sensitivity + rising)
            back -= more
        reach = self.level if self.stopping is None else self.zero
        g, far, size = self.steps.gradient(back, self.sensitivity, x, inverse, reach)
        if self.stopping == "discrepancy":
            return g, inverse, self.deviance(u)
        size = xp.where(size > 0, size, xp.ones_like(size))
        return g, inverse, xp.sqrt(far / size)

    @property
    def goal(self):
        """The distance at which x is a solution."""
        return DEVIANCE if self.stopping == "discrepancy" else self.rtol

    def deviance(self, u):
        """``2 sum w (b log(b / u) - b + u)`` of each item, by the sum of w."""
        xp, one = self.xp, self.xp.ones_like(u)
        some = self.counts > 0
        ratio = xp.where(some, self.b, one) / xp.where(some, u, one)
        terms = self.counts * xp.log(ratio) - self.counts
        terms = terms + (u if self.weights is None else self.weights * u)
        data = xp.where(self.data > 0, self.data, xp.ones_like(self.data))
        return 2 * self._sum(terms) / data

    def check(self, x, eps=0.0) -> PoissonCheck:
        """The verdict on x, from products of its own.

        With `eps`, x is a solution rounded to a dtype of that precision.
        """
        u, q = self.means(x)
        g, _, distance = self.look(x, u, q)
        distance, deviance = to_numpy(distance), to_numpy(self.deviance(u))
        rest = self.b - u
        if self.weights is not None:
            rest = rest * self.xp.sqrt(self.weights)
        free = self.xp.where((x > 0) | (g < 0), g, self.xp.zeros_like(g))
        residual, normal = (
            np.sqrt(to_numpy(self.vectors.sumsq(v))) for v in (rest, free)
        )
        inside = to_numpy(self.xp.all(x >= 0, axis=1))
        slack = 1 + SLACK if self.stopping == "discrepancy" else 1.0
        goal = slack * self.goal + ROUNDED * eps
        good = (distance <= goal) & inside & np.isfinite(residual)
        return PoissonCheck(distance, deviance, residual, normal, good)


@dataclass
class PoissonCheck:
    """The verdict on an x, on the host, shape (B,).

    `distance` is what the stopping rule looks at, `deviance` that per datum, `residual`
    the norm of ``W^(1/2) (b - A x - background)`` and `normal` that of the gradient
    where x may follow it.
    """

    distance: np.ndarray
    deviance: np.ndarray
    residual: np.ndarray
    normal: np.ndarray
    good: np.ndarray


def refuse_negative(op, layout, weights, background):
    """Raise for data and operators that no counts have."""
    xp, b = layout.xp, layout.b
    if np.dtype(layout.dtype).kind == "c":
        raise ValueError(
            "b and op must be real for a Poisson likelihood, got "
            f"{np.dtype(layout.dtype).name}"
        )
    counted = b if weights is None else xp.where(weights > 0, b, 0)
    least = float(to_numpy(xp.min(counted)))
    if least < 0:
        raise ValueError(
            "b must not be negative for a Poisson likelihood, got entries down to "
            f"{least:.4g}; if a sky level or an offset was subtracted, add it again "
            "and give it as background=..., or give such entries the weight 0"
        )
    if float(to_numpy(xp.min(background))) < 0:
        raise ValueError("background must not be negative")
    _refuse_negative_entries(op)


def _refuse_negative_entries(op: Any):
    """Raise if a convolution or a matrix has negative entries.

    Other operators only have products; methods end where one is negative.
    """
    if op.layer is not None:
        least = float(to_numpy(op.xp.min(op.layer.kernel)))
        if least < 0:
            raise ValueError(
                "op must have no negative entries for a Poisson likelihood, got a "
                f"kernel with entries down to {least:.4g}; clip it at 0"
            )
    elif op.matrix is not None:
        least = float(op.matrix.min())
        if least < 0:
            raise ValueError(
                "op must have no negative entries for a Poisson likelihood, got a "
                f"matrix with entries down to {least:.4g}"
            )
    for part in getattr(op, "operators", ()):
        _refuse_negative_entries(part)
