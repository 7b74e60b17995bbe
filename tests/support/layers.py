"""Layers of all kinds with their matrices, for the tests of exact inverses."""

import numpy as np
from hypothesis import strategies as st

from convinv import ConvLinearOperator

from .arrays import BOUNDARIES, random


def matrix(op):
    """The layer's matrix, dense and in double precision."""
    return op.tosparse().toarray().astype(np.result_type(op.dtype, "float64"))


def layer(shape, input_shape, dtype="float64", seed=0, **options):
    """A layer with a random kernel."""
    return ConvLinearOperator(random(shape, dtype, seed), input_shape, **options)


def _axis(draw, boundary, longest, strides):
    """(size, taps, stride, dilation, padding) that leave at least one output."""
    taps = draw(st.integers(1, 4))
    dilation = draw(st.integers(1, 2))
    stride = draw(st.integers(1, 3)) if strides else 1
    pads = st.integers(0, 4 if boundary != "periodic" else 2)
    before, after = draw(pads), draw(pads)
    least = max(1, dilation * (taps - 1) + 1 - before - after)
    if boundary == "reflect" and before + after:
        least = max(least, 2)  # one sample has no reflection
    size = draw(st.integers(least, max(least, longest)))
    return size, taps, stride, dilation, (before, after)


@st.composite
def layers(draw, strides=True, square=False):
    """Any layer; one axis may be long enough to have an interior."""
    ndim = draw(st.integers(1, 3))
    boundary = draw(st.sampled_from(BOUNDARIES))
    long = draw(st.integers(0, ndim - 1))
    longest = {1: 45, 2: 30, 3: 20}[ndim]
    axes = [
        _axis(draw, boundary, longest if a == long else 3, strides) for a in range(ndim)
    ]
    size, taps, stride, dilation, padding = zip(*axes)
    if square:
        padding = tuple(
            (p := min(before, d * (k - 1)), d * (k - 1) - p)
            for (before, _), d, k in zip(padding, dilation, taps)
        )
        size = tuple(max(n, 2) for n in size)
    groups = draw(st.integers(1, 2))
    channels = draw(st.integers(1, 2))
    filters = channels if square else draw(st.integers(1, 3))
    return layer(
        (filters * groups, channels, *taps),
        (channels * groups, *size),
        draw(st.sampled_from(["float64", "complex128"])),
        draw(st.integers(0, 3)),
        stride=stride,
        dilation=dilation,
        padding=padding,
        groups=groups,
        boundary=boundary,
        flip=draw(st.booleans()),
    )


def normal_matrix(gram, op, damp=0.0, ghosts=True):
    """N between all cells, from the layer's matrix.

    Samples of the last cells that the image has not have a 1 on the diagonal, or a 0
    without `ghosts`.
    """
    A = matrix(op)
    if gram.side == "self":
        N = A
    else:
        N = A.conj().T @ A if gram.side == "input" else A @ A.conj().T
    order = gram.pack(np.eye(len(N))).reshape(len(N), -1)  # samples by cells
    eye = np.eye(order.shape[1])
    return order.T @ N @ order + ghosts * (eye - order.T @ order) + damp**2 * eye


def restricted(N, gram, window):
    """The rows and columns of the cells in a window of (start, stop) per axis."""
    index = np.arange(len(N)).reshape(gram.groups, gram.channels, *gram.grid)
    keep = index[(..., *(slice(*w) for w in window))].ravel()
    return N[np.ix_(keep, keep)]


@st.composite
def windows(draw, grid):
    """Along each axis all cells, or some at either end."""
    chosen = []
    for n in grid:
        size = draw(st.integers(1, n))
        end = draw(st.sampled_from(["all", "low", "high"]))
        chosen.append({"all": (0, n), "low": (0, size), "high": (n - size, n)}[end])
    return chosen
