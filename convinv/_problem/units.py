"""The units of a solve: powers of two that keep its numbers far from the extremes."""

from dataclasses import dataclass

import numpy as np

from .._core.arrays import placement

LARGEST_STEP = 1000  # binary exponent of the largest factor in double precision


@dataclass(frozen=True, eq=False)
class Units:
    """``A' = 2**-operator A``, ``b' = 2**-data b`` and ``x' = 2**(operator - data) x``.

    The numbers with a prime are the scaled ones. All conversions multiply by powers of
    two: they are exact unless the result overflows or is subnormal.

    Attributes
    ----------
    operator : int
        The power of the operator; singular values and the damp have it too.
    data : ndarray of int, shape (B,)
        The power of each item of b.
    """

    operator: int
    data: np.ndarray

    @property
    def operator_scale(self):
        """``2**-operator``, the factor from A to ``A'``."""
        return float(np.ldexp(1.0, -self.operator))

    @property
    def x_scale(self):
        """The factors from ``x'`` to x, shape (B,)."""
        return np.ldexp(1.0, self.data - self.operator)

    def scale_b(self, xp, b):
        """``b'``; b itself where nothing is scaled."""
        return ldexp(xp, b, -self.data) if self.data.any() else b

    def scale_x(self, xp, x):
        """``x'`` from x, shape (B, n)."""
        return ldexp(xp, x, self.operator - self.data)

    def unscale_x(self, xp, x):
        """The x of ``x'``, shape (B, n)."""
        return ldexp(xp, x, self.data - self.operator)

    @property
    def keep_x(self):
        """Whether ``x'`` is x."""
        return not (self.operator - self.data).any()

    def scale_damp(self, damp):
        """A damp, or a singular value, in the units of ``A'``."""
        return float(np.ldexp(damp, -self.operator))

    def unscale_damp(self, damp):
        """A damp, or a singular value, in the units of A."""
        return float(np.ldexp(damp, self.operator))

    def scale_residual_norm(self, norm):
        """A tolerance for ``||r||`` in the units of ``b'``, shape (B,)."""
        with np.errstate(over="ignore"):
            return np.ldexp(norm, -self.data)

    def unscale_residual_norm(self, norm):
        """Norms of residuals in the units of b, shape (B,)."""
        return np.ldexp(np.asarray(norm, np.float64), self.data)

    def unscale_normal_norm(self, norm):
        """Norms of normal residuals in the units of ``A^H b``, shape (B,)."""
        return np.ldexp(np.asarray(norm, np.float64), self.data + self.operator)


def ldexp(xp, array, power):
    """``array * 2**power`` per item, in steps whose factors are no extreme numbers."""
    power = np.asarray(power)
    steps = max(2, -(-int(np.max(np.abs(power), initial=0)) // LARGEST_STEP))
    for step in range(steps):
        part = power * (step + 1) // steps - power * step // steps
        factor = np.ldexp(1.0, np.broadcast_to(part, (array.shape[0],)))
        factor = xp.asarray(factor, **placement(array))
        array = array * xp.astype(factor, array.dtype)[:, None]
    return array
