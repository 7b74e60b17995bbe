"""The normal equations of a layer's kernel, for given inputs of the layer.

Seen from the kernel the layer is a matrix D: row i holds the samples under the window
of output i, one column per input channel and tap. ``D^H D`` is as small as the kernel
and is made without D: either from windows, a slab of outputs after the other, or from
products of the image with itself shifted, which take less work for large kernels.
"""

import itertools
import math

from .._core.arrays import namespace
from .._core.geometry import Geometry, axis_index

ENTRIES = 2**19  # entries of a slab of windows
FEW_CHANNELS = 4  # channels up to which images are multiplied pair by pair
PRODUCT_WORK = 8  # cost of a product of images, in units of a matrix product


def padded(x, g: Geometry):
    """The padded image of one input ``(c_in, *g.input)``, split into groups."""
    xp = namespace(x)
    for axis in range(3):
        index = axis_index(g, axis)
        if len(index) == g.input[axis] and (index >= 0).all() and g.before[axis] == 0:
            continue  # no padding
        shape = [1] * 4
        shape[axis + 1] = -1
        shown = xp.asarray((index >= 0).reshape(shape))
        x = xp.take(x, xp.asarray(index.clip(0)), axis=axis + 1) * shown
    return x.reshape((g.groups, g.c_in // g.groups, *g.padded))


def gram(image, g: Geometry):
    """``D^H D`` of a padded image: (groups, columns, columns)."""
    return _by_lags(image, g) if _lags_are_cheaper(g) else _by_windows(image, g)


def right_sides(image, y, g: Geometry):
    """``D^H y`` for ``y`` of shape (c_out, *g.output): (groups, columns, filters)."""
    y = y.reshape((g.groups, g.c_out // g.groups, *g.output))
    total = 0
    for windows, (d, h, w) in slabs(image, g):
        part = y[:, :, d, h, w].reshape((*y.shape[:2], -1))
        total = total + windows.conj() @ part.transpose(0, 2, 1)
    return total


def slabs(image, g: Geometry):
    """Columns of ``D^T`` and the box of outputs they belong to, slab by slab."""
    groups, channels = image.shape[:2]
    columns = channels * math.prod(g.kernel)
    w_step = min(max(ENTRIES // (groups * columns), 1), g.output[2])
    h_step = min(max(ENTRIES // (groups * columns * w_step), 1), g.output[1])
    for d, h, w in itertools.product(
        range(g.output[0]),
        range(0, g.output[1], h_step),
        range(0, g.output[2], w_step),
    ):
        box = (
            slice(d, d + 1),
            slice(h, min(h + h_step, g.output[1])),
            slice(w, min(w + w_step, g.output[2])),
        )
        yield _windows(image, g, box).reshape((groups, columns, -1)), box


def _windows(image, g, box):
    """The samples under the taps of a box of outputs."""
    groups, channels = image.shape[:2]
    sizes = [b.stop - b.start for b in box]
    shape = (groups, channels, *g.kernel, *sizes)
    windows = namespace(image).empty(shape, dtype=image.dtype)
    for tap in itertools.product(*map(range, g.kernel)):
        cut = tuple(
            slice(t * e + b.start * s, t * e + (b.stop - 1) * s + 1, s)
            for t, e, s, b in zip(tap, g.dilation, g.stride, box)
        )
        windows[(slice(None), slice(None), *tap)] = image[(..., *cut)]
    return windows


def _by_windows(image, g):
    total = 0
    for windows, _ in slabs(image, g):
        total = total + windows.conj() @ windows.transpose(0, 2, 1)
    return total


def _lags_are_cheaper(g):
    """Whether fewer operations are needed for shifted products than for windows."""
    lags = math.prod(2 * k - 1 for k in g.kernel) / 2
    products = lags * (PRODUCT_WORK + max(g.kernel) / 2)
    few = g.c_in // g.groups <= FEW_CHANNELS
    return few and math.prod(g.kernel) ** 2 > products


def _by_lags(image, g):
    """Taps with the same lag share the product of the image with a shifted copy.

    They differ in the box over which it is summed: the outputs, from the first of both
    taps on. The sums over the boxes of all taps are products with indicator matrices.
    """
    xp = namespace(image)
    groups, channels = image.shape[:2]
    shape = (groups, channels, *g.kernel)
    total = xp.zeros((*shape, *shape[1:]), dtype=image.dtype)
    for lag in itertools.product(*(range(1 - k, k) for k in g.kernel)):
        if lag < (0, 0, 0):
            continue  # the mirror of another
        parts = [_axis(xp, image, g, axis, lag[axis]) for axis in range(3)]
        here, there, boxes, taps = zip(*parts)
        first, second = image[(..., *here)].conj(), image[(..., *there)]
        place = tuple(t.reshape(s) for t, s in zip(taps, _OPEN))
        shifted = tuple(t + n for t, n in zip(place, lag))
        for c in range(channels):
            sums = _box_sums(first[:, c, None] * second, boxes)  # (groups, C, *taps)
            # (indices on both sides of a slice: their axes come first)
            at = (slice(None), c, *place, slice(None), *shifted)
            total[at] = sums.transpose(2, 3, 4, 0, 1)
            if any(lag):
                total[(slice(None), slice(None), *shifted, c, *place)] = sums.conj()
    columns = channels * math.prod(g.kernel)
    return total.reshape((groups, columns, columns))


_OPEN = ((-1, 1, 1), (1, -1, 1), (1, 1, -1))


def _axis(xp, image, g, axis, lag):
    """Slices, boxes and numbers of the taps t for which ``t + lag`` is also a tap."""
    k, step, stride = g.kernel[axis], g.dilation[axis], g.stride[axis]
    first, last = max(0, -lag), min(k, k - lag)
    start, reach = first * step, stride * (g.output[axis] - 1) + 1
    size = (last - 1 - first) * step + reach
    box = xp.zeros((last - first, size), dtype=image.dtype)
    for t in range(last - first):
        box[t, t * step : t * step + reach : stride] = 1
    here = slice(start, start + size)
    there = slice(start + lag * step, start + lag * step + size)
    return here, there, box, xp.arange(first, last)


def _box_sums(product, boxes):
    """Sums of (groups, C, d, h, w) over the boxes of each axis: one for every tap."""
    sums = product @ boxes[2].T
    sums = boxes[1] @ sums
    shape = sums.shape
    sums = boxes[0] @ sums.reshape((*shape[:3], -1))
    return sums.reshape((*shape[:2], -1, *shape[3:]))
