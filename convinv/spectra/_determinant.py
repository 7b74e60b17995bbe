"""The logarithm of the determinant's magnitude of a square layer, and its gradient."""

from __future__ import annotations

import itertools
import math

import numpy as np

from .._closed_forms.patches import is_patches
from .._core.errors import MemoryLimit
from .._core.typing import OperatorInput
from .._linalg.block_qr import BlockQR, bytes_kept
from ..operators._convolution import kernel_of
from ..operators._polyphase import Polyphase
from ..operators._symbol import Symbol, matrices_last, taps_of_symbol
from ._lines import Lines
from ._spectrum import _host

MEMORY = 2**30  # bytes that may be kept for a gradient
EPS = 2.0**-52


def logabsdet(op: OperatorInput) -> float:
    """Logarithm of the determinant's magnitude of a square layer; -inf if singular.

    Parameters
    ----------
    op : ConvLinearOperator
        With as many outputs as inputs, or the adjoint of one, of either library; the
        kernel is copied to the host.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If `op` is no ConvLinearOperator, or not square.

    Notes
    -----
    Computed in double precision without rounding errors that grow with the condition
    number, by the first of these that fits:

    - on a torus, from the determinants of the matrices at all frequencies;
    - windows that do not overlap have one determinant in common;
    - where each output looks at pixels in front of it alone (in the order of the memory
      or against it, with zeros around the image), as autoregressive layers do, from the
      matrices of the tap at the output's own place;
    - from a QR factorization of the matrix in blocks of a few lines. It costs about 30
      times the size of the layer times the square of a line's size, and keeps three
      blocks.

    The matrix of each group of channels is treated on its own. Singular means to
    working precision: at some frequency, or on the diagonal of R, a number is smaller
    than the rounding errors of the computation.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator
    >>> from convinv.spectra import logabsdet
    >>> kernel = np.random.default_rng(0).standard_normal((3, 3, 3, 3))
    >>> op = ConvLinearOperator(kernel, (3, 8, 8), padding=1)
    >>> bool(np.isclose(logabsdet(op), np.linalg.slogdet(op.todense())[1]))
    True
    """
    return logabsdet_and_gradient(op, gradient=False)[0]


def logabsdet_and_gradient(op, *, gradient=True, fixed_zeros=False):
    """``log |det A|``, and its gradient by the kernel of the layer.

    The gradient by a tap is the sum of the entries of ``A^-H`` where the tap stands in
    the matrix: for a complex kernel the derivatives by the real and the imaginary part
    are its own real and imaginary part. None if the layer is singular to working
    precision, or not asked for. With `fixed_zeros` taps that are zero have the gradient
    0.
    """
    layer, unit = _host(op)
    layer = layer.layer
    m, n = layer.shape
    if m != n:
        raise ValueError(
            "op must be square: with as many outputs as inputs, got "
            f"{op.input_shape} -> {op.output_shape}"
        )
    layer = layer.astype(np.result_type(layer.dtype, np.float64))
    value, found = _by_first_that_fits(layer, gradient, fixed_zeros)
    if found is None:
        return value + n * math.log(unit), None
    found = kernel_of(layer, found) / unit
    if fixed_zeros:
        found = np.where(layer.kernel == 0, 0, found)
    return value + n * math.log(unit), found


def _by_first_that_fits(layer, gradient, fixed_zeros):
    cells = Polyphase(layer.geometry)
    if cells.is_torus:
        return _on_torus(layer, gradient)
    if is_patches(layer.geometry):
        return _of_patches(layer, gradient)
    own = _own_place(layer, cells)
    if own is not None:
        value, found = _triangular(layer, cells, own, gradient)
        if fixed_zeros or found is None:
            return value, found
    parts = [_of_group(group, gradient) for group in _groups(layer)]
    if own is None:
        value = math.fsum(part[0] for part in parts)
    if any(part[1] is None for part in parts):
        return value, None
    return value, np.concatenate([part[1] for part in parts])


