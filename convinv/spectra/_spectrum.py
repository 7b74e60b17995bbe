"""The spectrum of a layer: exact values if possible, and otherwise bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .._core.arrays import to_numpy
from .._core.plotting import axes
from .._core.typing import OperatorInput, Seed
from .._core.validation import choice
from ..operators._base import check_layer
from ..operators._convolution import ConvLinearOperator
from ..operators._norm_bound import norm_bound
from ..operators._polyphase import Polyphase
from ..operators._symbol import Symbol, by_frequency, every_frequency, why_not_torus
from ._bounds import Estimate
from ._ends import bounds, decomposed, exact_ends
from ._plot import draw

# Largest layers that are written out: the shorter side, and all entries.
DENSE_SIDE = 2000
DENSE_ENTRIES = 2**24


@dataclass(frozen=True, repr=False, eq=False)
class Spectrum:
    """The singular values of a layer and results computed from them; see `spectrum`.

    Attributes
    ----------
    input_shape, output_shape : tuple of int
        ``(C_in, *n)`` and ``(C_out, *m)``.
    exact : bool
        Whether `largest`, `smallest`, `rank` and the results that depend on them are
        exact (to rounding) and not bounds.
    periodic : bool
        Whether the layer is invariant under shifts around a torus. If not, `values` and
        `noise_gain_by_frequency` are those of the torus approximation, the layer with
        periodic boundary on as many cells, which describes the interior. Its ends are
        no bounds of the layer's.
    values : ndarray, shape (groups, *cells, k)
        Singular values by frequency, descending, in the order of `numpy.fft.fftn` of a
        grid of cells; ``k = min(C_out, C_in * prod(stride)) / groups``.
    frequencies : tuple of ndarray
        The frequencies of `values` along each axis in cycles per sample. With a stride
        ``s``, one stands for all that are aliased to it, ``1 / s`` apart.
    largest, smallest : Estimate
        The ends of the ``min(m, n)`` singular values. The smallest is 0 if the layer
        does not have full rank.
    norm_bound : float
        An upper bound of the largest, for every boundary, and therefore a Lipschitz
        constant of the layer.
    smallest_nonzero : Estimate
        The smallest that does not count as zero; if not exact, equal to `smallest`.
    rank : int or None
        Singular values above `tolerance`; None where not exact.
    tolerance : float
        Size up to which rounding, of the kernel in its dtype and in the computation,
        may change a singular value of zero.
    noise_gain_by_channel : ndarray, shape (C_in,)
        Standard deviation of ``A^+ b``, per input channel, for white noise b of unit
        standard deviation: the root of the mean over the channel of the diagonal of
        ``(A^H A)^+``. If not exact, that of the torus approximation.
    """

    input_shape: tuple
    output_shape: tuple
    exact: bool
    periodic: bool
    values: np.ndarray
    frequencies: tuple
    largest: Estimate
    smallest: Estimate
    smallest_nonzero: Estimate
    rank: int | None
    tolerance: float
    noise_gain_by_channel: np.ndarray
    norm_bound: float

    @property
    def shape(self) -> tuple[int, int]:
        """``(m, n)``."""
        return math.prod(self.output_shape), math.prod(self.input_shape)

    @property
    def nullity(self) -> int | None:
        """The dimension of the null space, ``n - rank``; None where not exact."""
        return None if self.rank is None else self.shape[1] - self.rank

    @property
    def condition(self) -> float:
        """`largest` divided by `smallest`, infinite without full rank.

        If not exact, a lower bound.
        """
        return _ratio(float(self.largest), float(self.smallest))

    @property
    def effective_condition(self) -> float:
        """`largest` divided by `smallest_nonzero`, the condition number of ``A^+``."""
        return _ratio(float(self.largest), float(self.smallest_nonzero))

    @property
    def noise_gain(self) -> float:
        """``||A^+||``, the largest gain of noise; if not exact, a lower bound."""
        if self.rank == 0:
            return 0.0
        return _ratio(1.0, float(self.smallest_nonzero))

    @property
    def noise_gain_by_frequency(self) -> np.ndarray:
        """``||B^+||`` of the matrix at each frequency, shape ``(groups, *cells)``."""
        kept = self.values > self.tolerance
        smallest = np.min(np.where(kept, self.values, np.inf), axis=-1)
        with np.errstate(over="ignore"):
            return 1 / smallest

    def __repr__(self) -> str:
        m, n = self.shape
        how, at_least = ("exact", "") if self.exact else ("bounds", "at least ")
        gains = ", ".join(f"{g:.3g}" for g in self.noise_gain_by_channel[:8])
        gains += ", ..." if len(self.noise_gain_by_channel) > 8 else ""
        gains += "" if self.exact else " (torus approximation)"
        ends = [("largest", self.largest), ("smallest", self.smallest)]
        lines = [f"Spectrum of {self.input_shape} -> {self.output_shape} ({how})"]
        if self.rank is not None:
            rank = f"{self.rank} of {min(m, n)}, nullity {self.nullity}"
            lines.append(f"  rank:            {rank}")
            if self.rank < min(m, n):
                ends.append(("not zero", self.smallest_nonzero))
        lines += [f"  {name + ':':<16} {value}" for name, value in ends]
        lines += [
            f"  condition:       {at_least}{self.condition:.4g}",
            f"  noise gain:      {at_least}{self.noise_gain:.4g}",
            f"  noise gain by channel: {gains}",
        ]
        return "\n".join(lines)

    def plot(self, ax: Any = None) -> Any:
        """Draw the singular values by frequency with matplotlib.

        One axis: a curve for each singular value. Two: an image of the smallest of each
        frequency, logarithmic. Three: all values in descending order.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        ax = axes("Spectrum.plot", ax)
        draw(self, ax)
        return ax


