"""The size of an operator: the power of two it is scaled by, and its norm."""

import itertools

import numpy as np

from .. import kernels
from .._core.arrays import namespace, placement, to_numpy
from .._core.geometry import tap_samples
from .._core.random_vectors import standard_normal

# A binary exponent within which an operator is left as it is: all numbers of a solve
# are then far from the ends of single precision.
ORDINARY = 16
# Sizes of the vector that a general operator is tried on: where one product over- or
# underflows, another does not.
ROUNDING = 1e-14  # of the taps of a row, what is left of those that cancel
TRIES = (0, -60, 60, -500, 500)


def powers(largest, limit):
    """The binary exponents of sizes beyond 2 to the plus or minus `limit`, else 0."""
    found = np.frexp(largest)[1].astype(np.int64)
    return np.where(np.abs(found) > limit, found, 0)


def size_of(op, like):
    """``(power, norm)``: an operator is scaled by ``2**-power`` to an ordinary size.

    `norm` is a lower bound of its norm after that. For layers it is the norm of a row,
    which is kept with them; others are multiplied twice by a vector, and their adjoint
    once. `like` is an array of the library and on the device that products take.
    """
    if op.layer is not None:
        return op.cached(("size",), lambda: _size_of_layer(op, like))
    if 0 in op.shape:
        return 0, 0.0
    for tried in TRIES:
        norm = _by_products(op, like, tried)
        if np.isfinite(norm) and norm > 0:
            break
    if not np.isfinite(norm):
        raise ValueError("op gives products that are not finite")
    mantissa, power = np.frexp(norm)
    power = int(power) - tried if norm else 0
    if abs(power) <= ORDINARY:
        return 0, float(np.ldexp(mantissa, power))
    return power, float(mantissa)


def _size_of_layer(op, like):
    layer = op.layer
    extent = kernels.load("vectors", layer.xp).extent
    largest = to_numpy(extent(layer.kernel.reshape(1, -1))[0])
    if not np.isfinite(largest[0]):
        raise ValueError("the operator's kernel holds NaN or infinity")
    power = int(powers(largest, ORDINARY)[0])
    norm = _row_norm(layer, power, np.asarray)
    total = float(np.sum(np.abs(to_numpy(layer.kernel)), dtype=np.float64))
    if norm > ROUNDING * np.ldexp(total, -power):  # more than a row's taps have
        return power, norm
    taps = _row_norm(layer, power, np.abs)
    if norm <= ROUNDING * taps:  # these rows vanish, others may not
        norm = float(np.ldexp(_by_products(op, like, 0), -power))
    return power, norm if norm > ROUNDING * taps else 0.0


def _by_products(op, like, power):
    """A lower bound of ``||A||`` times two to a power, by a step of the power method.

    The vector is random: no structure of op or b makes the product vanish. Products are
    made in double precision, whatever precision the solve has. Unlike the estimates of
    ``||A||^2`` of `solvers.gradient` and `proximal`, which only those methods pay for,
    it has few products and survives numbers at the ends of the range.
    """
    rng, xp = np.random.default_rng(0), namespace(like)
    values = standard_normal(rng, op.shape[1], op.dtype)
    v = np.ldexp(1.0, power) * values / np.linalg.norm(values)
    v = xp.asarray(v, **placement(like))

    def product(apply, vector, shape):
        y = to_numpy(apply(xp.reshape(vector, (1, *shape))))
        return y.reshape(-1).astype(np.result_type(y.dtype, np.float64))

    def length(vector):
        top = np.max(np.abs(vector), initial=0.0)
        return top * np.linalg.norm(vector / top) if 0 < top < np.inf else top

    y = product(op.apply, v, op.input_shape)
    norm = length(y)
    if not op.has_adjoint or not 0 < norm < np.inf:
        return norm
    y = xp.asarray(y / norm, **placement(like))
    z = product(op.apply_adjoint, y, op.output_shape)
    turned = np.ldexp(length(z), power)
    if not 0 < turned < np.inf:
        return norm
    z = xp.asarray(np.ldexp(1.0, power) * (z / length(z)), **placement(like))
    again = length(product(op.apply, z, op.input_shape))
    return max(norm, turned, again if np.isfinite(again) else 0.0)


def _row_norm(op, power, part):
    """The largest norm among the rows of a layer that its corners and centers have.

    `part` is a function of the taps: `numpy.abs` gives what they would have if none of
    them canceled.
    """
    g = op.geometry
    weights = to_numpy(op.weights)
    wide = weights.astype(np.result_type(weights.dtype, np.float64))
    wide = np.ldexp(1.0, -(power // 2)) * wide * np.ldexp(1.0, power // 2 - power)
    wide, hits = part(wide), []
    for axis, n in enumerate(g.output):
        rows = tap_samples(g, axis)[sorted({0, n // 2, n - 1})]
        hits.append({_pattern(row) for row in rows})
    return max(_folded_norm(wide, row) for row in itertools.product(*hits))


def _pattern(samples):
    """The number of the sample that each tap meets, in their order; -1 for padding."""
    inside = samples >= 0
    pattern = np.full(len(samples), -1)
    pattern[inside] = np.unique(samples[inside], return_inverse=True)[1]
    return tuple(pattern.tolist())


def _folded_norm(weights, hits):
    """The norm of a row; taps that meet one sample add up, those on padding are out."""
    for axis, hit in enumerate(map(np.array, hits)):
        place, taps = hit[hit >= 0], weights
        if len(place) < len(hit):
            taps = np.compress(hit >= 0, weights, axis=2 + axis)
        count = int(place.max(initial=-1)) + 1
        if count < len(place):
            gather = np.zeros((len(place), count))
            gather[np.arange(len(place)), place] = 1
            taps = np.moveaxis(np.tensordot(taps, gather, (2 + axis, 0)), -1, 2 + axis)
        weights = taps
    flat = weights.reshape(weights.shape[0], -1)
    return float(np.max(np.linalg.norm(flat, axis=1), initial=0.0))
