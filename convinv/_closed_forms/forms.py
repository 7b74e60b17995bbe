"""Layers that a known transform block-diagonalizes, and their exact inverses.

The blocks are one small matrix per frequency or window, or single numbers. The geometry
and the kernel's values determine the transform.
"""

import abc
import functools
import math
from typing import NamedTuple

import numpy as np

from .._core.errors import Singular
from .._core.rates import rates_of
from .._linalg.small_inverses import SMALL
from ..operators._cells import cells_of
from ..operators._polyphase import Polyphase
from ..operators._symbol import Symbol, why_not_torus
from . import by_frequency, separable as separable_svd, stacked
from .cosine import CosineSymbol, cosine_type
from .patches import PatchSymbol, is_patches
from .separable import Decomposition
from .separable_kernel import LONGEST, count_vectors, factors_of, longest_side

# Seconds of this package's kernels on two cores; only their ratios matter. Rates of
# other loops than these, and those of devices, are in `_core.rates`: of streams where
# here axes are reordered, of single large products where here many are made.
PRODUCT_RATE = {4: 60e9, 8: 30e9}  # multiply-adds of matrix products in a second
BANDWIDTH = 6e9  # bytes per second of copies that reorder axes
MULTIPLICATION = {4: 0.25e-9, 8: 0.5e-9}  # one by the matrix of a frequency
SMALL_MATRIX, ENTRY = 30e-9, 3e-9  # a small matrix among many, and one of its products
LARGE_MATRIX = 15e-6  # a matrix by LAPACK, in addition to its products
COMPLEX = 2.5  # cost of complex matrices, in units of real ones
FACTOR_RATE = 10e9  # multiply-adds of inverses and SVDs in a second
SVD = 5  # multiply-adds of one, in units of the cube of its size
CALL = 25e-6  # an array operation


class Speeds(NamedTuple):
    """Seconds of a call, of a number of a transform and of one multiplication.

    And rates of matrix products, in multiply-adds, and of copies, in bytes.
    """

    call: float
    transform: float
    multiplication: float
    products: float
    bandwidth: float


def _speeds(op) -> Speeds:
    """Those for the arrays of `op`, of its precision."""
    rates, real = rates_of(op.xp), _real_size(op.dtype)
    transform = rates.transform[real]
    if op.xp is np:
        products = PRODUCT_RATE[real]
        return Speeds(CALL, transform, MULTIPLICATION[real], products, BANDWIDTH)
    products = rates.multiply[real] / 2
    channel = rates.channel[real]
    return Speeds(rates.apply, transform, channel, products, rates.bandwidth)


class ClosedForm(abc.ABC):
    """The closed form of a layer, as the chooser and the solvers use it.

    Attributes
    ----------
    reason : str
        The property of the layer that makes it possible, a sentence for users.
    orthonormal : bool
        Whether the transform is orthonormal. If not, there are neither singular values
        nor a damp, and `inverse` raises Singular for a layer without full rank.
    setup : float
        Seconds of the set-up, about.
    nbytes : int
        Bytes of the set-up that are kept, about.
    """

    reason: str
    orthonormal: bool
    setup: float
    nbytes: int

    @abc.abstractmethod
    def application(self, batch) -> float:
        """Seconds of an application to a batch, about."""

    @abc.abstractmethod
    def scratch(self, damped) -> int:
        """Numbers per item that an application holds besides data and unknowns."""

    @abc.abstractmethod
    def inverse(self, damp=0.0, rcond=None):
        """The pseudoinverse as an object with `apply`, `zeros` and `count`.

        It is ``(A^H A + damp^2)^-1 A^H`` with `damp`. Singular values up to `rcond`
        times the largest count as zero; by default those up to the size of rounding
        errors.
        """

    @abc.abstractmethod
    def remainder(self, damp=0.0):
        """``damp^2 (A^H A + damp^2)^-1``, as an object like that of `inverse`.

        Without `damp` this is the projection onto the null space.
        """

    def seconds(self, batch) -> float:
        """Seconds of a solve, set-up included."""
        return self.setup + self.application(batch)