def spectrum(
    op: OperatorInput, *, steps: int | None = None, rng: Seed = None
) -> Spectrum:
    """The singular values of a layer, exact if possible.

    Exact for layers that are invariant under shifts around a torus: with periodic
    boundary (the stride has to divide the image, and outputs have to be as many as its
    steps), or with windows that do not overlap. Exact too for layers with
    ``min(m, n) <= 2000`` and up to 2**24 entries, which are written out. For others,
    bounds of both ends, and the values of the torus approximation.

    Parameters
    ----------
    op : ConvLinearOperator
        Or the adjoint of one, of either library; the kernel is copied to the host.
    steps : int, optional
        If values are not exact: number of products with the layer and its adjoint for
        the bound of the largest, and of stored vectors of length ``min(m, n)``. By
        default 100, or fewer if these would take more than 512 MB.
    rng : None, int or numpy.random.Generator
        Source of the start vector of the bounds.

    Returns
    -------
    Spectrum

    Raises
    ------
    TypeError, ValueError
        If `op` is no ConvLinearOperator, or `steps` not a positive integer.

    Notes
    -----
    The cost is one singular value decomposition of a ``C_out / groups`` by
    ``C_in / groups * prod(stride)`` matrix per group and frequency (half the
    frequencies if the kernel is real); the singular values are stored. Small layers
    cost a dense decomposition, up to some seconds.

    The bound of the largest is a lower bound, a Ritz value of Golub-Kahan
    bidiagonalization. That of the smallest is an upper bound, ``||A v||`` of the best v
    that inverse iteration finds (Davidson's method) with the inverse that `solve` uses,
    which is set up for it. Both are usually right to a thousandth, also for layers that
    are ill-conditioned or singular; their ``error`` is certain. ``norm_bound`` is
    proven: the norm of the layer on a torus around the padded image times that of the
    padding, or ``sqrt(||A||_1 ||A||_inf)`` where that is less.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator
    >>> from convinv.spectra import spectrum
    >>> op = ConvLinearOperator(np.array([[[1.0, 1.0]]]), (1, 8), padding="same",
    ...                         boundary="periodic")
    >>> found = spectrum(op)  # an average of two: zero at half a cycle per sample
    >>> found.rank, found.nullity, found.condition
    (7, 1, inf)
    >>> round(found.effective_condition, 3)
    2.613
    """
    op, unit = _host(op)
    if steps is not None and (not isinstance(steps, (int, np.integer)) or steps < 1):
        raise ValueError(f"steps must be a positive integer, got {steps!r}")
    blocks = Symbol(op)
    values, variance = by_frequency(blocks)
    periodic, tolerance = blocks.layer.is_torus, blocks.tolerance
    values = every_frequency(blocks, values)
    wide = op.astype(np.result_type(op.dtype, np.float64))
    if periodic:
        ends, rank = exact_ends(values, tolerance)
    elif _is_small(op):
        tolerance = _dense_tolerance(op, blocks)
        singular, variance = decomposed(wide.todense(), tolerance)
        ends, rank = exact_ends(singular, tolerance)
    else:
        # the ends come from products with the whole operator, whose rounding adds up
        tolerance += blocks.scale * math.sqrt(max(op.shape)) * 2.0**-52
        ends, rank = bounds(wide, steps, rng), None
    variance = variance.reshape(op.input_shape[0], -1).mean(axis=1)
    largest = float(ends[0])
    bound = largest + tolerance if rank is not None else norm_bound(wide.layer)
    with np.errstate(over="ignore"):
        gains = np.sqrt(variance) / unit
    return Spectrum(
        input_shape=op.input_shape,
        output_shape=op.output_shape,
        exact=rank is not None,
        periodic=periodic,
        values=values * unit,
        frequencies=_frequencies(op),
        largest=ends[0]._times(unit),
        smallest=ends[1]._times(unit),
        smallest_nonzero=ends[2]._times(unit),
        rank=rank,
        tolerance=tolerance * unit,
        noise_gain_by_channel=gains,
        norm_bound=bound * unit,
    )


