"""The pseudoinverse of a layer that is one small matrix at every frequency.

`blocks` is a `operators._symbol.Symbol`, or the same for another transform.
"""

import numpy as np

from .._linalg.small_inverses import SMALL, invert
from ..operators._symbol import matrices_last

EPS = 2.0**-52
LOSS = 1e-10  # loss of accuracy up to which matrices are inverted without an SVD


class FrequencyMap:
    """A map of vectors that is one small matrix at every frequency.

    Unknowns that belong to no frequency are multiplied by `rest`.

    Attributes
    ----------
    zeros, count : int
        How many singular values, over all frequencies and groups, were treated as zero,
        and how many there are in total.
    """

    def __init__(self, blocks, matrices, zeros, *, from_data, rest=0.0):
        self._multiply = blocks.multiplication(matrices)
        self._blocks = blocks.without_matrices()
        self._from_data, self._rest = from_data, rest
        self.zeros = zeros
        self.count = blocks.frequencies * blocks.shape[0] * min(blocks.shape[1:])

    def apply(self, v):
        """``(B, m)`` or ``(B, n)`` vectors -> ``(B, n)``."""
        found = self._multiply(self._blocks.pack(v, self._from_data))
        return self._blocks.unpack(found, v, self._rest)


def inverse(blocks, damp=0.0, rcond=None) -> FrequencyMap:
    """The pseudoinverse of a layer, ``(A^H A + damp^2)^-1 A^H`` with `damp`.

    Singular values up to `rcond` times the largest of all count as zero; by default
    those up to the size of rounding errors.
    """
    cut = blocks.tolerance if rcond is None else rcond * blocks.largest()

    def by_svd(slab):
        u, s, vh = np.linalg.svd(slab, full_matrices=False)
        keep = s > cut
        size = np.where(keep, np.hypot(s, damp), 1)
        gain = np.where(keep, s, 0) / size / size
        return (_adjoint(vh) * gain[..., None, :]) @ _adjoint(u), keep

    matrices, zeros = _fill(
        blocks, blocks.shape[1], lambda slab: _directly(slab, damp, cut), by_svd
    )
    return FrequencyMap(blocks, matrices, zeros, from_data=True)


def remainder(blocks, damp=0.0) -> FrequencyMap:
    """The map from x to the error of its damped inversion.

    It is ``damp^2 (A^H A + damp^2)^-1``.

    With ``damp=0`` this is the orthogonal projection onto the null space.
    """
    cut = blocks.tolerance
    _, filters, channels = blocks.shape

    def directly(slab):
        part, good = _directly(slab, damp, cut)
        if damp:
            last = matrices_last(part) @ matrices_last(slab)
            part = np.moveaxis(np.eye(channels) - last, (0, 1), (3, 4))
        else:
            shape = (slab.shape[0], channels, channels, *slab.shape[3:])
            part = np.zeros(shape, slab.dtype)
            good &= filters >= channels
        return np.ascontiguousarray(part), good

    def by_svd(slab):
        _, s, vh = np.linalg.svd(slab, full_matrices=False)
        keep = s > cut
        inside = np.where(keep, s, 0) / np.where(keep, np.hypot(s, damp), 1)
        return np.eye(channels) - (_adjoint(vh) * inside[..., None, :] ** 2) @ vh, keep

    matrices, zeros = _fill(blocks, channels, directly, by_svd)
    return FrequencyMap(blocks, matrices, zeros, from_data=False, rest=1.0)


def normal_inverse(blocks, damp=0.0) -> FrequencyMap:
    """``(A^H A + damp^2)^-1`` of a layer, without `damp` the pseudoinverse."""
    cut, channels = blocks.tolerance, blocks.shape[2]

    def never(slab):
        shape = (slab.shape[0], channels, channels, *slab.shape[3:])
        return np.empty(shape, slab.dtype), np.zeros((shape[0], *shape[3:]), bool)

    def by_svd(slab):
        _, s, vh = np.linalg.svd(slab, full_matrices=True)
        keep = s > cut
        size = np.where(keep, np.hypot(s, damp), damp or np.inf)
        gain = np.full((*s.shape[:-1], channels), damp**-2 if damp else 0.0)
        gain[..., : s.shape[-1]] = 1 / size / size
        return (_adjoint(vh) * gain[..., None, :]) @ vh, keep

    matrices, zeros = _fill(blocks, channels, never, by_svd)
    rest = damp**-2 if damp else 0.0
    return FrequencyMap(blocks, matrices, zeros, from_data=False, rest=rest)


