"""Preconditioners that were set up for a nearby kernel, and tests of their quality."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .._core.arrays import to_numpy
from .._core.typing import FloatIfAsked, OperatorInput, Seed
from .._core.validation import integer
from ..operators._base import ShapedOperator
from ..operators._convolution import ConvLinearOperator
from ..operators._norm_bound import kernel_norm_bound
from ..precondition import Preconditioner
from ._ritz import inverse_norm, ritz_ends, slack, steps_for

LIMIT = 0.5
PART = 0.4  # part of the spectrum's width that estimates in the bound may miss
CERTAINTY = 1e-3  # the probability that an estimate in the bound is too low


@dataclass(frozen=True)
class Contraction:
    """The quality of a preconditioner M of a nearby layer for the current layer.

    The contraction is ``rho = max |1 - lambda|`` over the eigenvalues of ``M N``, ``N =
    A^H A + damp^2 I`` (A itself with ``equations="hermitian"``). It is the norm of
    ``I - M N`` in the inner product of N, by which one step ``x <- x + M (b - N x)``
    reduces the error.

    Attributes
    ----------
    distance : float
        Upper bound of the norm of the difference between the two layers.
    bound : float
        Upper bound of rho, infinite if none is known.
    measured : float or None
        Lower bound of rho, by Lanczos steps; None if none were made.
    """

    distance: float
    bound: float
    measured: FloatIfAsked = None

    @property
    def value(self) -> float:
        """The best known value: the measured one, else the bound."""
        return self.bound if self.measured is None else self.measured

    @property
    def certain(self) -> bool:
        """Whether the bound alone is below 1."""
        return self.bound < 1

    def iterations(self, rtol: float = 1e-6) -> float:
        """Iterations in which conjugate gradients reduce the error by `rtol`.

        ``2 c^k <= rtol`` with ``c = rho / (1 + sqrt(1 - rho^2))``, infinite for a rho
        of 1 or more. With a measured rho, which is a lower bound, the result is an
        estimate.
        """
        rho = self.value
        if rho >= 1:
            return math.inf
        rate = rho / (1 + math.sqrt(1 - rho * rho))
        if rate == 0:
            return 1.0
        return float(max(1, math.ceil(math.log(rtol / 2) / math.log(rate))))

    def renew(self, limit: float = LIMIT) -> bool:
        """Whether to make a new set-up: the contraction is above `limit`."""
        return not self.value <= limit

    def __str__(self) -> str:
        measured = "not measured"
        if self.measured is not None:
            measured = f"measured {self.measured:.3g}"
        verdict = "renew the set-up" if self.renew() else "the set-up still serves"
        return (
            f"contraction at most {self.bound:.3g}, {measured}, at a distance of at "
            f"most {self.distance:.3g}: {verdict}"
        )


class NearbyPreconditioner(ShapedOperator):
    r"""A preconditioner that serves layers near the one that it was set up for.

    A kernel that changes slowly, in training or as a point spread function varies,
    needs no new set-up at every solve: pass this object to `convinv.solve` as
    ``preconditioner``, and call `renewed` for the next one. It affects only the number
    of iterations of `solve`, not the answer.

    Parameters
    ----------
    prepared : convinv.precondition.Preconditioner
        Set up for the reference layer, with ``equations`` "normal" or "hermitian".
    steps : int, optional
        Applications for each of the two constants in the bound, by default as many as
        its certainty needs, about 10 to 20. They are measured when a bound is first
        needed; with too few steps there is no bound.
    rng : None, int or numpy.random.Generator
        Source of their random starts.

    Raises
    ------
    TypeError
        If `prepared` is no preconditioner object.
    ValueError
        If it is for "plain" equations, or for a wide layer without damp, whose normal
        equations are singular.

    Notes
    -----
    With B the current layer and A the reference, :math:`\|B - A\| \le e` gives

    .. math::

       \rho(B) \le \rho(A) + 2 t \sqrt{1 + \rho(A)} + t^2, \qquad
       t = e \sqrt{\|M\|},

    and :math:`\rho(A) + e \|M\|` for Hermitian equations: the eigenvalues of
    ``M^(1/2) N M^(1/2)`` change by at most the norm of its change. `kernel_distance`
    finds e. ``||M||`` and ``rho(A)`` come from Lanczos steps with a random start,
    increased so that the true value exceeds them with a probability of 0.001 (after
    Kuczynski and Wozniakowski, SIAM J. Matrix Anal. Appl. 13, 1992). That takes about
    30 applications, once. If the bound is too pessimistic, use `contraction` with
    ``steps=3``, which takes three.

    A plain `Preconditioner` of another damp makes a new set-up in every solve; this one
    keeps its own.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery, solve
    >>> from convinv.precondition import Schwarz
    >>> from convinv.local_inverse import NearbyPreconditioner
    >>> kernel = gallery.conv_layer(3, 8, rng=0)
    >>> near = NearbyPreconditioner(Schwarz(ConvLinearOperator(kernel, (3, 24, 24))))
    >>> change = np.random.default_rng(0).standard_normal(kernel.shape)
    >>> op = ConvLinearOperator(kernel + 1e-4 * change, (3, 24, 24))
    >>> found = near.contraction(op, steps=3)
    >>> 0 < found.measured <= found.bound < 0.5, found.renew()
    (True, False)
    >>> result = solve(op, np.ones(op.output_shape), "cgls", preconditioner=near)
    >>> result.success, bool(result.nit <= found.iterations(1e-6) + 3)
    (True, True)
    """

    def __init__(
        self, prepared: Preconditioner, *, steps: int | None = None, rng: Seed = None
    ):
        if not isinstance(prepared, Preconditioner):
            raise TypeError(
                "prepared must be an object of convinv.precondition, got "
                f"{type(prepared).__name__}"
            )
        if prepared.equations == "plain":
            raise ValueError(
                "prepared must be for equations 'normal' or 'hermitian', got 'plain': "
                "its error is not symmetric in any inner product"
            )
        op = prepared.op
        if prepared.equations == "normal" and not prepared.damp:
            if op.shape[0] < op.shape[1]:
                raise ValueError(
                    f"prepared must have a damp where op is wide, got shape {op.shape}:"
                    " its normal equations are singular, and no nearby layer has the "
                    "same null space"
                )
        self.prepared = prepared
        self.steps = None if steps is None else max(integer(steps, "steps"), 1)
        self.rng = np.random.default_rng(rng)
        self.xp = prepared.xp
        self._constants: tuple[float, float] | None = None
        super().__init__(prepared.dtype, prepared.input_shape, prepared.output_shape)

    def _apply(self, X):
        return self.prepared.apply(X)

    _apply_adjoint = _apply

    @property
    def constants(self) -> tuple[float, float]:
        """``(||M||, rho(A))`` of the bound, measured when they are first asked for."""
        if self._constants is None:
            prepared = self.prepared
            steps, missed = self._plan(1.0)
            norm = inverse_norm(prepared, steps, self.rng)
            norm = norm / (1 - missed) if missed < 1 else math.inf
            rho = math.inf
            if missed < 1:
                steps, missed = self._plan(math.sqrt(2 * norm) * self._size())
            if missed < 0.5:  # of a width of at most 2 rho
                rho = _rho(*ritz_ends(prepared, prepared.op, steps, self.rng))
                rho += 1e3 * float(np.finfo(prepared.dtype).eps)
                rho /= 1 - 2 * missed
            self._constants = norm, rho
        return self._constants

    def _plan(self, condition):
        """Steps to make, and the part of the spectrum's width that they may miss."""
        chances = self.prepared.shape[0], condition, CERTAINTY
        steps = self.steps or steps_for(PART, *chances)
        return steps, slack(steps, *chances)

    def _size(self):
        """Upper bound of the norm of the square root of the reference's equations."""
        prepared = self.prepared
        norm = kernel_norm_bound(prepared.op, to_numpy(prepared.op.weights))
        if prepared.equations == "hermitian":
            return math.sqrt(norm)
        return math.hypot(norm, prepared.damp)

    def contraction(
        self, op: OperatorInput, *, steps: int = 0, bound: bool = True
    ) -> Contraction:
        """The contraction for a nearby layer.

        Parameters
        ----------
        op : ConvLinearOperator
            With the reference's geometry, of another kernel.
        steps : int
            Lanczos steps of the measurement, each of them an application and a product
            with the layer and its adjoint; 0 for none.
        bound : bool
            Whether to compute the upper bound, whose constants take about 30
            applications if they are not known yet. If False, and they are unknown, it
            is infinite.

        Returns
        -------
        Contraction

        Raises
        ------
        ValueError
            If the layers differ in more than their kernels.
        """
        prepared = self.prepared
        distance = kernel_distance(op, prepared.op)
        constants = self.constants if bound else self._constants
        upper = self._bound(distance, *constants) if constants else math.inf
        if not integer(steps, "steps"):
            return Contraction(distance, upper)
        least, most = ritz_ends(prepared, op, steps, self.rng)
        return Contraction(distance, upper, _rho(least, most))

    def _bound(self, distance, norm, rho):
        if not math.isfinite(norm) or not math.isfinite(rho):
            return math.inf
        if self.prepared.equations == "hermitian":
            return rho + distance * norm
        t = distance * math.sqrt(norm)
        return rho + 2 * t * math.sqrt(1 + rho) + t * t

    def renewed(
        self, op: OperatorInput, *, limit: float = LIMIT, steps: int = 3
    ) -> NearbyPreconditioner:
        """The preconditioner to use for `op`: this one, or one with a new set-up.

        Parameters
        ----------
        op : ConvLinearOperator
        limit : float
            Largest contraction accepted.
        steps : int
            Steps of the measurement if the bound, where known, is above `limit`.

        Returns
        -------
        NearbyPreconditioner
            `self` if it is still good enough.
        """
        distance = kernel_distance(op, self.prepared.op)
        if self._constants is not None:
            if self._bound(distance, *self._constants) <= limit:
                return self
        if distance == 0:
            return self
        found = self.contraction(op, steps=max(steps, 1), bound=False)
        if not found.renew(limit):
            return self
        make, (_, *arguments) = self.prepared.__reduce__()[:2]
        return type(self)(make(op, *arguments), steps=self.steps, rng=self.rng)


