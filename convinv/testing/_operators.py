"""check_operator: an operator put through the checks of operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._core.random_vectors import standard_normal
from .._core.typing import OperatorInput, Seed, Shape
from . import _operator_checks  # noqa: F401: enrols them
from ._products import Products, products_of
from ._registry import OPERATOR_CHECKS, expect
from ._report import Report

# how far two products may be apart, relative to their norms, for each precision
RTOL = {4: 1e-5, 8: 1e-10}


@dataclass(frozen=True)
class OperatorUnderTest:
    """What the checks of operators are given.

    Attributes
    ----------
    op : Products
    seed : int
    rtol : float or None
    spatial : int
        Number of trailing axes along which it may be a convolution.
    make : callable or None
        ``make(input_shape)`` of the same operator for arrays of other shapes.
    """

    op: Products
    seed: int
    rtol: float | None
    spatial: int
    make: Callable[[tuple[int, ...]], Products] | None

    def random(
        self, shape: tuple[int, ...], number: int = 0, dtype: DTypeLike | None = None
    ) -> np.ndarray:
        """Standard normal numbers, the same ones for a number."""
        kind = np.dtype(self.op.dtype if dtype is None else dtype)
        rng = np.random.default_rng((self.seed, number))
        return standard_normal(rng, shape, kind).astype(kind)

    def x(self, number: int = 0, dtype: DTypeLike | None = None) -> np.ndarray:
        """An input."""
        return self.random(self.op.input_shape, number, dtype)

    def y(self, number: int = 0, dtype: DTypeLike | None = None) -> np.ndarray:
        """Something like an output."""
        return self.random(self.op.output_shape, 1000 + number, dtype)

    def directions(self) -> list[tuple[str, Callable, np.ndarray]]:
        """The product and, if there is one, the adjoint's, each with an input."""
        found: list = [("forward", self.op.forward, self.x())]
        if self.op.adjoint is not None:
            found.append(("adjoint", self.op.adjoint, self.y()))
        return found

    def tolerance(self, *arrays: np.ndarray) -> float:
        """How far apart two results in the dtype of these arrays may be."""
        if self.rtol is not None:
            return self.rtol
        dtypes = self.op.dtype, *(a.dtype for a in arrays)
        return max(RTOL[np.empty(0, kind).real.itemsize] for kind in dtypes)

    def compare(self, got: np.ndarray, want: np.ndarray, what: str) -> float:
        """The relative distance of two arrays, which may not be large."""
        expect(
            got.shape == want.shape,
            f"{what} have the shapes {got.shape} and {want.shape}",
        )
        size = np.linalg.norm(want) + np.linalg.norm(got)
        error = float(2 * np.linalg.norm(got - want) / size) if size else 0.0
        bound = self.tolerance(got, want)
        expect(error <= bound, f"{what} differ by {error:.2g}, relative to their norm")
        return error


def check_operator(
    op: OperatorInput,
    *,
    input_shape: Shape | None = None,
    dtype: DTypeLike | None = None,
    spatial: int | None = None,
    make: Callable[[tuple[int, ...]], Any] | None = None,
    rng: Seed = None,
    rtol: float | None = None,
    checks: Sequence[str] | None = None,
) -> Report:
    """Put a linear operator of whatever library through checks.

    Parameters
    ----------
    op : operator
        A `ConvLinearOperator` or another operator of this package, a LinearOperator of
        SciPy or PyLops, a Linop of SigPy, an operator of ODL, a LinearPhysics of
        deepinv, an array or sparse matrix, an object with ``shape``, ``matvec`` and
        ``rmatvec``, or a pair ``(forward, adjoint)`` of functions of arrays.
    input_shape : tuple of int, optional
        Of one input, for a pair of functions and for a physics, ``(C, *spatial)``.
    dtype : dtype, optional
        The least dtype of products, where op does not tell: by default float64, of a
        physics float32.
    spatial : int, optional
        Number of trailing axes along which it may be a convolution; by default all axes
        of arrays with one or two, and all but the first of others.
    make : callable, optional
        ``make(input_shape)`` returns op for arrays of another shape; without it axes of
        length 1 are not checked.
    rng : None, int or numpy.random.Generator
        Source of the arrays; by default always the same ones.
    rtol : float, optional
        How far two results that should be equal may be apart, relative to their norms;
        by default 1e-5 in single and 1e-10 in double precision.
    checks : sequence of str, optional
        Names of checks; by default all.

    Returns
    -------
    Report

    Raises
    ------
    TypeError
        If op is no operator, or `input_shape` is missing.
    ValueError
        If a name of `checks` is unknown.

    Notes
    -----
    The checks are: *adjoint* (the dot test), *linearity*, *homogeneity*, *dtypes* (kept
    or promoted), *batch* (equal to its items), *input unchanged*, *output not aliased*,
    *determinism*, *memory order* (strided arrays), *read-only input*, *boundary* (which
    of "zero", "periodic", "reflect", "symmetric" and "replicate" a convolution of
    stride 1 has, and whether its adjoint is that of this boundary) and *axes of length
    1*. The cost is some fifty products.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator
    >>> from convinv.testing import check_operator
    >>> kernel = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    >>> op = ConvLinearOperator(kernel, (1, 8, 9), padding=1, boundary="reflect")
    >>> report = check_operator(op)
    >>> report.passed, report["boundary"].detail
    (True, 'reflect; its adjoint is that of reflect')
    """
    found = products_of(op, input_shape, dtype)
    own = getattr(getattr(op, "layer", None), "geometry", None)
    axes = len(found.input_shape)
    if spatial is None:
        spatial = own.ndim if own is not None else axes if axes < 3 else axes - 1
    subject = OperatorUnderTest(
        found,
        _seed(rng),
        rtol,
        spatial,
        None if make is None else lambda shape: products_of(make(shape), shape, dtype),
    )
    return OPERATOR_CHECKS.report(found.name, subject, checks)


def _seed(rng: Seed) -> int:
    if isinstance(rng, (int, np.integer)):
        return int(rng)
    return 0 if rng is None else int(rng.integers(2**31))