def _on_torus(layer, gradient):
    """From the matrices at all frequencies."""
    blocks = Symbol(layer)
    tolerance = blocks.scale * 10 * blocks.shape[1] * EPS
    whole, value = blocks.empty(*blocks.shape[1:]), 0.0
    for down, across, slab in blocks.slabs():
        matrices = matrices_last(slab)
        logs = np.linalg.slogdet(matrices)[1]
        if np.isneginf(logs).any():
            return -math.inf, None
        inverse = np.linalg.inv(matrices)
        if np.linalg.norm(inverse, axis=(-2, -1)).max() * tolerance >= 1:
            return -math.inf, None
        value += float(np.sum(logs * blocks.multiplicity[across][:, None]))
        if gradient:
            turned = inverse.conj().swapaxes(-2, -1)
            whole[..., down, across] = np.moveaxis(turned, (0, 1), (3, 4))
    if not gradient:
        return value, None
    whole = whole.reshape(*blocks.shape, *blocks.bins)
    taps = taps_of_symbol(blocks.layer, whole, blocks.torus, blocks.real)
    return value, taps * blocks.frequencies


def _of_patches(layer, gradient):
    """The same matrix for every window."""
    g = layer.geometry
    matrices = layer.weights.reshape(g.groups, g.c_out // g.groups, -1)
    value, inverse = _of_matrices(matrices)
    count = math.prod(g.output)
    if inverse is None or not gradient:
        return count * value, None
    return count * value, (count * inverse).reshape(layer.weights.shape)


def _own_place(layer, cells):
    """The offset 0 in the layer's stencil, if all others lie before it or after it."""
    g = layer.geometry
    wholes = [n == c * s for n, c, s in zip(g.input, cells.cells, g.stride)]
    if g.boundary != "zero" or not all(wholes) or cells.cells != g.output:
        return None
    first, matrices = cells.stencil(layer.weights)
    taken = np.argwhere(np.any(matrices, axis=(0, 1, 2))) + first
    ahead = {_direction(offset) for offset in taken}
    if {-1, 1} <= ahead or 0 not in ahead:
        return None
    return tuple(-f for f in first)


def _direction(offset):
    """-1 for a cell before the output's own in the order of the memory, 1 after it."""
    for part in offset:
        if part:
            return 1 if part > 0 else -1
    return 0


def _triangular(layer, cells, own, gradient):
    """From the tap at the output's own place; taps that are zero stay so."""
    first, matrices = cells.stencil(layer.weights)
    value, inverse = _of_matrices(matrices[(..., *own)])
    count = math.prod(cells.cells)
    if inverse is None or not gradient:
        return count * value, None
    whole = np.zeros_like(matrices)
    whole[(..., *own)] = count * inverse
    ahead, _ = zip(*cells.offsets())
    return count * value, cells.taps(whole, [q - f for q, f in zip(ahead, first)])


def _of_matrices(matrices):
    """The sum of the logarithms, and the conjugate transposes of the inverses."""
    values = np.linalg.svd(matrices, compute_uv=False)
    if np.any(values[:, -1] <= values[:, 0] * 10 * matrices.shape[-1] * EPS):
        return -math.inf, None
    inverse = np.linalg.inv(matrices).conj().swapaxes(-2, -1)
    return float(np.log(values).sum()), inverse


def _groups(layer):
    """``(geometry, weights)`` of each group alone."""
    g = layer.geometry
    c_in, c_out = g.c_in // g.groups, g.c_out // g.groups
    alone = g._replace(c_in=c_in, c_out=c_out, groups=1)
    yield from zip(itertools.repeat(alone), np.split(layer.weights, g.groups))


def _of_group(group, gradient):
    """From a QR factorization of the matrix."""
    geometry, weights = group
    lines = Lines(geometry)
    need = bytes_kept(lines.edges, weights.dtype.itemsize) if gradient else 0
    if need > MEMORY:
        raise MemoryLimit(
            f"the gradient of logabsdet needs {need / 2**20:.0f} MiB for a layer of "
            f"{lines.size} unknowns, in blocks of {lines.edges[1]}, more than the "
            f"{MEMORY / 2**20:.0f} MiB allowed; padding that wraps around "
            "(padding_mode='circular'), more groups or smaller images need less"
        )
    factor = BlockQR(lines.block_row(weights), lines.edges, keep=gradient)
    scale = float(np.linalg.norm(weights, axis=(0, 1)).sum())
    if factor.diagonal.min() <= scale * lines.size * EPS:
        return -math.inf, None
    value = float(np.log(factor.diagonal).sum())
    return value, lines.sums(factor.inverse_columns()) if gradient else None