class FrequencyForm(ClosedForm):
    """One small matrix per frequency of a transform, or a single one for all windows.

    Parameters
    ----------
    op : ConvLinearOperator or its adjoint
    make : callable
        Makes the `Symbol` of an operator.
    reason : str
    shape : tuple of int
        Rows and columns of a matrix.
    matrices, cells : int
        How many matrices a group has, and how many positions in the image.
    is_complex : bool
        Whether the matrices are complex.
    """

    def __init__(
        self, op, make, reason, shape, matrices, cells, is_complex, orthonormal=True
    ):
        self._op, self._make = op, make
        self.reason, self.orthonormal = reason, orthonormal
        self._matrices, self._cells = matrices, cells
        groups = op.layer.geometry.groups
        small, large = sorted(shape)
        one = small**2 * (1.5 * large + small)  # multiplications of an inverse
        if small <= SMALL:
            one = SMALL_MATRIX + ENTRY * one
        else:
            one = LARGE_MATRIX + one / FACTOR_RATE
        self.setup = one * groups * matrices * (COMPLEX if is_complex else 1)
        self._real, self._itemsize = _real_size(op.dtype), op.dtype.itemsize
        self._entries, self._vectors = groups * small * large, sum(op.shape)
        size = self._real * (2 if is_complex else 1)
        self.nbytes = self._entries * matrices * size
        self._gathers = matrices == 1 and op is not op.layer

    def application(self, batch):
        real, numbers = self._real, batch * self._vectors
        ratio = self._itemsize // real
        products = batch * self._entries * self._cells * ratio
        fast = _speeds(self._op)
        if self._matrices == 1:
            moved = numbers * self._itemsize
            products *= ratio
            return fast.call + products / fast.products + moved / fast.bandwidth
        transform = fast.transform * math.log2(max(self._cells, 2)) * ratio
        return fast.call + transform * numbers + fast.multiplication * products

    def scratch(self, damped):
        return self._op.shape[0] if self._gathers else 0

    def blocks(self):
        """The matrices, made slab by slab."""
        return self._make(self._op)

    def inverse(self, damp=0.0, rcond=None):
        found = by_frequency.inverse(self.blocks(), damp, rcond)
        if found.zeros and not self.orthonormal:
            raise Singular(
                f"{found.zeros} of {found.count} eigenvalues of the layer are zero, "
                "and its boundary 'reflect' has a closed form for full rank alone",
                [],
            )
        return found

    def remainder(self, damp=0.0):
        return by_frequency.remainder(self.blocks(), damp)


