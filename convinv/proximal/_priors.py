"""Priors as objects for solvers: their values and proximal operators."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from .._core.arrays import namespace
from .._core.typing import AnyArray, ArrayInput, OperatorInput
from ..lowrank._svt import nuclear_norm, svt
from ..lowrank._tensor_svt import tensor_nuclear_norm, tensor_svt, tensors
from ..operators._foreign import as_operator
from ._terms import AnalysisTerm, DifferenceTerm, ProximalTerm
from ._total_variation import DualProjection, image, total_variation

PROX_RTOL = 1e-6  # of total variation, where nobody says another


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

    `TotalVariation` and `Analysis` also tell `admm` how to treat them as a function of
    ``L x`` with a simple proximal operator. Other derived classes define ``value(x)``,
    the number ``g(x)``, and ``prox(x, step)``, the minimizer z of ``||z - x||^2 / 2 +
    step * g(z)``, on arrays of the shape that the solver uses, in their own library. If
    iterations find it, ``start()`` may return a function like ``prox`` that starts from
    its last result.

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


class Weighted(Proximal):
    """A prior with a weight, a factor of its value.

    Parameters
    ----------
    weight : float or None
        Not negative; None where a solver is to choose it.
    """

    weight: float | None

    def __init__(self, weight: float | None = None):
        if weight is None:
            self.weight = None
            return
        try:
            self.weight = float(weight)
        except (TypeError, ValueError):
            raise TypeError(
                f"weight must be a number, or None for a choice by a solver, got "
                f"{weight!r}"
            ) from None
        if not 0 <= self.weight < math.inf:
            raise ValueError(
                f"weight must be finite and not negative, got {self.weight}"
            )

    @property
    def known_weight(self) -> float:
        """The weight; an error where it is None."""
        if self.weight is None:
            raise ValueError(
                f"{type(self).__name__} has no weight: give one, or let minimize, admm "
                "or fista choose it"
            )
        return self.weight

    def with_weight(self, weight: float) -> Weighted:
        """The same prior with another weight."""
        other = copy.copy(self)
        other.weight = float(weight)
        return other


class NuclearNorm(Weighted):
    """The nuclear norm of a matrix, or the sum over a stack, times ``weight``.

    Parameters
    ----------
    weight : float, optional
        Not negative; None where a solver is to choose it.

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

    def value(self, x: Any) -> Any:
        """``weight`` times the sum of all singular values."""
        return self.known_weight * nuclear_norm(x).sum()

    def prox(self, x: AnyArray, step: Any) -> AnyArray:
        """`svt` with the threshold ``step * weight``."""
        return svt(x, step * self.known_weight)


class TensorNuclearNorm(Weighted):
    """The nuclear norm of a tensor, or the sum over a stack, times ``weight``.

    Parameters
    ----------
    weight : float, optional
        Not negative; None where a solver is to choose it.
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
        self, weight: float | None = None, *, transform: Literal["dft", "dct"] = "dft"
    ):
        super().__init__(weight)
        tensors(np.zeros((1, 1, 1)), transform)
        self.transform = transform

    def value(self, x: Any) -> Any:
        """``weight`` times the sum of the tensor nuclear norms."""
        return (
            self.known_weight * tensor_nuclear_norm(x, transform=self.transform).sum()
        )

    def prox(self, x: AnyArray, step: Any) -> AnyArray:
        """`tensor_svt` with the threshold ``step * weight``."""
        return tensor_svt(x, step * self.known_weight, transform=self.transform)


class TotalVariation(Weighted):
    """The total variation times ``weight``.

    Parameters
    ----------
    weight : float, optional
        Not negative; None where a solver is to choose it.
    isotropic, axes
        See `total_variation`.
    rtol : float, optional
        Of the proximal operator, see `prox_total_variation`. By default it is 1e-6, and
        solvers make it as small as they need; a given one stays, and they cannot be
        more accurate.
    maxiter : int
        Of the proximal operator. It does not warn: solvers check their results.

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
        weight: float | None = None,
        *,
        isotropic: bool = True,
        axes: Sequence[int] = (-2, -1),
        rtol: float | None = None,
        maxiter: int = 1000,
    ):
        super().__init__(weight)
        self.isotropic, self.axes = isotropic, axes
        self.rtol, self.maxiter = rtol, maxiter

    def value(self, x: Any) -> Any:
        """``weight`` times the total variation."""
        return self.known_weight * total_variation(
            x, isotropic=self.isotropic, axes=self.axes
        )

    def prox(self, x: AnyArray, step: Any) -> AnyArray:
        """The minimizer of ``||z - x||^2 / 2 + step * g(z)``."""
        return self.start()(x, step)

    def term(self, domain: Any, problem: Any) -> Any:
        """The term of a splitting: copies of differences, along up to three axes."""
        _, axes = image(problem.x, self.axes)
        if len(axes) > 3:
            return ProximalTerm(self, domain, problem)
        return DifferenceTerm(self, axes, domain, problem)

    def start(self) -> WarmProx:
        """A ``prox`` that starts from its last result."""
        return WarmProx(self)


