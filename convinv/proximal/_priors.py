"""Priors as objects for solvers: their values and proximal operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from .._core.arrays import namespace
from .._core.typing import AnyArray, ArrayInput
from ..lowrank._svt import nuclear_norm, svt
from ..lowrank._tensor_svt import tensor_nuclear_norm, tensor_svt, tensors
from ._total_variation import DualProjection, _image, total_variation


def prox_nuclear(a: ArrayInput, weight: ArrayInput) -> AnyArray:
    """The minimizer of ``||z - a||^2 / 2 + weight * nuclear_norm(z)``: `svt`.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
        One matrix or a stack.
    weight : float or array_like
        Not negative; broadcasts to the stack.

    Returns
    -------
    array, shape (..., m, n)
        Like `a`.

    Raises
    ------
    ValueError, TypeError
        As `svt`.

    Examples
    --------
    >>> from convinv.proximal import prox_nuclear
    >>> prox_nuclear([[3.0, 0.0], [0.0, 1.0]], 0.5)
    array([[2.5, 0. ],
           [0. , 0.5]])
    """
    return svt(a, weight)


class Proximal:
    """A function g with a proximal operator: the base class of priors.

    Derived classes define ``value(x)``, the number ``g(x)``, and ``prox(x, step)``, the
    minimizer z of ``||z - x||^2 / 2 + step * g(z)``, on arrays of the shape that the
    solver uses, in their own library. If iterations find it, ``start()`` may return a
    function like ``prox`` that starts from its last result.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.proximal import Proximal
    >>> class NotNegative(Proximal):
    ...     def value(self, x):
    ...         return 0.0 if (x >= 0).all() else np.inf
    ...     def prox(self, x, step):
    ...         return np.maximum(x, 0)
    >>> NotNegative().prox(np.array([-1.0, 2.0]), 0.1)
    array([0., 2.])
    """

    def value(self, x: AnyArray) -> Any:
        """The number ``g(x)``."""
        raise NotImplementedError(f"{type(self).__name__} does not define value(x)")

    def prox(self, x: AnyArray, step: Any) -> AnyArray:
        """The minimizer z of ``||z - x||^2 / 2 + step * g(z)``."""
        raise NotImplementedError(f"{type(self).__name__} does not define prox")

    def start(self) -> Callable[[Any, Any], Any]:
        """A function ``prox(x, step)`` for one solve."""
        return self.prox


class _Weighted(Proximal):
    def __init__(self, weight: float):
        try:
            self.weight = float(weight)
        except (TypeError, ValueError):
            raise TypeError(f"weight must be a number, got {weight!r}") from None
        if not 0 <= self.weight < math.inf:
            raise ValueError(
                f"weight must be finite and not negative, got {self.weight}"
            )


class NuclearNorm(_Weighted):
    """The nuclear norm of a matrix, or the sum over a stack, times ``weight``.

    Parameters
    ----------
    weight : float
        Not negative.

    Raises
    ------
    ValueError, TypeError
        If the weight is not such a number.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.proximal import NuclearNorm
    >>> float(NuclearNorm(2.0).value(np.eye(3)))
    6.0
    """

    def __init__(self, weight: float = 1.0):
        super().__init__(weight)

    def value(self, x: Any) -> Any:
        """``weight`` times the sum of all singular values."""
        return self.weight * nuclear_norm(x).sum()

    def prox(self, x: AnyArray, step: Any) -> AnyArray:
        """`svt` with the threshold ``step * weight``."""
        return svt(x, step * self.weight)


class TensorNuclearNorm(_Weighted):
    """The nuclear norm of a tensor, or the sum over a stack, times ``weight``.

    Parameters
    ----------
    weight : float
        Not negative.
    transform : {"dft", "dct"}
        Along the last axis, see `tensor_svt`.

    Raises
    ------
    ValueError, TypeError
        If they are no such things.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.proximal import TensorNuclearNorm
    >>> float(TensorNuclearNorm(0.5).value(np.ones((2, 2, 4))))
    2.0
    """

    def __init__(
        self, weight: float = 1.0, *, transform: Literal["dft", "dct"] = "dft"
    ):
        super().__init__(weight)
        tensors(np.zeros((1, 1, 1)), transform)
        self.transform = transform

    def value(self, x: Any) -> Any:
        """``weight`` times the sum of the tensor nuclear norms."""
        return self.weight * tensor_nuclear_norm(x, transform=self.transform).sum()

    def prox(self, x: AnyArray, step: Any) -> AnyArray:
        """`tensor_svt` with the threshold ``step * weight``."""
        return tensor_svt(x, step * self.weight, transform=self.transform)


class TotalVariation(_Weighted):
    """The total variation times ``weight``.

    Parameters
    ----------
    weight : float
        Not negative.
    isotropic, axes
        See `total_variation`.
    rtol, maxiter : float, int
        Of the proximal operator, see `prox_total_variation`; a solver cannot be more
        accurate than `rtol`. The operator does not warn: solvers check their results.

    Raises
    ------
    ValueError, TypeError
        If they are no such things.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.proximal import TotalVariation
    >>> float(TotalVariation(0.5).value(np.eye(2)[:1]))
    0.5
    """

    def __init__(
        self,
        weight: float = 1.0,
        *,
        isotropic: bool = True,
        axes: Sequence[int] = (-2, -1),
        rtol: float = 1e-6,
        maxiter: int = 1000,
    ):
        super().__init__(weight)
        self.isotropic, self.axes = isotropic, axes
        self.rtol, self.maxiter = rtol, maxiter

    def value(self, x: Any) -> Any:
        """``weight`` times the total variation."""
        return self.weight * total_variation(
            x, isotropic=self.isotropic, axes=self.axes
        )

    def prox(self, x: AnyArray, step: Any) -> AnyArray:
        """The minimizer of ``||z - x||^2 / 2 + step * g(z)``."""
        return self.start()(x, step)

    def start(self) -> Callable[[Any, Any], Any]:
        """A ``prox`` that starts from its last result."""
        projections = {}

        def prox(x, step):
            x, axes = _image(x, self.axes)
            if axes not in projections:
                projections[axes] = DualProjection(
                    self.isotropic, axes, self.rtol, self.maxiter
                )
            xp = namespace(x)
            return projections[axes](x, xp.asarray(step) * self.weight)

        return prox