class SeparableForm(ClosedForm):
    """One SVD per axis and one of the channels.

    Parameters
    ----------
    op : ConvLinearOperator or its adjoint
    factors : Factors
        Of the kernel of the layer.
    layer : SeparableForm, optional
        The layer's own form if `op` is its adjoint: they share the SVDs.
    """

    reason = "the kernel is separable: one small SVD per axis"
    orthonormal = True

    def __init__(self, op, factors, layer=None):
        self._op, self.factors, self._layer = op, factors, layer
        self._adjoint = op is not op.layer
        g = op.layer.geometry
        sides = [(factors.channels, g.c_out // g.groups, g.c_in // g.groups)]
        sides += zip(factors.taps, g.output, g.input)
        sides = [side for side in sides if side[1:] != (1, 1)]
        real = _real_size(op.dtype)
        self._work = (op.dtype.itemsize // real) ** 2  # of a multiplication
        self._ranks = [min(m, n) for _, m, n in sides]
        self._samples = max(op.shape)
        entry = SVD * self._work / FACTOR_RATE
        self.setup = sum(
            groups * (CALL + entry * min(m, n) ** 2 * max(m, n))
            # equal axes usually share one
            for groups, m, n, _ in {(len(t), m, n, t.tobytes()) for t, m, n in sides}
        )
        vectors = count_vectors(g, factors) * op.dtype.itemsize
        self.nbytes = vectors + min(op.shape) * (8 + real)

    def application(self, batch):
        work = 2 * sum(self._ranks) * batch * self._samples * self._work
        fast = _speeds(self._op)
        return 2 * fast.call * len(self._ranks) + work / fast.products

    def scratch(self, damped):
        # with a start, its part outside the singular vectors
        found = math.prod(self._ranks) * self._op.layer.geometry.groups
        return self._samples if damped and found < self._op.shape[1] else 0

    @functools.cached_property
    def decomposition(self):
        """The SVDs, computed on first use."""
        if self._layer is not None:
            return self._layer.decomposition
        return Decomposition(self._op, self.factors)

    def inverse(self, damp=0.0, rcond=None):
        return separable_svd.inverse(self.decomposition, self._adjoint, damp, rcond)

    def remainder(self, damp=0.0):
        return separable_svd.remainder(self.decomposition, self._adjoint, damp)


class StackForm(ClosedForm):
    """One small matrix per frequency of a transform that suits a stack's operators.

    Parameters
    ----------
    op : StackedOperator
        Of convolutions.
    cells : Polyphase
    bins : int
        Frequencies for which there are matrices.
    is_complex : bool
        Whether they are complex.
    """

    reason = "the operators of the stack share a transform: one matrix per frequency"
    orthonormal = True

    def __init__(self, op, cells, bins, is_complex):
        self._op, self._cells = op, cells
        self._real = _real_size(op.dtype)
        entries = cells.groups * cells.channels**2 * bins
        self.setup = CALL + entries * (SMALL_MATRIX + 16 / BANDWIDTH)
        self.nbytes = entries * self._real * (2 if is_complex else 1)
        self._entries = entries

    def application(self, batch):
        numbers, fast = batch * self._op.shape[1], _speeds(self._op)
        transform = fast.transform * math.log2(max(math.prod(self._cells.cells), 2))
        data = batch * self._op.shape[0] * self._op.dtype.itemsize / fast.bandwidth
        products = fast.multiplication * batch * self._entries
        return fast.call + 2 * transform * numbers + products + data

    def scratch(self, damped):
        return 2 * self._op.shape[1]

    def inverse(self, damp=0.0, rcond=None):
        stacked.refuse_rcond(rcond)
        return stacked.StackInverse(self._op, damp)

    def remainder(self, damp=0.0):
        return stacked.StackInverse(self._op, damp, factor=damp**2, from_data=False)


def closed_form(op) -> ClosedForm | None:
    """The closed form of a layer, of its adjoint or of a stack, None if it has none.

    Finding it costs some passes over the kernel; the first filter refuses most kernels.
    It is kept with the layer, without its set-up except the SVDs of separable layers,
    which are computed once.
    """
    layer = op.layer
    if layer is None:
        (found,) = op.cached(("closed form",), lambda: (_of_stack(op.bare()),))
        return found
    (found,) = layer.cached(("closed form",), lambda: (_find(layer.bare()),))
    if op is layer or found is None:
        return found
    return layer.cached(
        ("closed form", "adjoint"), lambda: _find(layer.bare().H, found)
    )


def _of_stack(op):
    found = stacked.common_transform(op)
    if found is None:
        return None
    bins = math.prod(found.bins)
    return StackForm(op, cells_of(op), bins, found.kind.kind == "c")


def _find(op, of_layer=None):
    g = op.layer.geometry
    layer = Polyphase(g)
    shape, cells = (layer.filters, layer.channels), math.prod(layer.cells)
    is_complex = op.dtype.kind == "c"
    if is_patches(g):
        reason = "windows do not overlap: one small matrix for all of them"
        window = (layer.filters, g.c_in // g.groups * math.prod(g.kernel))
        outputs = math.prod(g.output)
        return FrequencyForm(op, PatchSymbol, reason, window, 1, outputs, is_complex)
    if layer.is_torus:
        reason = "the layer is periodic: one small matrix per frequency"
        bins = cells if is_complex else cells // 2 + 1
        return FrequencyForm(op, Symbol, reason, shape, bins, cells, True)
    kind, departure = cosine_type(op) or (None, 0.0)
    make = functools.partial(CosineSymbol, type=kind, departure=departure)
    reason = "the kernel is even: one small matrix per frequency of a cosine transform"
    # the CUDA kernels have no cosine transform
    kind = kind if op.xp is np else None
    if kind == 2:
        return FrequencyForm(op, make, reason, shape, cells, cells, is_complex)
    if isinstance(of_layer, SeparableForm):
        return SeparableForm(op, of_layer.factors, of_layer)
    factors = factors_of(op)
    if factors is not None:
        return SeparableForm(op, factors)
    if kind == 1 and shape[0] == shape[1]:
        return FrequencyForm(
            op, make, reason, shape, cells, cells, is_complex, orthonormal=False
        )
    return None


def why_no_closed_form(op) -> str:
    """Why a layer has no closed form, in words."""
    if op.layer is None:
        return "its convolutions are not all periodic or all symmetric and even"
    g = op.layer.geometry
    separable = "its kernel is not separable"
    if longest_side(g) > LONGEST:
        separable = (
            f"it is longer than the {LONGEST} samples or channels up to which "
            "separable kernels are decomposed"
        )
    elif g.groups > 1:
        separable += ", or its groups take too many SVDs"
    even = "its boundary is not 'symmetric'"
    if g.boundary == "symmetric":
        even = "its kernel or its padding is not even along every axis"
        even = even if op.xp is np else "its arrays are on a device"
    windows = "windows overlap or leave the image"
    return f"{windows}, {why_not_torus(g)}, {separable}, and {even}"


def _real_size(dtype):
    """Bytes of a real number of a dtype."""
    return dtype.itemsize // (2 if dtype.kind == "c" else 1)
