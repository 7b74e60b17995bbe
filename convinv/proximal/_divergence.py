"""The Kullback-Leibler divergence from counts as a function with a prox."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._core.arrays import namespace
from .._core.typing import AnyArray, ArrayInput
from .._core.validation import number
from ._priors import Proximal


class KullbackLeibler(Proximal):
    r"""The divergence from counts b to their means ``x + background``, times a weight.

    .. math::

        g(x) = \mathrm{weight} \sum_i (u_i - b_i + b_i \log (b_i / u_i)), \qquad
        u = x + \mathrm{background} \ge 0 .

    Up to a constant it is the negative logarithm of the likelihood of Poisson counts.
    It is a term for images of the means themselves: to denoise counts, or for the copy
    of ``A x`` in a splitting. For counts behind a blur there is the method
    ``"richardson-lucy"`` of `convinv.solve`.

    Parameters
    ----------
    b : array_like
        The counts, not negative, of the shape that the solver uses for x.
    weight : float
        Not negative.
    background : float or array_like
        The part of the means that x does not have, not negative.

    Raises
    ------
    ValueError, TypeError
        If an argument has negative entries or others than finite numbers.

    Notes
    -----
    The proximal operator is the positive root of a quadratic equation: with
    :math:`c = x + \mathrm{background} - s` and :math:`s = \mathrm{step} \cdot
    \mathrm{weight}`,

    .. math::

        u = \tfrac12 \bigl( c + \sqrt{c^2 + 4 s b} \bigr) .

    x may be negative where the background allows that. Where counts are 0, u may be 0.

    References
    ----------
    M. Figueiredo and J. Bioucas-Dias, "Restoration of Poissonian images using
    alternating direction optimization", IEEE Trans. Image Process. 19 (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.proximal import KullbackLeibler
    >>> g = KullbackLeibler([4.0, 0.0])
    >>> g.prox(np.array([4.0, 2.0]), 1.0)
    array([4., 1.])
    >>> float(g.value(np.array([4.0, 2.0])))
    2.0
    """

    def __init__(
        self, b: ArrayInput, weight: float = 1.0, *, background: ArrayInput = 0.0
    ):
        self.b, self.background = _counts(b, "b"), _counts(background, "background")
        self.weight = number(weight, "weight")

    def value(self, x: AnyArray) -> Any:
        """``g(x)``; infinity where means are negative, or 0 with counts above 0."""
        xp, u, b = namespace(x), self._means(x), self.b
        some = b > 0
        if bool(xp.any(u < 0)) or bool(xp.any(some & (u == 0))):
            return math.inf
        ratio = xp.where(some, b, 1) / xp.where(some, u, 1)
        terms = u - b + b * xp.log(ratio)
        return self.weight * xp.sum(terms, dtype=np.float64)

    def prox(self, x: AnyArray, step: Any) -> AnyArray:
        """The minimizer of ``||z - x||^2 / 2 + step * g(z)``."""
        xp = namespace(x)
        s = xp.asarray(step, dtype=x.dtype) * xp.asarray(self.weight, dtype=x.dtype)
        product = s * xp.asarray(self.b, dtype=x.dtype)
        c = self._means(x) - s
        root = xp.sqrt(c * c + 4 * product)
        # the sum of two numbers of one sign, whatever that of c is
        large = (abs(c) + root) / 2
        small = product / xp.where(large > 0, large, xp.ones_like(large))
        u = xp.where(c > 0, large, small)
        return u - xp.asarray(self.background, dtype=x.dtype)

    def _means(self, x):
        xp = namespace(x)
        if np.dtype(x.dtype).kind == "c":
            raise TypeError(f"x must be real for counts, got dtype {x.dtype}")
        if tuple(np.shape(self.b)) not in ((), tuple(x.shape)):
            raise ValueError(
                f"x must have the shape of b, {tuple(np.shape(self.b))}, got "
                f"{tuple(x.shape)}; the argument shape of the solvers sets that of x"
            )
        return x + xp.asarray(self.background, dtype=x.dtype)


def _counts(values, name):
    """An array of finite numbers that are not negative, in double precision."""
    xp = namespace(values)
    try:
        values = np.asarray(values) if xp is None else values
        if np.dtype(values.dtype).kind not in "fiub":
            raise TypeError
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be an array of real numbers") from None
    values = values.astype(np.float64)
    if not bool(((values >= 0) & (values < math.inf)).all()):
        raise ValueError(
            f"{name} must be finite and not negative; background goes with counts that "
            "still have theirs"
        )
    return values
