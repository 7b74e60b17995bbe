"""Line integrals over an image in the unit disk, and their transpose, on NumPy arrays.

``project(images, turned, cosines, sines, y)`` writes ``y[b, k, d]``, the integral along
the line ``x cos + y sin = s`` over an image that is constant on every pixel.
``spread(y, cosines, sines, first, last, detectors, x)`` writes the transpose
``x[b, i, j]`` for the pixels ``first[i] <= j < last[i]`` of every row, and zero
elsewhere.

The weight of a pixel is the length of the line in it. With h the width of a pixel, c
the larger of ``|cos|`` and ``|sin|``, and r the quotient of the two, it is ``h / c``
times ``1/2 + (1/2 - u / (h c)) / r``, cut off at 0 and 1, where u is the distance of
the line from the pixel's center. Near an axis r is small, and rounding would decide
which pixel contains a line along an edge: r is at least `FLAT`. On a row of pixels (on
a column, if the line is closer to horizontal) at most two weights are nonzero, and they
add up to ``h / c``.

Both functions gather: each output is computed in one place from these weights. A turn
by pi does not change the weights, so that two rows of pixels share them.
"""

import math

import numpy as np

from .._core.threads import parallel_for
from .jit import jit

FLAT = 0.05
PAD = 2  # zeros on either side of the lines of pixels
ROWS = 8  # pixel rows, and their mirror rows, that share the data read for an angle


def project(images, turned, cosines, sines, y):
    """Integrals of `images`, shape (B, N, N + 2 PAD), and `turned`, its columns."""
    batch, angles, detectors = y.shape
    size = images.shape[1]
    parallel_for(
        _project, batch * angles, 4.0 * y.size * size,
        images, turned, cosines, sines, y,
    )  # fmt: skip


def spread(y, cosines, sines, first, last, detectors, x):
    """The transpose; `y` has shape (B, K, detectors + 2 margin(...))."""
    batch, size = x.shape[:2]
    blocks = ((size + 1) // 2 + ROWS - 1) // ROWS
    parallel_for(
        _spread, batch * blocks, 4.0 * x.size * y.shape[1],
        y, cosines, sines, first, last, detectors, x,
    )  # fmt: skip


def margin(size, detectors):
    """The number of zeros that `spread` needs on each side of the detectors."""
    return -(-detectors // size)


@jit(inner=True, fastmath={"reassoc", "contract"})
def _along(source, base, count, width, at, slope, ramp, scratch):
    """The integral along a line over `count` rows; it crosses the first at `at`.

    In two passes, as only the first one can fill vector registers.
    """
    index, near = scratch
    total, here, one = 0.0, np.int64(base), np.uint64(1)
    for line in range(np.uint64(count)):
        position = at + np.float64(np.int32(line)) * slope
        whole = np.int32(position)
        part = 0.5 + (0.5 - (position - np.float64(whole))) * ramp
        part = part if part < 1 else 1.0
        near[line] = part if part > 0 else 0.0
        index[line] = here + np.int64(np.int32(line)) * width + whole
    for line in range(np.uint64(count)):
        of = np.uint64(index[line])
        first, second = source[of], source[of + one]
        total += second + near[line] * (first - second)
    return total


@jit
def _project(start, stop, images, turned, cosines, sines, y):
    angles, detectors = y.shape[1], y.shape[2]
    size, width = images.shape[1], images.shape[2]
    h, scratch = 2.0 / size, (np.empty(size, np.int64), np.empty(size))
    for task in range(start, stop):
        b, k = task // angles, task % angles
        c, s = cosines[k], sines[k]
        steep = abs(c) >= abs(s)
        source = (images if steep else turned).reshape(images.size)
        major = abs(c) if steep else abs(s)
        slope = s / c if steep else c / s
        ramp = 1 / max(abs(slope), FLAT)
        base = b * size * width
        for d in range(detectors):
            offset = (2 * d + 1.0) / detectors - 1.0
            # where the line crosses the first row, in pixels, and the rows of its chord
            half = major * math.sqrt((1 + h) ** 2 - offset**2)
            if steep:
                at = ((offset - s * (1 - 0.5 * h)) / c + 1) / h
                middle = 1 - offset * s
            else:
                at = (1 - (offset + c * (1 - 0.5 * h)) / s) / h
                middle = 1 + offset * c
            low = max(math.ceil((middle - half) / h - 0.5), 0)
            high = min(math.floor((middle + half) / h - 0.5) + 1, size)
            at += PAD - 0.5
            total = _along(
                source, base + low * width, max(high - low, 0), width, at + low * slope,
                slope, ramp, scratch,
            )  # fmt: skip
            y[b, k, d] = total * h / major


@jit(inner=True)
def _weigh(scratch, count, at, step, reach, ramp, scale, e):
    """Weights of detectors `e` and `e` + 1 after the one before each of some pixels."""
    index, near, far = scratch
    top, slope = (0.5 + 0.5 * ramp) * scale, ramp * scale / reach
    for j in range(np.uint64(count)):
        position = at + np.float64(np.int32(j)) * step
        whole = np.int32(position)
        part = position - np.float64(whole) - e
        index[j] = whole
        left, right = top - abs(part) * slope, top - abs(1 - part) * slope
        left, right = min(left, scale), min(right, scale)
        near[j] = left if left > 0 else 0.0
        far[j] = right if right > 0 else 0.0


@jit(inner=True)
def _add(sums, to, count, source, base, sign, scratch):
    """Add the weighted data from `base` on, forward or backward."""
    index, near, far = scratch
    start, other = np.uint64(to), np.int64(base + sign)
    here = np.int64(base)
    for j in range(np.uint64(count)):
        at = sign * index[j]
        first, second = source[np.uint64(here + at)], source[np.uint64(other + at)]
        sums[start + j] += near[j] * first + far[j] * second


@jit
def _spread(start, stop, y, cosines, sines, first, last, detectors, x):
    angles, wide, size = y.shape[1], y.shape[2], x.shape[1]
    sides = (wide - detectors) // 2
    half = (size + 1) // 2
    blocks = (half + ROWS - 1) // ROWS
    h, source = 2.0 / size, y.reshape(y.size)
    upper, lower = np.empty(ROWS * size), np.empty(ROWS * size)
    scratch = np.empty(size, np.int64), np.empty(size), np.empty(size)
    for task in range(start, stop):
        b, top = task // blocks, task % blocks * ROWS
        rows = min(ROWS, half - top)
        upper[:] = 0.0
        lower[:] = 0.0
        for k in range(angles):
            c, s = cosines[k], sines[k]
            major = max(abs(c), abs(s))
            ratio = max(min(abs(c), abs(s)) / major, FLAT)
            reach = major * detectors / size  # of a pixel's width, in detectors
            near = math.ceil(reach * (1 + ratio) / 2)
            base = (b * angles + k) * wide
            step = c * detectors / size
            for r in range(rows):
                i = top + r
                count, to = last[i] - first[i], r * size + first[i]
                u = (1 - (i + 0.5) * h) * s + ((first[i] + 0.5) * h - 1) * c
                at = (1 + u) * detectors / 2 - 0.5 + sides
                for e in range(1 - near, near + 1, 2):
                    _weigh(scratch, count, at, step, reach, 1 / ratio, h / major, e)
                    _add(upper, to, count, source, base + e, 1, scratch)
                    _add(lower, to, count, source, base + wide - 1 - e, -1, scratch)
        for r in range(rows):
            for j in range(size):
                x[b, size - 1 - top - r, size - 1 - j] = lower[r * size + j]
                x[b, top + r, j] = upper[r * size + j]
