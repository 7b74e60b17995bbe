"""The smallest singular value of a large layer, with the package's own inverses."""

import math

import numpy as np

from .._core.errors import MemoryLimit, Singular
from .._core.pulse import pulse
from .._core.random_vectors import unit_vector
from .._inverse.block_cholesky import BlockCholesky, factor_work
from .._inverse.border_correction import BorderCorrectedCirculant
from .._inverse.circulant import SLOW, decay
from .._inverse.gram_inverse import OTHER, gram_of, shifted_inverse, side_of
from ..operators._cells import keeper
from ._bounds import EPS, Estimate

STEPS, BASIS, KEPT = 80, 24, 8  # at most; vectors of the basis, and after a restart
CLOSE = 1e-3  # relative distance from a singular value at which the search ends
PATIENCE = 3e11  # multiplications above which the whole layer is not factorized
MEMORY = 2**30  # bytes of that factor, at most
FULL = 1e-10  # of the largest singular value: smaller ones may be zeros
WIDE = 1000  # unknowns across a band above which no bands are made
SHARES = (1e-12, 1e-10, 1e-8)  # shifts of a singular N, in units of its size


def has_full_rank(op, inverse) -> bool:
    """Whether all ``min(m, n)`` singular values are certainly above rounding.

    Then iterations with a preconditioner converge to the solution of least norm.
    `inverse` is the preconditioner's `GramInverse` of the smaller Gram matrix, possibly
    shifted. False for operators that are not on the host.
    """
    if op.xp is not np:
        return False
    wide = op.astype(np.result_type(op.dtype, np.float64))
    size = math.sqrt(inverse.gram.bound)
    zero = max(FULL, 10 * float(np.finfo(op.dtype).eps)) * size
    found = smallest_singular_value(wide, size, 0, inverse, enough=zero)
    return found.value - found.error > zero


def smallest_singular_value(
    op, largest, rng=None, inverse=None, enough=math.inf
) -> Estimate:
    """An upper bound of the least of ``min(m, n)`` singular values, usually sharp.

    Davidson's method finds the vector v with the least ``||A v||`` in a space that
    grows by ``M (A^H A v - theta^2 v)``, where M is an (approximate) inverse of ``A^H
    A``. For a wide layer A is its adjoint. With a good M it is accelerated inverse
    iteration; the bound holds for every M (Davidson, J. Comput. Phys. 17, 1975; Morgan
    and Scott, SIAM J. Sci. Stat. Comput. 7, 1986).

    Parameters
    ----------
    op : ConvLinearOperator or its adjoint
        On the host, in double precision.
    largest : float
        The largest singular value, about.
    inverse : GramInverse, optional
        M; computed if not given.
    enough : float
        A lower bound that ends the search.
    """
    forward, backward = op.apply, op.apply_adjoint
    side = side_of(op)
    if inverse is None:
        inverse = approximate_inverse(op)
    elif inverse.gram.side != "self":
        side = inverse.gram.side
        side = side if keeper(op) is op else OTHER[side]
    shape, other = op.input_shape, op.output_shape
    if side == "output":
        forward, backward, shape, other = backward, forward, other, shape
    n, rounding = min(op.shape), min(op.shape) * EPS * largest
    new = unit_vector(np.random.default_rng(rng), n, op.dtype)
    if inverse is not None:
        new = inverse.solve(new[None])[0]
    basis = np.empty((0, n), op.dtype)
    images = _Images(max(op.shape), op.dtype)
    for _ in range(STEPS):
        pulse()
        new = _orthonormal(new, basis)
        if new is None:  # the basis spans the whole space
            break
        basis = np.vstack([basis, new])
        images.append(forward(new.reshape(1, *shape)).reshape(-1))
        left, values, right = np.linalg.svd(images.triangle)
        theta, v = float(values[-1]), right[-1].conj() @ basis
        u = left[:, -1] @ images.rows
        residual = backward(u.reshape(1, *other)).reshape(-1) - theta * v
        error = float(np.linalg.norm(residual)) / math.sqrt(2)
        if error <= CLOSE * theta or theta <= rounding or theta - error > enough:
            break
        if len(basis) == BASIS:
            basis = right[-KEPT:].conj() @ basis
            images.keep(left[:, -KEPT:], values[-KEPT:])
        new = residual if inverse is None else inverse.solve(residual[None])[0]
    # some singular value lies between 0 and theta in any case
    return Estimate(theta, min(error, theta) + rounding, "upper bound")


class _Images:
    """The images of a basis as ``rows.T @ triangle``, with orthonormal rows."""

    def __init__(self, length, dtype):
        self.rows = np.empty((0, length), dtype)
        self.triangle = np.empty((0, 0), dtype)

    def append(self, image):
        count = len(self.rows)
        column = np.zeros(count + 1, self.rows.dtype)
        for _ in range(2):
            part = self.rows.conj() @ image
            image = image - part @ self.rows
            column[:count] += part
        column[count] = length = np.linalg.norm(image)
        new = image / length if length else image
        self.rows = np.vstack([self.rows, new])
        wide = np.zeros((count + 1, count + 1), self.rows.dtype)
        wide[:count, :count] = self.triangle
        wide[:, count] = column
        self.triangle = wide

    def keep(self, left, values):
        """Keep the part of the images that belongs to some singular values.

        ``triangle = left @ diag(values) @ right`` is their decomposition.
        """
        self.rows, self.triangle = left.T @ self.rows, np.diag(values)


def _orthonormal(v, basis):
    """v orthogonalized against the rows of `basis`; None if nothing remains."""
    for _ in range(2):
        size = np.linalg.norm(v)
        v = v - basis.T @ (basis.conj() @ v)
        length = np.linalg.norm(v)
        if not length > 100 * EPS * size:
            return None
        v = v / length
    return v


def approximate_inverse(op):
    """A `GramInverse` of the smaller Gram matrix, if need be shifted; None for zero."""
    gram = gram_of(op, side_of(op))
    axis = int(np.argmax(gram.grid))
    line = gram.channels * math.prod(gram.grid) // gram.grid[axis]
    work = gram.groups * factor_work(line, gram.reach[axis], gram.grid[axis])

    def make(damp, dtype):
        if gram.banded and work < PATIENCE:
            try:
                return BlockCholesky(gram, axis, damp=damp, dtype=dtype, memory=MEMORY)
            except MemoryLimit:
                pass
        bands = gram.banded and _are_thin(gram, damp)
        return BorderCorrectedCirculant(gram, damp=damp, dtype=dtype, bands=bands)

    try:
        return shifted_inverse(gram, np, 0.0, op.dtype, make, SHARES)
    except Singular:
        return None


def _are_thin(gram, damp):
    """Whether bands along the borders are cheap."""
    long = sum(n > 1 for n in gram.grid)
    deepest = max(
        (SLOW if d is None else d) + max(r, b)
        for d, r, b in zip(decay(gram, damp), gram.reach, gram.border)
    )
    return gram.channels * deepest ** max(long - 1, 1) <= WIDE
