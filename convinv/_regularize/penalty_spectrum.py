"""Generalized singular values of an operator and a penalty, and the data along them.

Where a transform takes A and L apart, ``||A x - b||^2 + damp^2 ||L x||^2`` falls into
one small problem per frequency. With ``C^H (A^H A) C = diag(s^2)`` and ``C^H (L^H L) C
= I`` its minimizer leaves ``damp^2 / (s^2 + damp^2)`` of each component of b: the rules
for `damp` read the pairs of values as they read singular values. What L does not see
has an infinite value.
"""

import math

import numpy as np
import scipy.fft

from .._closed_forms.stacked import normal_of, symbols_of
from .._core.arrays import to_numpy
from ..operators._cells import cells_of, coarsened
from ..operators._polyphase import Polyphase
from ..operators._stacked import StackedOperator
from ..operators._symbol import whole_symbol
from .criteria import DataSpectrum
from .data_spectrum import Shells, dense_matrix

MOST = 16  # channels of a cell up to which small problems are solved together
UNSEEN = 1e-13  # of the largest eigenvalue, one that counts as zero
DENSE = 1024  # unknowns up to which matrices are formed
BYTES = 2**29  # of the small problems, at most


def exact_spectrum(op, penalties, b) -> DataSpectrum | None:
    """The `DataSpectrum` if one transform takes all operators apart, else None."""
    stack = StackedOperator([op, *penalties])
    if not (op.is_convolution and stack.convolutions) or _is_large(op):
        return None
    symbols = symbols_of(stack)
    if symbols is None or not hasattr(symbols[0], "slabs"):
        return None
    symbol, cells = symbols[0], cells_of(stack)
    if cells.groups != symbol.shape[0]:
        return None
    bins = symbol.bins[0] * symbol.bins[1], symbol.bins[2]
    matrices = symbol.empty(symbol.shape[1], symbol.shape[2])
    for down, across, slab in symbol.slabs():
        matrices[..., down, across] = slab
    seen = sum(coarsened(normal_of(s), cells.groups) for s in symbols[1:])
    parts = _parts(symbol.pack(to_numpy(b), data=True), symbol.transform, symbol.real)
    weight = np.broadcast_to(symbol.multiplicity, bins).ravel()
    squares = np.broadcast_to(symbol.squares(), bins).ravel()
    return _spectrum(matrices, seen, parts, weight, squares, b.size)


