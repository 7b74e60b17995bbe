"""Kernels whose layers have singular values between two bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .._core.typing import AnyArray, OperatorInput
from .._core.validation import integer, number
from ..operators._convolution import kernel_of
from ..operators._polyphase import Polyphase
from ..operators._symbol import Symbol, matrices_last, taps_of_symbol
from ._leading import blocks_of, leading_triplet
from ._spectrum import _host

ENOUGH = 1e-3  # beyond the bounds, relative to the upper one, at which steps end


@dataclass(frozen=True, eq=False)
class Clipped:
    """What `clip_singular_values` and `orthogonalize` have found.

    Attributes
    ----------
    kernel : array
        Like that of the layer, in its library and dtype.
    before, largest : float
        The largest singular value of the layer before and after, to about a millionth.
    smallest : float
        The smallest singular value afterwards on a torus: that of the layer, for a
        layer on one (see `spectrum`) with a kernel no wider than the image. The
        smallest of other layers may be far below, as their borders have a part in it.
    deviation : float
        How far singular values on that torus are outside the bounds, at most.
    steps : int
    """

    kernel: AnyArray
    before: float
    largest: float
    smallest: float
    deviation: float
    steps: int

    def __repr__(self) -> str:
        return (
            f"Clipped(before={self.before:.4g}, largest={self.largest:.4g}, "
            f"smallest={self.smallest:.4g}, deviation={self.deviation:.2g}, "
            f"steps={self.steps})"
        )


def clip_singular_values(
    op: OperatorInput, lo: float = 0.0, hi: float = 1.0, *, maxiter: int = 20
) -> Clipped:
    """A kernel near that of a layer whose singular values lie between two bounds.

    Parameters
    ----------
    op : ConvLinearOperator
        Or the adjoint of one, of either library; the kernel is copied to the host.
    lo, hi : float
        The bounds, ``0 <= lo <= hi``.
    maxiter : int
        Steps, at most.

    Returns
    -------
    Clipped

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value.

    Notes
    -----
    A step decomposes the matrices at all frequencies of the torus, clips their singular
    values, and takes the nearest kernel of the same size [1]_. Clipping gives a kernel
    as large as the image, so that some values are outside the bounds again; steps end
    where these are within a thousandth of `hi`. At last the kernel is divided by the
    largest singular value of the layer itself, with its own boundary, over `hi`, if it
    is above: `hi` holds to the accuracy of that value, `lo` as ``smallest`` and
    ``deviation`` say. The nearest kernel within the bounds may be a little nearer.

    References
    ----------
    .. [1] H. Sedghi, V. Gupta, P. M. Long, "The singular values of convolutional
       layers", ICLR 2019, arXiv:1805.10408.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator
    >>> from convinv.spectra import clip_singular_values, norm_bounds
    >>> kernel = np.random.default_rng(0).standard_normal((4, 4, 3, 3))
    >>> op = ConvLinearOperator(kernel, (4, 16, 16), padding=1)
    >>> found = clip_singular_values(op, hi=1.0)
    >>> found.before > 8, bool(0.99 < found.largest <= 1)
    (True, True)
    >>> norm_bounds(op.with_kernel(found.kernel))[0] <= 1
    True
    """
    lo, hi = number(lo, "lo"), number(hi, "hi", positive=True)
    if lo > hi:
        raise ValueError(f"lo must not be above hi, got lo={lo!r} and hi={hi!r}")
    return _moved(op, lo, hi, maxiter, bounded=True)


def orthogonalize(
    op: OperatorInput, gain: float = 1.0, *, maxiter: int = 100
) -> Clipped:
    """A kernel near that of a layer whose singular values are nearly all the same.

    With ``gain=1`` the layer has nearly orthonormal columns, if it has at least as many
    outputs as inputs, and otherwise rows.

    Parameters
    ----------
    op : ConvLinearOperator
        Or the adjoint of one, of either library; the kernel is copied to the host.
    gain : float
        The singular value, positive.
    maxiter : int
        Steps, at most.

    Returns
    -------
    Clipped
        Its ``deviation`` is that from `gain` on the torus: a kernel of a given size can
        be orthogonal without it being near the layer's. Singular values that remain
        zero at some frequency cannot be told apart from the direction to take.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value.

    Notes
    -----
    As `clip_singular_values` with both bounds at `gain`, which takes the unitary polar
    factor at every frequency, and without the division at the end.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator
    >>> from convinv.spectra import orthogonalize
    >>> kernel = np.random.default_rng(0).standard_normal((16, 4, 3, 3))
    >>> op = ConvLinearOperator(kernel, (4, 8, 8), padding=1, boundary="periodic")
    >>> orthogonalize(op).deviation < 0.05
    True
    """
    gain = number(gain, "gain", positive=True)
    return _moved(op, gain, gain, maxiter, bounded=False)


def _moved(op, lo, hi, maxiter, bounded):
    maxiter = integer(maxiter, "maxiter", 1)
    host, unit = _host(op)
    layer = host.layer.astype(np.result_type(host.dtype, np.float64))
    low, high = lo / unit, hi / unit
    before, layer = _largest(layer), layer.bare()
    torus, cells = _torus(layer), Polyphase(layer.geometry)
    for step in range(maxiter + 1):
        blocks = Symbol(layer, torus)
        whole, smallest, largest = _clipped(blocks, low, high)
        outside = max(largest - high, low - smallest, 0.0)
        if outside <= ENOUGH * high or step == maxiter:
            break
        weights = taps_of_symbol(cells, whole, torus, blocks.real)
        layer = layer.with_kernel(kernel_of(layer, weights))
    after = _largest(layer)
    factor = min(high / after, 1.0) if bounded and after else 1.0
    ends = smallest * factor, largest * factor
    kernel = (layer.kernel * factor * unit).astype(op.dtype)
    return Clipped(
        kernel=op.xp.asarray(kernel),
        before=before * unit,
        largest=after * factor * unit,
        smallest=ends[0] * unit,
        deviation=max(ends[1] - high, low - ends[0], 0.0) * unit,
        steps=step,
    )


def _largest(layer):
    """The largest singular value of the layer itself, a little above a Ritz value."""
    blocks = blocks_of(layer)
    if blocks is not None:
        return blocks.largest()
    found = leading_triplet(layer)
    return found.value + min(found.error, 1e-6 * found.value)


def _torus(layer):
    """The cells of the layer, or as many as its taps need not to meet."""
    cells = Polyphase(layer.geometry)
    ahead, _ = zip(*cells.offsets())
    spans = (int(q.max() - q.min()) + 1 for q in ahead)
    return tuple(map(max, zip(cells.cells, spans)))


def _clipped(blocks, low, high):
    """The symbol with clipped singular values, and the ends of those that it had."""
    whole, smallest, largest = blocks.empty(*blocks.shape[1:]), math.inf, 0.0
    for down, across, slab in blocks.slabs():
        u, s, vh = np.linalg.svd(matrices_last(slab), full_matrices=False)
        smallest, largest = min(smallest, float(s.min())), max(largest, float(s.max()))
        near = (u * np.clip(s, low, high)[..., None, :]) @ vh
        whole[..., down, across] = np.moveaxis(near, (0, 1), (3, 4))
    return whole.reshape(*blocks.shape, *blocks.bins), smallest, largest