class WarmProx:
    """The proximal operator of total variation in a solve.

    Attributes
    ----------
    rtol : float
        Its tolerance, which a solver may change.
    is_given : bool
        Whether it is the user's, which a solver should not change.
    """

    def __init__(self, prior: TotalVariation):
        self._prior, self.is_given = prior, prior.rtol is not None
        self.rtol: float = PROX_RTOL if prior.rtol is None else prior.rtol
        self._projections: dict = {}

    def __call__(self, x, step):
        prior = self._prior
        x, axes = image(x, prior.axes)
        if axes not in self._projections:
            self._projections[axes] = DualProjection(
                prior.isotropic, axes, self.rtol, prior.maxiter
            )
        projection = self._projections[axes]
        projection.rtol = self.rtol
        return projection(x, namespace(x).asarray(step) * prior.known_weight)


class Analysis(Proximal):
    """A prior on ``L x``: the function ``g(L x)`` for a linear operator L.

    It has no proximal operator of its own in general; `minimize` and `admm` use that
    of g.

    Parameters
    ----------
    operator : LinearOperator, matrix or operator on shaped arrays
        L, with an adjoint, of as many columns as x has entries.
    prior : Proximal
        g, which gets arrays of shape ``(..., *operator.output_shape)``.

    Raises
    ------
    TypeError
        If the operator has no adjoint, or the prior no proximal operator.

    Examples
    --------
    The anisotropic total variation, and that of second differences:

    >>> import numpy as np
    >>> from convinv.operators import DifferenceOperator, LaplacianOperator
    >>> from convinv.proximal import L1, Analysis
    >>> x = np.array([[0.0, 1.0, 2.0, 2.0]])
    >>> float(Analysis(DifferenceOperator(x.shape), L1(0.5)).value(x))
    1.0
    >>> float(Analysis(LaplacianOperator(x.shape), L1(0.5)).value(x))
    1.0
    """

    def __init__(self, operator: OperatorInput, prior: Proximal):
        self.operator = as_operator(operator)
        if not self.operator.has_adjoint:
            raise TypeError("operator must have an adjoint (rmatvec), got one without")
        if not callable(getattr(prior, "prox", None)) or isinstance(prior, Analysis):
            raise TypeError(
                "prior must have a proximal operator, a method prox(x, step), got "
                f"{type(prior).__name__}"
            )
        self.prior = prior

    @property
    def weight(self) -> float | None:
        """The weight of the prior, 1 if it has none."""
        return getattr(self.prior, "weight", 1.0)

    def with_weight(self, weight: float) -> Analysis:
        """The same with another weight of the prior."""
        other = copy.copy(self)
        other.prior = self.prior.with_weight(weight)  # type: ignore[attr-defined]
        return other

    def value(self, x: Any) -> Any:
        """``g(L x)``."""
        shape = self.operator.input_shape
        batch = x.shape[: x.ndim - len(shape)]
        if math.prod(x.shape[len(batch) :]) != math.prod(shape):
            batch = ()
        return self.prior.value(self.operator.forward(x.reshape((*batch, *shape))))

    def prox(self, x: AnyArray, step: Any) -> AnyArray:
        """An error: there is no closed form."""
        raise TypeError(
            "a prior on L x has no proximal operator in closed form; use minimize or "
            "admm with data='soft'"
        )

    def term(self, domain: Any, problem: Any) -> Any:
        """The term of a splitting: a copy of ``L x``."""
        if self.operator.shape[1] != problem.op.shape[1]:
            raise ValueError(
                f"the operator of Analysis must have {problem.op.shape[1]} columns, as "
                f"op has, got {self.operator.shape[1]}"
            )
        return AnalysisTerm(self.prior, self.operator, domain, problem)