def contraction(
    prepared: Preconditioner,
    op: OperatorInput,
    *,
    steps: int = 3,
    bound: bool = True,
    rng: Seed = None,
) -> Contraction:
    """The contraction of a nearby layer's preconditioner for this layer, in one call.

    Parameters
    ----------
    prepared : convinv.precondition.Preconditioner
        Set up for a layer of the same geometry.
    op : ConvLinearOperator
        The current layer.
    steps : int
        Lanczos steps of the measurement, 0 for none.
    bound : bool
        Whether to compute the upper bound too, which takes about 30 applications; a
        `NearbyPreconditioner` makes them once for many layers.
    rng : None, int or numpy.random.Generator
        Source of random starts.

    Returns
    -------
    Contraction

    Raises
    ------
    TypeError, ValueError
        As for `NearbyPreconditioner`.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator, gallery
    >>> from convinv.precondition import Circulant
    >>> from convinv.local_inverse import contraction
    >>> kernel = gallery.conv_layer(3, 8, rng=0)
    >>> op = ConvLinearOperator(kernel, (3, 16, 16), padding=1, boundary="periodic")
    >>> found = contraction(Circulant(op), op.scaled(1.01))
    >>> round(found.measured, 4), bool(found.measured <= found.bound)
    (0.0201, True)
    """
    near = NearbyPreconditioner(prepared, rng=rng)
    return near.contraction(op, steps=steps, bound=bound)


