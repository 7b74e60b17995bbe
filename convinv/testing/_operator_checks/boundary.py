"""Which boundary a convolution has, and whether its adjoint is that of it.

The kernel is read from the response to an impulse in the middle of each channel. A
convolution of this package with that kernel and each boundary is then compared with the
operator on random arrays: all it does at the border has to agree.
"""

import itertools

import numpy as np

from ..._core.boundaries import BOUNDARIES
from ...operators._convolution import ConvLinearOperator
from .._registry import OPERATOR_CHECKS, NotAsked, Wrong

FLOOR = 1e-3  # of the tolerance, below which a tap is rounding


@OPERATOR_CHECKS.check("boundary")
def boundary(subject):
    """Zero, periodic, reflect, symmetric or replicate, and the adjoint of the same."""
    models = _models(subject)
    x = subject.x(7000)
    got = np.asarray(subject.op.forward(x))
    bound = 100 * subject.tolerance(got)
    fits = [name for name, op in models.items() if _far(op, x, got, "forward") <= bound]
    if not fits:
        raise NotAsked(_other(subject))
    every = len(fits) == len(models)  # some agree where the padding is one sample
    words = "none: it reads nothing beyond the border" if every else " or ".join(fits)
    if subject.op.adjoint is None:
        return words
    y = subject.y(7001)
    back = np.asarray(subject.op.adjoint(y))
    far = {name: _far(op, y, back, "adjoint") for name, op in models.items()}
    if min(far[name] for name in fits) <= bound:
        return words if every else f"{words}; its adjoint is that of {words}"
    words = "no boundary" if every else words
    others = [name for name in models if far[name] <= bound]
    of = f"that of {others[0]}" if others else "that of none of the five"
    raise Wrong(
        f"{words}, but its adjoint is {of}: it is off by {far[fits[0]]:.2g}, relative "
        "to its norm"
    )


def _models(subject):
    """A convolution for each boundary, with the kernel of the operator."""
    axes, op = subject.spatial, subject.op
    size, output = op.input_shape[-axes:], op.output_shape[-axes:]
    channels = op.input_shape[: len(op.input_shape) - axes]
    if len(op.output_shape) < axes or min(size) < 5:
        raise NotAsked("too few samples on an axis to tell")
    middle = tuple(n // 2 for n in size)
    units = itertools.product(*map(range, channels))
    responses = [_response(op, (*c, *middle)).reshape(-1, *output) for c in units]
    kernel, padding = _kernel(np.stack(responses, axis=1), middle, size, subject)
    shape = (kernel.shape[1], *size)
    options = {"padding": padding}
    return {
        name: _Model(ConvLinearOperator(kernel, shape, boundary=name, **options), op)
        for name in BOUNDARIES
    }


class _Model:
    """A convolution on arrays of the operator's shapes."""

    def __init__(self, conv, op):
        self.conv, self.op = conv, op

    def forward(self, x):
        y = self.conv.forward(x.reshape(self.conv.input_shape))
        return y.reshape(self.op.output_shape)

    def adjoint(self, y):
        x = self.conv.adjoint(y.reshape(self.conv.output_shape))
        return x.reshape(self.op.input_shape)


def _response(op, place):
    unit = np.zeros(op.input_shape, op.dtype)
    unit[place] = 1
    return np.asarray(op.forward(unit))


def _other(subject):
    """Why no boundary fits: it is no convolution, or one with another boundary.

    The response to an impulse beside the middle is compared, in the middle, with that
    to the one in the middle.
    """
    axes, op = subject.spatial, subject.op
    if op.output_shape[-axes:] != op.input_shape[-axes:]:
        return "no convolution of stride 1 with one of the five boundaries"
    lead = (0,) * (len(op.input_shape) - axes)
    middle = [n // 2 for n in op.input_shape[-axes:]]
    first = _response(op, (*lead, *middle))
    for axis in range(axes):
        step = [*middle]
        step[axis] += 1
        second = _response(op, (*lead, *step))
        beside = tuple(n + (a == axis) for a, n in enumerate(middle))
        one, two = first[(..., *middle)], second[(..., *beside)]
        if np.abs(one - two).max() > 100 * subject.tolerance(first) * np.abs(one).max():
            return "no convolution of stride 1 along its last axes"
    return "at the border it has none of the five boundaries"


def _kernel(responses, middle, size, subject):
    """The kernel (filters, channels, *k), and the padding of each axis.

    Output ``i`` reads tap ``p - i + before`` of an impulse at ``p``.
    """
    axes, padding, box = len(middle), [], []
    largest = np.abs(responses).max()
    if not largest:
        raise NotAsked("it maps an impulse to 0")
    seen = np.abs(responses) > FLOOR * subject.tolerance(responses) * largest
    for axis in range(axes):
        others = tuple(a for a in range(seen.ndim) if a != axis + 2)
        where = np.flatnonzero(seen.any(axis=others))
        low, high, total = where[0], where[-1], seen.shape[axis + 2]
        before = int(high) - middle[axis]
        after = total - size[axis] + int(high - low) - before
        if (low == 0 or high == total - 1) and (before > 0 or after > 0):
            raise NotAsked("its kernel is as large as the image")
        if before < 0 or after < 0:
            raise NotAsked("it leaves out samples at the border")
        padding.append((before, after))
        box.append(slice(low, high + 1))
    inside = responses[(slice(None), slice(None), *box)]
    return np.flip(inside, axis=tuple(range(2, 2 + axes))), tuple(padding)


def _far(op, given, got, direction):
    want = getattr(op, direction)(given)
    if want.shape != got.shape:
        return np.inf
    return float(np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-300))
