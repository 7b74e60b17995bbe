"""Diagonal preconditioning, exact for every boundary."""

import numpy as np

from .._array import to_numpy
from .._geometry import axis_index
from ._base import Preconditioner


class Jacobi(Preconditioner):
    """The inverse of the diagonal, exact for every boundary.

    Parameters
    ----------
    op : ConvLinearOperator
    damp : float
        The diagonal is that of ``A^H A + damp^2 I``.
    equations : {"normal", "hermitian", "plain"}
        With "hermitian" and "plain" the diagonal is that of a square A.

    Raises
    ------
    ValueError
        If the diagonal has zeros.

    Notes
    -----
    The diagonal is computed from the kernel axis by axis without forming a matrix. It
    is the one vector stored.
    """

    def __init__(self, op, damp=0.0, equations="normal"):
        super().__init__(op, damp, equations)
        if equations == "normal":
            diagonal = normal_diagonal(op) + damp**2
        else:
            diagonal = plain_diagonal(op)
        if not np.all(diagonal != 0):
            raise ValueError(
                "preconditioner 'jacobi' needs a diagonal without zeros; this "
                f"operator's has {int(np.sum(diagonal == 0))} of them"
            )
        self.inverse = op._xp.asarray((1 / diagonal).astype(op.dtype).reshape(1, -1))

    def apply(self, v):
        return (v * self.inverse).astype(v.dtype, copy=False)


def plain_diagonal(op):
    """The diagonal of a square operator, as a host array of shape ``input_shape``."""
    g = op.geometry
    if op.input_shape != op.output_shape:
        raise ValueError(
            "preconditioner 'jacobi' needs an operator whose input and output shapes "
            f"agree, got {op.input_shape} and {op.output_shape}"
        )
    weights = to_numpy(op._weights)
    c_in, c_out = g.c_in // g.groups, g.c_out // g.groups
    channel = np.arange(g.c_out)
    own = weights[channel, channel % c_in]
    own = np.where((channel // c_out == channel // c_in)[:, None, None, None], own, 0)
    d, h, w = (_reach(g, axis, np.arange(g.output[axis])) for axis in range(3))
    d, h, w = (hit[:, 0] == np.arange(len(hit))[:, None] for hit in (d, h, w))
    return np.einsum("cuvw,iu,jv,kw->cijk", own, d, h, w, optimize=True)


def normal_diagonal(op):
    """The diagonal of ``A^H A``, the squared norms of A's columns, on the host.

    Taps that fold onto the same sample add up before they are squared, so pairs of taps
    count: on each axis, the outputs that reach a sample by both taps of a pair.
    """
    g = op.geometry
    weights = to_numpy(op._weights)
    wide = weights.astype(np.result_type(weights.dtype, np.float64))
    shape = (g.groups, g.c_out // g.groups, g.c_in // g.groups, *g.kernel)
    wide = wide.reshape(shape)
    pairs = np.einsum("gocuvw,gocUVW->gcuvwUVW", wide, wide.conj(), optimize=True)
    pairs = pairs.real.reshape(g.c_in, *g.kernel, *g.kernel)
    for axis in range(3):  # contract one axis at a time: c,u,v,w,U,V,W -> ...,p
        count = _pair_counts(g, axis)
        pairs = np.tensordot(pairs, count, ([1, 4 - axis], [1, 2]))
    return pairs


def _reach(g, axis, outputs):
    taps = np.arange(g.kernel[axis]) * g.dilation[axis]
    return axis_index(g, axis)[outputs[:, None, None] * g.stride[axis] + taps]


def _pair_counts(g, axis):
    """Outputs that reach sample p by tap u and by tap U: an array (p, u, U)."""
    sample = _reach(g, axis, np.arange(g.output[axis]))[:, 0]  # (output, tap)
    count = np.zeros((g.input[axis], g.kernel[axis], g.kernel[axis]))
    for u in range(g.kernel[axis]):
        for v in range(g.kernel[axis]):
            both = (sample[:, u] == sample[:, v]) & (sample[:, u] >= 0)
            np.add.at(count, (sample[both, u], u, v), 1)
    return count
