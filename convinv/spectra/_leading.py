"""The largest singular value of a layer with its vectors, and bounds of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._closed_forms.patches import PatchSymbol, is_patches
from .._core.arrays import to_numpy
from .._core.pulse import pulse
from .._core.random_vectors import unit_vector
from .._core.result import ConvergenceWarning
from .._core.typing import OperatorInput
from ..operators._norm_bound import norm_bound
from ..operators._polyphase import Polyphase
from ..operators._symbol import Symbol, matrices_last
from ._spectrum import _dense_tolerance, _host

BASIS, KEPT = 24, 8  # vectors of the basis, and after a restart
DENSE = 256  # the shorter side up to which the matrix is written out
EPS = 2.0**-52


@dataclass(frozen=True)
class Triplet:
    """A singular value and its vectors: ``A v = value u``, ``A^H u = value v`` nearly.

    Attributes
    ----------
    value : float
        A lower bound of the largest singular value, ``||A v||``.
    error : float
        ``||A^H u - value v||``: a singular value is within it.
    u, v : array
        Of norm 1, shaped like the output and the input.
    converged : bool
    """

    value: float
    error: float
    u: Any
    v: Any
    converged: bool


def norm_bounds(op: OperatorInput) -> tuple[float, float]:
    """A lower and an upper bound of the largest singular value of a layer.

    Parameters
    ----------
    op : ConvLinearOperator
        Or the adjoint of one, of either library; the kernel is copied to the host.

    Returns
    -------
    lower, upper : float
        For layers on a torus, those whose windows do not overlap, and those with
        ``min(m, n) <= 256``, they differ by rounding errors alone. For others `lower`
        is a Ritz value, usually right to a millionth, and `upper` the proven
        ``Spectrum.norm_bound``: with zeros around the image usually a few percent above
        it; other paddings may make it larger, by up to the square root of how often
        they copy a sample.

    Raises
    ------
    TypeError
        If `op` is no ConvLinearOperator.

    Warns
    -----
    ConvergenceWarning
        If the Ritz value has not converged; it is a lower bound all the same.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator
    >>> from convinv.spectra import norm_bounds
    >>> kernel = np.random.default_rng(0).standard_normal((8, 3, 3, 3))
    >>> lower, upper = norm_bounds(ConvLinearOperator(kernel, (3, 40, 40)))
    >>> bool(lower <= upper <= 1.02 * lower)
    True
    """
    op, unit = _host(op)
    blocks = blocks_of(op)
    wide = op.astype(np.result_type(op.dtype, np.float64))
    if blocks is not None:
        value, error = blocks.largest(), blocks.scale * 10 * max(blocks.shape) * EPS
    elif min(op.shape) <= DENSE:
        value = float(np.linalg.norm(wide.todense(), 2))
        error = _dense_tolerance(wide, Symbol(wide))
    else:
        lower, upper = leading_triplet(wide).value, norm_bound(wide.layer)
        return lower * unit, upper * unit
    return max(value - error, 0.0) * unit, (value + error) * unit


def blocks_of(op):
    """The matrices that the layer consists of; None where it does not."""
    if Polyphase(op.layer.geometry).is_torus:
        return Symbol(op.astype(np.result_type(op.dtype, np.float64)))
    if is_patches(op.layer.geometry):
        return PatchSymbol(op.astype(np.result_type(op.dtype, np.float64)))
    return None


def leading_by_frequency(layer):
    """The largest singular value of a layer on a torus, and its gradient.

    The gradient is by the weights, ``Re <u, A v>`` for the vectors of that value, which
    live at one frequency; where several have the same value, one subgradient of many.
    """
    blocks, value = Symbol(layer), -1.0
    for down, across, slab in blocks.slabs():
        u, s, vh = np.linalg.svd(matrices_last(slab), full_matrices=False)
        row, column, group = np.unravel_index(np.argmax(s[..., 0]), s.shape[:3])
        if s[row, column, group, 0] > value:
            value, owner = float(s[row, column, group, 0]), group
            outer = np.outer(u[row, column, group, :, 0], vh[row, column, group, 0])
            where = divmod(down.start + int(row), blocks.bins[1])
            frequency = (*where, across.start + int(column))
    cells, total = blocks.layer, 1.0
    ahead, _ = zip(*cells.offsets())
    spans = [np.arange(int(q.min()), int(q.max()) + 1) for q in ahead]
    for axis, (k, offsets, n) in enumerate(zip(frequency, spans, blocks.torus)):
        wave = np.exp(-2j * np.pi * (k * offsets % n) / n)
        total = total * wave.reshape([-1 if a == axis else 1 for a in range(3)])
    whole = np.zeros((*blocks.shape, *map(len, spans)), complex)
    whole[owner] = outer[..., None, None, None] * total
    taps = cells.taps(whole, [q - q.min() for q in ahead])
    return value, taps.real if blocks.real else taps


def leading_triplet(op, *, rtol=1e-6, start=None, maxiter=2000) -> Triplet:
    """The largest singular value and its vectors, for any layer of any library.

    Lanczos' method for ``A^H A`` with a basis that is restarted with its best vectors
    (Wu and Simon, SIAM J. Matrix Anal. Appl. 22, 2000). It ends where the residual of
    the triplet is at most `rtol` times the value, or after `maxiter` products with the
    layer and its adjoint, and then warns.

    Parameters
    ----------
    op : ShapedOperator
        In the precision that is to be computed in.
    start : array, optional
        Like an input, where the search starts.
    """
    xp, n = op.xp, op.shape[1]
    if start is None:
        start = xp.asarray(unit_vector(np.random.default_rng(0), n, op.dtype))
    new = xp.asarray(start, dtype=op.dtype).reshape(-1)
    new = new / xp.linalg.norm(new)
    basis = xp.empty((min(BASIS, n), n), op.dtype)
    projected = np.zeros((len(basis),) * 2, op.dtype)
    count, done, products = 0, False, 0
    while not done and products < maxiter:
        pulse()
        basis[count] = new
        image = _normal_product(op, new)
        column, image = _orthogonalized(basis[: count + 1], image)
        projected[: count + 1, count] = column
        projected[count, : count + 1] = column.conj()
        count, products = count + 1, products + 1
        length = float(xp.linalg.norm(image))
        values, vectors = np.linalg.eigh(projected[:count, :count])
        largest = max(float(values[-1]), 0.0)
        done = length * abs(vectors[-1, -1]) <= rtol * largest
        if length <= n * EPS * largest:  # the space is exhausted
            break
        if count == len(basis):
            kept = vectors[:, -KEPT:]
            count = kept.shape[1]
            basis[:count] = xp.asarray(kept.T) @ basis
            projected[:] = 0
            projected[range(count), range(count)] = values[-count:]
            vectors = np.eye(count)
        new = image / length
    v = xp.asarray(vectors[:, -1]) @ basis[: len(vectors)]
    found = _triplet(op, v / xp.linalg.norm(v), rtol)
    if not found.converged:
        warnings.warn(
            f"the largest singular value has not converged after {products} products: "
            f"{found.value:.6g} within {found.error:.1g}",
            ConvergenceWarning,
            stacklevel=3,
        )
    return found


def _triplet(op, v, rtol):
    """The value and the other vector that belong to v."""
    u = op.apply(v.reshape(1, *op.input_shape)).reshape(-1)
    value = float(op.xp.linalg.norm(u))
    u = u / value if value else u
    back = op.apply_adjoint(u.reshape(1, *op.output_shape)).reshape(-1)
    error = float(op.xp.linalg.norm(back - value * v))
    u, v = u.reshape(op.output_shape), v.reshape(op.input_shape)
    rounding = max(op.shape) * float(np.finfo(op.dtype).eps)
    return Triplet(value, error, u, v, error <= max(2 * rtol, rounding) * value)


def _normal_product(op, v):
    image = op.apply(v.reshape(1, *op.input_shape))
    return op.apply_adjoint(image).reshape(-1)


def _orthogonalized(basis, vector):
    """What a vector has of each row of the basis, on the host, and the rest of it."""
    first = basis.conj() @ vector
    vector = vector - first @ basis
    again = basis.conj() @ vector
    return to_numpy(first + again), vector - again @ basis
