"""The singular values of a layer: its rank, its condition and how it amplifies noise.

A layer that is invariant under shifts around a torus (periodic boundary, say) is one
small dense matrix per frequency, and all is known exactly at the cost of their singular
value decompositions. So it is for layers small enough to be written out. For others
there are bounds of both ends from products with the layer, and the torus as what their
interior does.

The matrices are those of a strided layer on cells of one stride, whose samples are
taken as channels (the polyphase form); compare Sedghi, Gupta and Long, "The singular
values of convolutional layers", ICLR 2019, for stride 1 without groups.
"""

import math
from dataclasses import dataclass

import numpy as np

from ._array import to_numpy
from ._lanczos import Estimate, extreme_singular_values
from ._operator import ConvLinearOperator
from ._polyphase import Polyphase
from ._spectrum import (
    Blocks,
    by_frequency,
    every_frequency,
    inverse_squares,
    why_not_torus,
)

__all__ = ["Estimate", "Spectrum", "singular_values", "spectrum"]

# Layers that are written out: the shorter side, and all entries.
DENSE_SIDE = 600
DENSE_ENTRIES = 2**22


@dataclass(frozen=True, repr=False, eq=False)
class Spectrum:
    """What the singular values of a layer say; made by `spectrum`.

    Attributes
    ----------
    input_shape, output_shape : tuple of int
        ``(C_in, *n)`` and ``(C_out, *m)``.
    exact : bool
        Whether `largest`, `smallest`, `rank` and what follows from them are exact (to
        rounding) and not bounds.
    periodic : bool
        Whether the layer is invariant under shifts around a torus. If not, `values`
        and `noise_gain_by_frequency` are those of the torus approximation, the layer
        with periodic boundary on as many cells: what the interior does. Its ends are
        no bounds of the layer's.
    values : ndarray, shape (groups, *cells, k)
        Singular values by frequency, descending, in the order of `numpy.fft.fftn` of a
        grid of cells; ``k = min(C_out, C_in * prod(stride)) / groups``.
    frequencies : tuple of ndarray
        The frequencies of `values` along each axis in cycles per sample. With a stride
        ``s``, one stands for all that are aliased to it, ``1 / s`` apart.
    largest, smallest : Estimate
        The ends of the ``min(m, n)`` singular values. The smallest is 0 where the layer
        has no full rank.
    smallest_nonzero : Estimate
        The smallest that does not count as zero; where not exact, just `smallest`.
    rank : int or None
        Singular values above `tolerance`; None where not exact.
    tolerance : float
        What rounding, of the kernel in its dtype and of the computation, may have made
        of a zero.
    noise_gain_by_channel : ndarray, shape (C_in,)
        Standard deviation of ``A^+ b``, per input channel, for white noise b of unit
        standard deviation: the root of the mean over the channel of the diagonal of
        ``(A^H A)^+``. Where not exact, that of the torus approximation.
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
        """`largest` by `smallest`, infinite without full rank.

        Where not exact a lower bound of it.
        """
        return _ratio(float(self.largest), float(self.smallest))

    @property
    def effective_condition(self) -> float:
        """`largest` by `smallest_nonzero`, the condition number of ``A^+``."""
        return _ratio(float(self.largest), float(self.smallest_nonzero))

    @property
    def noise_gain(self) -> float:
        """``||A^+||``, the most that noise is amplified; where not exact, at least."""
        if self.rank == 0:
            return 0.0
        return _ratio(1.0, float(self.smallest_nonzero))

    @property
    def noise_gain_by_frequency(self) -> np.ndarray:
        """``||B^+||`` of the matrix at each frequency, shape ``(groups, *cells)``."""
        kept = self.values > self.tolerance
        smallest = np.min(np.where(kept, self.values, np.inf), axis=-1)
        return 1 / smallest

    def __repr__(self):
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

    def plot(self, ax=None):
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
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                "Spectrum.plot needs matplotlib: pip install matplotlib"
            ) from error
        ax = plt.subplots()[1] if ax is None else ax
        draw = {1: _plot_curves, 2: _plot_image}.get(len(self.frequencies), _plot_all)
        draw(self, ax)
        return ax


def _plot_curves(result, ax):
    order = np.argsort(result.frequencies[0])
    for values in result.values:
        ax.semilogy(result.frequencies[0][order], values[order])
    ax.set(xlabel="cycles per sample", ylabel="singular values")


def _plot_image(result, ax):
    smallest = np.fft.fftshift(result.values.min(axis=(0, -1)))
    floor = np.maximum(smallest, max(result.tolerance, np.finfo(float).tiny))
    ends = [edge for f in result.frequencies[::-1] for edge in (f.min(), f.max())]
    image = ax.imshow(np.log10(floor), extent=ends, origin="lower", aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="log10 of the smallest singular value")
    ax.set(xlabel="cycles per sample", ylabel="cycles per sample")


def _plot_all(result, ax):
    ax.semilogy(np.sort(result.values, axis=None)[::-1])
    ax.set(xlabel="number", ylabel="singular value")


def spectrum(op, *, steps=None, rng=None) -> Spectrum:
    """The singular values of a layer, exact where that can be had.

    Exact for layers that are invariant under shifts around a torus: with periodic
    boundary (and the outputs that the stride and padding "same" give, the stride
    dividing the input), or with windows that do not overlap. Exact too for layers with
    ``min(m, n) <= 600`` and up to 2**22 entries, which are written out. For others,
    bounds of both ends from products, and the values of the torus approximation.

    Parameters
    ----------
    op : ConvLinearOperator
        On either library; the kernel is taken to the host.
    steps : int, optional
        Products with the layer and its adjoint, where bounds are all that can be had,
        and vectors of length ``min(m, n)`` that are stored; by default 100, or fewer
        where they would take more than 512 MB.
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
    The cost is one singular value decomposition of a ``C_out / groups`` by ``C_in /
    groups * prod(stride)`` matrix per group and frequency (half the frequencies if the
    kernel is real), and the storage the singular values. The bounds are Ritz values of
    Golub-Kahan bidiagonalisation: the largest is one from below, the smallest one from
    above. That of the smallest is far away for ill-conditioned layers; see its `error`.

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
    blocks = Blocks(op)
    values, variance = by_frequency(blocks)
    periodic, tolerance = blocks.layer.is_torus, blocks.tolerance
    values = every_frequency(blocks, values)
    wide = op.astype(np.result_type(op.dtype, np.float64))
    if periodic:
        ends, rank = _exact_ends(values, tolerance)
    elif _is_small(op):
        _, singular, vh = np.linalg.svd(wide.todense(), full_matrices=False)
        tolerance = _dense_tolerance(op, blocks)
        ends, rank = _exact_ends(singular, tolerance)
        variance = (np.abs(vh) ** 2).T @ inverse_squares(singular, tolerance)
    else:
        ends, rank = extreme_singular_values(wide, steps, rng), None
        ends = (*ends, ends[1])
    variance = variance.reshape(op.input_shape[0], -1).mean(axis=1)
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
        noise_gain_by_channel=np.sqrt(variance) / unit,
    )


