"""A smooth total variation, for methods whose objective has gradients."""

import numpy as np

from ..operators import DifferenceOperator

ROUNDED = 1e-2  # of the level of x, the size of differences that count as none


class SmoothTotalVariation:
    """``weight * sum sqrt(|D x|^2 + e^2)`` with the forward differences D.

    Parameters
    ----------
    problem : PoissonProblem
        Of its level e is a hundredth.
    weight : float

    Attributes
    ----------
    weight : float
    """

    def __init__(self, problem, weight):
        self.problem, self.weight = problem, weight
        shape = tuple(problem.op.input_shape)
        self.shape = shape if len(shape) > 1 else (1, *shape)
        self.op = DifferenceOperator(self.shape, xp=problem.xp, dtype=problem.b.dtype)
        kernel = abs(self.op.kernel)  # of ones, whose squares they are
        self.magnitudes = self.op.with_kernel(kernel)
        self.rounded = ROUNDED * problem.level

    def _differences(self, x):
        """``D x`` of a batch, ``(B, C, axes, *spatial)``."""
        xp, (c, *spatial) = self.problem.xp, self.shape
        d = self.op.apply(xp.reshape(x, (x.shape[0], *self.shape)))
        return xp.reshape(d, (x.shape[0], c, len(spatial), *spatial))

    def _size(self, d):
        xp = self.problem.xp
        rounded = xp.astype(self.rounded, d.dtype)
        rounded = xp.reshape(rounded, (-1, *(1,) * (d.ndim - 1)))
        tiny = float(np.finfo(d.dtype).tiny)
        square = xp.sum(d * d, axis=2, keepdims=True) + rounded * rounded
        return xp.sqrt(xp.maximum(square, xp.full_like(square, tiny)))

    def gradient(self, x):
        """The gradient at x, and its part that grows with x itself, ``(B, n)``.

        With ``c = weight / sqrt(|D x|^2 + e^2)`` the gradient is ``D^T c D x``; of it
        that part is the diagonal of ``D^T c D`` times x, or a little more at borders.
        """
        d = self._differences(x)
        c = self.weight / self._size(d)
        own = self._back(self.magnitudes, c + self.problem.xp.zeros_like(d))
        return self._back(self.op, c * d), x * own

    def _back(self, op, d):
        xp = self.problem.xp
        y = op.apply_adjoint(xp.reshape(d, (d.shape[0], *self.op.output_shape)))
        return xp.reshape(y, (d.shape[0], -1))

    def along(self, x, d):
        """A function ``t -> (first, second)`` derivative on ``x + t d``, each (B,)."""
        xp, at, move = self.problem.xp, self._differences(x), self._differences(d)
        axes = tuple(range(1, move.ndim))

        def derivatives(t):
            now = (
                at
                + xp.reshape(xp.astype(t, at.dtype), (-1, *(1,) * (at.ndim - 1))) * move
            )
            size = self._size(now)
            inner = xp.sum(now * move, axis=2, keepdims=True) / size
            square = xp.sum(move * move, axis=2, keepdims=True) - inner * inner
            first = xp.sum(inner, axis=axes, dtype=xp.float64)
            second = xp.sum(square / size, axis=axes, dtype=xp.float64)
            return self.weight * first, self.weight * second

        return derivatives