def kernel_distance(op: OperatorInput, other: OperatorInput) -> float:
    """An upper bound of the norm of the difference of two layers, from their kernels.

    Parameters
    ----------
    op, other : ConvLinearOperator
        Of one geometry.

    Returns
    -------
    float
        At least ``||A - B||`` in the 2-norm, for every image size.

    Raises
    ------
    TypeError
        For operators of another kind.
    ValueError
        If the layers differ in more than their kernels.

    Notes
    -----
    A layer with zeros around it is a part of one on a torus, whose norm is the largest
    singular value of the kernel's symbol. The symbol is a trigonometric polynomial,
    whose maximum exceeds the largest of samples at N points per axis by at most
    ``1 / cos(pi d / N)``, d half the kernel's extent (Ehlich and Zeller, Math. Z. 86,
    1964). For other boundaries this is multiplied by the square root of the number of
    times that they copy a sample. The cost is some hundred to some ten thousand small
    singular value decompositions, independent of the image.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator
    >>> from convinv.local_inverse import kernel_distance
    >>> op = ConvLinearOperator(np.ones((1, 1, 3)), (1, 100))
    >>> other = ConvLinearOperator(np.full((1, 1, 3), 1.1), (1, 100))
    >>> 0.3 <= kernel_distance(op, other) < 0.31
    True
    """
    for layer in (op, other):
        if not isinstance(layer, ConvLinearOperator):
            raise TypeError(
                f"op must be a ConvLinearOperator, got {type(layer).__name__}"
            )
    if op.geometry != other.geometry:
        raise ValueError(
            "op must have the geometry of the layer that the preconditioner was set up "
            f"for, {other!r}, got {op!r}"
        )
    weights = to_numpy(op.weights), to_numpy(other.weights)
    return kernel_norm_bound(op, np.subtract(*weights, dtype=_wide(weights)))


def _wide(weights):
    return np.result_type(*(w.dtype for w in weights), np.float64)


def _rho(least, most):
    return max(abs(1 - least), abs(most - 1))
