"""Diagonal preconditioning, exact for every boundary."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.arrays import to_numpy
from .._core.geometry import tap_samples
from .._core.typing import AnyArray, Equations, OperatorInput
from ..operators._row_norms import column_norms
from ._base import Preconditioner, preconditioner


@preconditioner("jacobi")
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

    def __init__(
        self, op: OperatorInput, damp: float = 0.0, equations: Equations = "normal"
    ):
        super().__init__(op, damp, equations)
        if equations == "normal":
            diagonal = column_norms(op) + damp**2
        else:
            diagonal = plain_diagonal(op).ravel()
        if not np.all(diagonal != 0):
            raise ValueError(
                "preconditioner 'jacobi' needs a diagonal without zeros; this "
                f"operator's has {int(np.sum(diagonal == 0))} of them"
            )
        self.reciprocals = op.xp.asarray((1 / diagonal).astype(op.dtype).reshape(1, -1))

    def apply_flat(self, v: Any) -> AnyArray:
        return (v * self.reciprocals).astype(v.dtype, copy=False)


def plain_diagonal(op):
    """The diagonal of a square operator, as a host array of shape ``input_shape``."""
    if op.layer is not op:
        return plain_diagonal(op.layer).conj()
    g = op.geometry
    if op.input_shape != op.output_shape:
        raise ValueError(
            "preconditioner 'jacobi' needs an operator whose input and output shapes "
            f"agree, got {op.input_shape} and {op.output_shape}"
        )
    weights = to_numpy(op.weights)
    c_in, c_out = g.c_in // g.groups, g.c_out // g.groups
    channel = np.arange(g.c_out)
    own = weights[channel, channel % c_in]
    own = np.where((channel // c_out == channel // c_in)[:, None, None, None], own, 0)
    d, h, w = (tap_samples(g, axis) for axis in range(3))
    d, h, w = (hit == np.arange(len(hit))[:, None] for hit in (d, h, w))
    return np.einsum("cuvw,iu,jv,kw->cijk", own, d, h, w, optimize=True)
