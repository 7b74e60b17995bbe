"""Winograd's products of 3 x 3 kernels: points, filters and errors.

A tile of 4 x 4 results is a product of polynomials, on either axis modulo ``x (x^2 -
p^2) (x^2 - q^2)`` and at infinity. With ``B^T d B`` the values of the tile's samples d,
6 x 6, at these points, and ``G g G^T`` those of a kernel g, the results are ``A^T [(G g
G^T) * (B^T d B)] A``: 36 multiplications instead of 144. The sum over channels is a
product of matrices at every point.

The error of a result of output channel o is at most, to first order in the unit
roundoff u (half of `numpy.finfo.eps`)::

    (C + 30) u GROWTH sum_c sum(|g[o, c]|) max(|d[c]|)

with C channels that are summed over, and d the samples that the result's tile reads of
each: beside the roundings of the sum at most 30, of numbers that are larger than the
result by GROWTH at most. On random data it is 1.7 times the error of the direct sum.
Since it is relative to the tile's largest samples, small samples beside large ones lose
digits, and a sample that is not finite spoils its tile. Samples within a factor of 30
of the largest number of the precision may overflow. The errors of results that an
adjoint folds add up, as the results do.

References
----------
B. Barabasz, A. Anderson, K. M. Soodhalter and D. Gregg, Error Analysis and Improving
the Accuracy of Winograd Convolution for Deep Neural Networks, ACM Trans. Math. Softw.
46 (2020).
"""

import itertools
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ..._core.boundaries import padded_index
from ..._core.geometry import Geometry, axis_index
from .inner_loop import ROWS

OUT, TAPS = 4, 3  # results of a tile and taps, along an axis
SIZE = OUT + TAPS - 1  # samples that a tile reads, and points
# Pairs of opposite points, beside 0 and infinity. With the usual ones, 1 and 2, errors
# are more than twice as large; a product of 1 makes coefficients 1.
PAIRS = (Fraction(2, 3), Fraction(3, 2))
NONE = np.empty(0, np.int64)


def _matrices():
    """``(A^T, G, B^T)`` of fractions, by Lagrange's interpolation at the points."""
    points = [Fraction(0)]
    for p in PAIRS:
        points += [p, -p]
    results = [[a**i for a in points] + [Fraction(i == OUT - 1)] for i in range(OUT)]
    taps, samples = [], []
    for a in points:
        others = [b for b in points if b != a]
        scale = np.prod([a - b for b in others])
        taps.append([a**k / scale for k in range(TAPS)])
        samples.append([*_polynomial(others), Fraction(0)])
    taps.append([Fraction(k == TAPS - 1) for k in range(TAPS)])
    samples.append(_polynomial(points))
    return results, taps, samples


def _polynomial(roots):
    """The coefficients of the product of ``x - root``, from the constant one on."""
    found = [Fraction(1)]
    for root in roots:
        found = [a - root * b for a, b in zip([0, *found], [*found, 0])]
    return found


RESULTS, FILTERS, SAMPLES = _matrices()


def _growth():
    """How much larger than a result's largest the terms of its sum can be, on an axis.

    The largest sum over points of ``|A| |G|`` and the sums of rows of ``|B|``.
    """
    rows = [sum(map(abs, row)) for row in SAMPLES]
    return max(
        sum(abs(row[k] * FILTERS[k][u]) * rows[k] for k in range(SIZE))
        for row in RESULTS
        for u in range(TAPS)
    )


GROWTH = float(_growth() ** 2)  # 152, on both axes


def error_bound(kernel, largest):
    """The bound above for every output channel, from all samples of an image.

    Parameters
    ----------
    kernel : array, shape (c_out, c_in, 3, 3)
    largest : array, shape (c_in,)
        The largest magnitude of each channel.
    """
    roundings = (kernel.shape[1] + 30) * np.finfo(kernel.dtype).eps / 2
    sums = np.abs(kernel).sum((2, 3), dtype=np.float64)
    return roundings * GROWTH * (sums @ np.asarray(largest, np.float64))


