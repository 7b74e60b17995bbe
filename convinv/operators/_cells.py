"""The cells that the convolutions of a stack, or a single one, share."""

import math

import numpy as np

from .._core.arrays import to_numpy
from ._polyphase import Polyphase


def parts_of(op) -> tuple:
    """The convolutions of a layer, of its adjoint or of a stack."""
    return op.convolutions or (op.layer,)


def keeper(op):
    """What set-ups are kept with: the layer, or the stack of convolutions."""
    return op if op.layer is None else op.layer


def cells_of(op) -> Polyphase:
    """The cells of a layer's input, or of the input of a stack.

    Those of a stack have the least common stride, and as many groups as no convolution
    couples.
    """
    geometries = [part.geometry for part in parts_of(op)]
    g = geometries[0]
    if len(geometries) == 1:
        return Polyphase(g)
    strides = zip(*(part.stride for part in geometries))
    stride = tuple(math.lcm(*along) for along in strides)
    groups = math.gcd(*(part.groups for part in geometries))
    return Polyphase(g._replace(stride=stride, groups=groups))


def coarsened(matrices, groups):
    """Matrices ``(g, p, q, ...)`` of g groups as those of fewer, larger ones."""
    own, rows, columns = matrices.shape[:3]
    if own == groups:
        return matrices
    many, rest = own // groups, matrices.shape[3:]
    wide = np.zeros((groups, many, rows, many, columns, *rest), matrices.dtype)
    split = matrices.reshape((groups, many, *matrices.shape[1:]))
    for k in range(many):
        wide[:, k, :, k] = split[:, k]
    return wide.reshape((groups, many * rows, many * columns, *rest))


def is_tall_stack(op) -> bool:
    """Whether `op` is a stack of convolutions whose Gram matrix may be regular."""
    return len(op.convolutions) > 1 and op.shape[0] >= op.shape[1]


def difference_axes(op):
    """The axis of each filter of differences of all neighbors, None for other layers.

    A difference that reaches over the border has to vanish, or to be left out.
    """
    g = op.geometry
    if g.c_in != g.groups or set(g.stride) != {1}:
        return None
    axes = []
    for taps in to_numpy(op.weights)[:, 0]:
        places = np.argwhere(taps)
        if len(places) != 2 or taps[tuple(places[0])] != -taps[tuple(places[1])]:
            return None
        steps = (places[1] - places[0]) * g.dilation
        (along,) = np.nonzero(steps) if np.count_nonzero(steps) == 1 else ([],)
        if not len(along) or steps[along[0]] != 1:
            return None
        offsets = places[0] * g.dilation - np.asarray(g.before)
        if not all(_covers(g, a, offsets[a], a == along[0]) for a in range(3)):
            return None
        axes.append(int(along[0]))
    return axes


def _covers(g, axis, offset, is_along):
    """Whether the outputs of an axis are all samples, or all neighbors, once."""
    n, last = g.input[axis], offset + g.output[axis] - 1
    if not is_along:
        return offset == 0 and last == n - 1
    if offset > 0 or last < n - 2:
        return False
    over = max(-offset, last - (n - 2))
    vanish = {"symmetric": 1, "replicate": n}.get(g.boundary, 0)
    return over <= vanish