def torus_spectrum(op, penalties, b) -> DataSpectrum | None:
    """The `DataSpectrum` as if the data lay on a torus, None without convolutions.

    The jumps between opposite borders of the data are taken out first.
    """
    pairs = op.weighted_convolutions
    parts = [part for penalty in penalties for part in penalty.convolutions]
    if len(pairs) != 1 or not all(penalty.convolutions for penalty in penalties):
        return None
    layer = pairs[0][0]
    kinds = {part.dtype.kind for part in (layer, *parts)}
    if _is_large(layer) or len(kinds) > 1:
        return None
    g, torus = layer.geometry, layer.geometry.output
    groups = math.gcd(g.groups, *(part.geometry.groups for part in parts))
    matrices = whole_symbol(Polyphase(g), layer.weights, torus)
    matrices = coarsened(matrices, groups)
    seen = 0.0
    for part in parts:
        own = part.geometry._replace(stride=g.stride)  # as often as cells
        more = math.prod(g.stride) / math.prod(part.geometry.stride)
        symbol = whole_symbol(Polyphase(own), part.weights, torus)
        symbol = coarsened(symbol, groups)
        seen = seen + more * np.einsum("gfp...,gfq...->gpq...", symbol.conj(), symbol)
    images = to_numpy(b).reshape((len(b), groups, -1, *torus))
    real = kinds != {"c"}
    transform = scipy.fft.rfftn if real else scipy.fft.fftn
    found = _parts(
        _periodic(images),
        lambda v: transform(v, axes=(-3, -2, -1), norm="ortho"),
        real,
    )
    last = torus[2]
    weight = np.ones(matrices.shape[3:])
    if real:
        weight[..., 1 : (last + 1) // 2] = 2
    ends = [np.fft.fftfreq(n) ** 2 for n in torus]
    ends[2] = ends[2][: matrices.shape[5]]
    squares = ends[0][:, None, None] + ends[1][:, None] + ends[2]
    return _spectrum(matrices, seen, found, weight.ravel(), squares.ravel(), b.size)


def dense_penalty_spectrum(op, penalties, b) -> DataSpectrum | None:
    """The `DataSpectrum` of small operators, from their matrices; None for others.

    It has no power of the residual by frequency.
    """
    m, n = op.shape
    if n > DENSE or m * n > DENSE**2:
        return None
    matrix = dense_matrix(op, b)
    if matrix.shape[0] < n:  # rows of zeros change nothing
        matrix = np.concatenate([matrix, np.zeros((n - m, n))])
    seen = sum(part.conj().T @ part for part in (dense_matrix(p, b) for p in penalties))
    data = np.zeros((len(b), matrix.shape[0]), np.result_type(b.dtype, matrix.dtype))
    data[:, :m] = b
    one = np.ones(1)
    parts = data[:, None, :, None]
    spectrum = _spectrum(
        matrix[None, :, :, None], seen[None, ..., None], parts, one, one, b.size
    )
    spectrum.counts = np.full(n, float(len(b)))
    spectrum.power = spectrum.share = None
    return spectrum


def fits_torus(op) -> bool:
    """Whether a spectrum of a layer on a torus costs little."""
    return not _is_large(op)


def _is_large(op):
    layer = Polyphase(op.geometry)
    size = layer.groups * layer.channels * (layer.channels + layer.filters)
    too_many = 16 * size * math.prod(layer.cells) > BYTES
    return layer.channels > MOST or too_many


def _parts(images, transform, real):
    """The transform of ``(B, groups, filters, *torus)``, frequencies in one axis."""
    if real and images.dtype.kind == "c":
        images = np.concatenate([images.real, images.imag])
    images = images.astype(np.result_type(images.dtype, np.float64), copy=False)
    parts = transform(images)
    return parts.reshape((*parts.shape[:3], -1))


def _periodic(images):
    """Images without the smooth part that holds the jumps between opposite borders.

    L. Moisan, "Periodic plus smooth image decomposition", J. Math. Imaging Vis. 39
    (2011).
    """
    jumps, below = np.zeros_like(images), 0.0
    for axis in range(-3, 0):
        n = images.shape[axis]
        if n == 1:
            continue
        first, last = [slice(None)] * images.ndim, [slice(None)] * images.ndim
        first[axis], last[axis] = slice(0, 1), slice(n - 1, n)
        jump = images[tuple(last)] - images[tuple(first)]
        jumps[tuple(first)] += jump
        jumps[tuple(last)] -= jump
        shape = [n if a == axis else 1 for a in range(-3, 0)]
        below = below + (2 * np.cos(2 * np.pi * np.arange(n) / n) - 2).reshape(shape)
    if np.ndim(below) == 0:
        return images
    below.flat[0] = 1
    smooth = scipy.fft.fftn(jumps, axes=(-3, -2, -1)) / below
    smooth[..., 0, 0, 0] = 0
    smooth = scipy.fft.ifftn(smooth, axes=(-3, -2, -1), overwrite_x=True)
    return images - (smooth if images.dtype.kind == "c" else smooth.real)


def _spectrum(matrices, seen, parts, weight, squares, data):
    """The `DataSpectrum` of matrices ``(groups, q, c, ...)`` and ``L^H L`` of them."""
    groups, filters, channels = matrices.shape[:3]
    matrices = matrices.reshape((groups, filters, channels, -1))
    seen = np.broadcast_to(seen, (groups, channels, channels, *np.shape(seen)[3:]))
    seen = seen.reshape((groups, channels, channels, -1))
    if channels == 1:
        values, along = _single(matrices[:, :, 0], seen[:, 0, 0].real, parts)
    else:
        values, along = _several(matrices, seen, parts)
    energy = np.sum(np.abs(along) ** 2, axis=0)  # (groups, c, frequencies)
    whole = np.sum(np.abs(parts) ** 2, axis=(0, 2))
    rest = np.maximum(whole - energy.sum(axis=1), 0) * weight
    energy = energy * weight
    items = data / (groups * filters * weight.sum())
    values = np.moveaxis(values, 1, 2).reshape(-1, channels)
    energy = np.moveaxis(energy, 1, 2).reshape(-1, channels)
    counts = np.broadcast_to(items * weight[:, None], (groups, weight.size, channels))
    shells = Shells(squares, weight)
    spectrum = DataSpectrum(
        values, energy, rest.ravel(), data, values.ravel(), counts.ravel()
    )
    spectrum.share = shells.share

    def power(damp):
        left = (energy * spectrum.passed(damp) ** 2).sum(axis=1) + spectrum.rest
        return shells.sums(left.reshape(groups, -1).sum(axis=0))

    spectrum.power = power
    return spectrum


def _single(rows, seen, parts):
    """Values ``(groups, 1, F)`` and components ``(B, groups, 1, F)`` of scalars."""
    power = np.sum(np.abs(rows) ** 2, axis=1)
    values = _ratio(power, seen)
    size = np.sqrt(np.where(power > 0, power, 1))
    along = np.einsum("gqf,bgqf->bgf", rows.conj(), parts) / size
    along = np.where(values > 0, along, 0)
    return values[:, None], along[:, :, None]


def _several(matrices, seen, parts):
    """The same of small matrices: both are diagonal for one basis."""
    normal = np.einsum("gqpf,gqrf->gfpr", matrices.conj(), matrices)
    seen = np.moveaxis(seen, 3, 1)
    size = np.trace(normal, axis1=2, axis2=3).real.max() or 1.0
    share = np.trace(seen, axis1=2, axis2=3).real.max() or 1.0
    total = normal / size + seen / share
    d, v = np.linalg.eigh(total)
    d = np.where(d > UNSEEN * d.max(), d, np.inf)
    half = v / np.sqrt(d)[..., None, :]  # total^(-1/2), up to a rotation
    cosines, w = np.linalg.eigh(half.conj().swapaxes(-1, -2) @ (normal / size) @ half)
    cosines = np.clip(cosines, 0, 1)
    basis = half @ w
    back = np.einsum("gqpf,bgqf->bgfp", matrices.conj(), parts) / math.sqrt(size)
    along = np.einsum("gfpk,bgfp->bgfk", basis.conj(), back)
    values = _ratio(cosines * size, (1 - cosines) * share)
    root = np.sqrt(np.where(cosines > UNSEEN, cosines, np.inf))
    along = np.where(values > 0, along / root, 0)
    return np.moveaxis(values, 1, 2), np.moveaxis(along, 2, 3)


def _ratio(power, seen):
    """``sqrt(power / seen)``: 0 where A sees nothing, infinite where L does not."""
    nothing = power <= UNSEEN * power.max(initial=0.0)
    unseen = seen <= UNSEEN * np.max(seen, initial=0.0)
    ratio = np.sqrt(power / np.where(unseen, 1, seen))
    return np.where(nothing, 0.0, np.where(unseen, np.inf, ratio))