class Side(NamedTuple):
    """One of the two products, as the loops see it.

    Its result at row i and column j sums the filters times the samples at
    ``rows[i:i + 3]`` and ``columns[j:j + 3]``, zeros at -1. With `folds`, results for
    padded positions are added to the samples that these copy.
    """

    channels: tuple  # of a group: summed over, and results
    source: tuple  # height and width
    size: tuple  # height and width of what is computed, padding included
    result: tuple  # height and width of the array
    lead: int  # place in `columns` of the first sample
    before: tuple  # padding above and to the left of the results, if it is folded
    rows: np.ndarray
    columns: np.ndarray
    folds: tuple  # the samples of padded rows and of columns; empty if none is folded
    filters: np.ndarray  # flat; for every group, block and point (summed, results)
    block_start: np.ndarray  # (blocks + 1,): the result channels of each block


class Plan:
    """The transformed filters of both directions, made on first use."""

    def __init__(self, kernel, geometry: Geometry):
        self.geometry, self.dtype = geometry, kernel.dtype
        self._kernel = kernel.reshape(
            geometry.groups, -1, geometry.c_in // geometry.groups, TAPS, TAPS
        )
        self._forward = self._adjoint = None

    @property
    def nbytes(self):
        """Bytes of the transformed filters of both directions."""
        return 2 * SIZE**2 * self._kernel[..., 0, 0].size * self.dtype.itemsize

    @property
    def forward(self):
        if self._forward is None:
            self._forward = _forward_side(self.geometry, self._kernel)
        return self._forward

    @property
    def adjoint(self):
        if self._adjoint is None:
            self._adjoint = _adjoint_side(self.geometry, self._kernel)
        return self._adjoint


def _forward_side(g, kernel):
    return Side(
        kernel.shape[2:0:-1], g.input[1:], g.output[1:], g.output[1:], g.before[2],
        (0, 0), axis_index(g, 1), axis_index(g, 2), (NONE, NONE), *_filters(kernel),
    )  # fmt: skip


def _adjoint_side(g, kernel):
    folded = g.boundary != "zero" and any(g.before + g.after)
    size = g.padded[1:] if folded else g.input[1:]
    first = (0, 0) if folded else g.before[1:]
    # position q of the padded image is reached from the outputs q - 2 to q
    rows, columns = (
        padded_index(n, TAPS - 1, TAPS - 1, "zero")[a : a + m + TAPS - 1]
        for n, m, a in zip(g.output[1:], size, first)
    )
    folds = (axis_index(g, 1), axis_index(g, 2)) if folded else (NONE, NONE)
    turned = kernel[..., ::-1, ::-1].swapaxes(1, 2)
    return Side(
        kernel.shape[1:3], g.output[1:], size, g.input[1:], TAPS - 1 - first[1],
        g.before[1:] if folded else (0, 0), rows, columns, folds, *_filters(turned),
    )  # fmt: skip


def _filters(kernel):
    """The filters of all groups and blocks, and the first result of each block."""
    groups, results, summed = kernel.shape[:3]
    count = -(-results // ROWS)
    start = np.array([i * results // count for i in range(count + 1)], np.int64)
    one_axis = np.array(FILTERS, np.float64)
    both_axes = np.kron(one_axis, one_axis)
    filters = np.empty((groups, SIZE**2 * summed * results), kernel.dtype)
    for group, rows in zip(kernel, filters):
        for a, b in itertools.pairwise(start):
            taps = group[a:b].transpose(2, 3, 1, 0).reshape(TAPS**2, -1)
            part = slice(SIZE**2 * summed * a, SIZE**2 * summed * b)
            rows[part] = (both_axes @ taps.astype(np.float64)).ravel()
    return filters.ravel(), start