def singular_values(
    op: OperatorInput, *, which: Literal["all", "nonzero", "unknowns"] = "all"
) -> np.ndarray:
    """All singular values of a layer that is periodic or small, in descending order.

    Parameters
    ----------
    op : ConvLinearOperator
        Or the adjoint of one, of either library; the kernel is copied to the host.
    which : {"all", "nonzero", "unknowns"}
        "all" gives ``min(m, n)`` values, as `numpy.linalg.svd` does; "nonzero" those
        above the size of rounding errors; "unknowns" n of them, the square roots of the
        eigenvalues of ``A^H A``, which appends zeros where m < n.

    Returns
    -------
    ndarray, shape (k,)
        In double precision.

    Raises
    ------
    TypeError
        If `op` is no ConvLinearOperator.
    ValueError
        For a layer that is neither invariant under shifts around a torus nor small (see
        `spectrum`, which has bounds for it).

    Notes
    -----
    The cost is that of a singular value decomposition of one small matrix per frequency
    (see `spectrum`).

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator
    >>> from convinv.spectra import singular_values
    >>> op = ConvLinearOperator(np.ones((1, 1, 2)), (1, 6), stride=2)
    >>> singular_values(op, which="unknowns").round(3)
    array([1.414, 1.414, 1.414, 0.   , 0.   , 0.   ])
    """
    choice(which, "which", ("all", "nonzero", "unknowns"))
    op, unit = _host(op)
    blocks = Symbol(op)
    if blocks.layer.is_torus:
        values, _ = by_frequency(blocks, vectors=False)
        values, tolerance = every_frequency(blocks, values), blocks.tolerance
    elif _is_small(op):
        wide = op.astype(np.result_type(op.dtype, np.float64))
        values = np.linalg.svd(wide.todense(), compute_uv=False)
        tolerance = _dense_tolerance(op, blocks)
    else:
        raise ValueError(
            "op has too many singular values to compute them all without a torus, and "
            f"{why_not_torus(op.layer.geometry)}; convinv.spectra.spectrum has "
            "bounds, and numpy.linalg.svd(op.todense(), compute_uv=False) all values, "
            f"of a matrix of shape {op.shape}"
        )
    values = np.sort(values, axis=None)[::-1]
    if which == "nonzero":
        values = values[values > tolerance]
    if which == "unknowns":
        values = np.pad(values, (0, op.shape[1] - len(values)))
    return values * unit


def _host(op):
    """`op` on the host, scaled to an ordinary size, and the power of two."""
    check_layer(op)
    layer = op.layer
    kernel = to_numpy(layer.kernel)
    if not np.all(np.isfinite(kernel)):
        raise ValueError("op's kernel holds NaN or infinity")
    size = float(max(np.abs(kernel.real).max(), np.abs(kernel.imag).max()))
    power = math.frexp(size)[1] if size else 0
    wide = kernel.astype(np.result_type(kernel.dtype, np.float64))
    for half in (power // 2, power - power // 2):  # so that nothing over- or underflows
        wide = wide * math.ldexp(1.0, -half)
    host = ConvLinearOperator(
        wide, layer.input_shape, **layer.options, dtype=kernel.dtype
    )
    return host if op is layer else host.H, math.ldexp(1.0, power)


def _is_small(op):
    return min(op.shape) <= DENSE_SIDE and math.prod(op.shape) <= DENSE_ENTRIES


def _dense_tolerance(op, blocks):
    eps = float(np.finfo(op.dtype).eps)
    return blocks.scale * (eps + max(op.shape) * 2.0**-52)


def _frequencies(op):
    """Cycles per sample of the frequencies of cells."""
    g = op.layer.geometry
    axes = range(3 - g.ndim, 3)
    cells = Polyphase(g).cells
    return tuple(np.fft.fftfreq(cells[a]) / g.stride[a] for a in axes)


def _ratio(a, b):
    return a / b if b else math.inf