def _fill(blocks, columns, directly, by_svd):
    """Matrices at all frequencies, and the number of singular values treated as zero.

    ``directly(slab)`` returns matrices and where they are accurate.
    ``by_svd(matrices)`` computes the others of a stack, and returns which singular
    values it keeps.
    """
    matrices, zeros = blocks.empty(blocks.shape[2], columns), 0
    for down, across, slab in blocks.slabs():
        with np.errstate(all="ignore"):
            part, good = directly(slab)
        if not good.all():
            group, row, column = np.nonzero(~good)
            found, keep = by_svd(slab[group, :, :, row, column])
            part[group, :, :, row, column] = found
            zeros += int(blocks.multiplicity[across][column] @ np.sum(~keep, axis=1))
        matrices[..., down, across] = part
    return matrices, zeros


def _directly(slab, damp, cut):
    """Pseudoinverses without an SVD, and where they can be relied on."""
    solve = _small if min(slab.shape[1:3]) <= SMALL else _large
    part, condition, least = solve(slab, damp)
    return part, (EPS * condition < LOSS) & (least > cut)


def _large(slab, damp):
    """By LAPACK; with the condition of the inverted matrices, and a lower bound.

    The bound is one of the smallest singular value; with `damp`, of the root of its
    square plus ``damp**2``.
    """
    matrices = np.ascontiguousarray(matrices_last(slab))
    adjoint = _adjoint(matrices)
    rows, columns = matrices.shape[-2:]
    square = rows == columns and not damp
    if square:
        target = matrices
    else:
        target = adjoint @ matrices if rows >= columns else matrices @ adjoint
        target = target + damp**2 * np.eye(target.shape[-1])
    try:
        part = inverted = np.linalg.inv(target)
    except np.linalg.LinAlgError:  # one of them is singular
        part = inverted = np.full_like(target, np.nan)
    if not square:
        part = inverted @ adjoint if rows >= columns else adjoint @ inverted
    size, inverse_size = (
        np.moveaxis(np.linalg.norm(m, axis=(-2, -1)), 2, 0) for m in (target, inverted)
    )
    least = inverse_size ** (-1 if square else -0.5)
    return np.moveaxis(part, (0, 1), (3, 4)), size * inverse_size, least


def _small(slab, damp):
    """Like `_large`, entry by entry, each for all frequencies together."""
    tall = slab.shape[1] >= slab.shape[2]
    # with the matrices' axes first, and wide ones turned into tall ones
    matrix = slab.transpose(1, 2, 0, 3, 4)
    matrix = matrix if tall else matrix.swapaxes(0, 1).conj()
    size = matrix.shape[1]
    gram = np.empty((size, *matrix.shape[1:]), slab.dtype)
    for i in range(size):
        for j in range(i, size):
            gram[i, j] = np.sum(matrix[:, i].conj() * matrix[:, j], axis=0)
            gram[j, i] = gram[i, j].conj()
        gram[i, i] += damp**2
    norm = _norm(gram)
    inverted = invert(gram)
    part = np.empty((*matrix.shape[1::-1], *matrix.shape[2:]), slab.dtype)
    for i in range(size):
        part[i] = inverted[i, 0] * matrix[:, 0].conj()
        for j in range(1, size):
            part[i] += inverted[i, j] * matrix[:, j].conj()
    norm_of_inverse = _norm(inverted)
    part = part if tall else part.swapaxes(0, 1).conj()
    part = part.transpose(2, 0, 1, 3, 4)
    return part, norm * norm_of_inverse, norm_of_inverse**-0.5


def _norm(matrix):
    return np.sqrt(np.sum(np.abs(matrix) ** 2, axis=(0, 1)))


def _adjoint(matrices):
    return matrices.conj().swapaxes(-1, -2)