def singular_values(op, *, which="all"):
    """All singular values of a layer that is periodic or small, in descending order.

    Parameters
    ----------
    op : ConvLinearOperator
        On either library; the kernel is taken to the host.
    which : {"all", "nonzero", "unknowns"}
        "all" gives ``min(m, n)`` values, as `numpy.linalg.svd` does; "nonzero" those
        that rounding cannot have made of zeros; "unknowns" n of them, the square roots
        of the eigenvalues of ``A^H A``, which appends zeros where m < n.

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
    kinds = ("all", "nonzero", "unknowns")
    if which not in kinds:
        raise ValueError(
            f"which must be one of {', '.join(map(repr, kinds))}, got {which!r}"
        )
    op, unit = _host(op)
    blocks = Blocks(op)
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
            f"{why_not_torus(op.geometry)}; convinv.spectra.spectrum has bounds"
        )
    values = np.sort(values, axis=None)[::-1]
    if which == "nonzero":
        values = values[values > tolerance]
    if which == "unknowns":
        values = np.pad(values, (0, op.shape[1] - len(values)))
    return values * unit


def _host(op):
    """`op` on the host, scaled to an ordinary size, and the power of two it was."""
    if not isinstance(op, ConvLinearOperator):
        raise TypeError(f"op must be a ConvLinearOperator, got {type(op).__name__}")
    kernel = to_numpy(op.kernel)
    if not np.all(np.isfinite(kernel)):
        raise ValueError("op's kernel holds NaN or infinity")
    size = float(max(np.abs(kernel.real).max(), np.abs(kernel.imag).max()))
    power = math.frexp(size)[1] if size else 0
    wide = kernel.astype(np.result_type(kernel.dtype, np.float64))
    for half in (power // 2, power - power // 2):  # neither over- nor underflows
        wide = wide * math.ldexp(1.0, -half)
    host = ConvLinearOperator(wide, op.input_shape, **op._options, dtype=kernel.dtype)
    return host, math.ldexp(1.0, power)


def _is_small(op):
    return min(op.shape) <= DENSE_SIDE and math.prod(op.shape) <= DENSE_ENTRIES


def _dense_tolerance(op, blocks):
    eps = float(np.finfo(op.dtype).eps)
    return blocks.scale * (eps + max(op.shape) * 2.0**-52)


def _exact_ends(values, tolerance):
    """The largest, the smallest and the smallest nonzero one, and the rank."""
    kept = values[values > tolerance]
    ends = [float(v) for v in (values.max(), values.min(), kept.min(initial=np.inf))]
    ends = [v if tolerance < v < np.inf else 0.0 for v in ends]
    return tuple(Estimate(v, tolerance, "exact") for v in ends), len(kept)


def _frequencies(op):
    """Cycles per sample of the frequencies of cells."""
    g = op.geometry
    axes = range(3 - g.ndim, 3)
    cells = Polyphase(g).cells
    return tuple(np.fft.fftfreq(cells[a]) / g.stride[a] for a in axes)


def _ratio(a, b):
    return a / b if b else math.inf
