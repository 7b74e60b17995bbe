"""An operator times a power of two."""

import numpy as np

from ..operators._base import ShapedOperator


def scale_operator(op, power):
    """``2**-power op``; of convolutions it is kept with them."""
    if power == 0:
        return op
    if op.layer is not None or op.weighted_convolutions:
        half = -power // 2
        return op.cached(
            ("scaled", power),
            lambda: op.scaled(float(np.ldexp(1.0, half))).scaled(
                float(np.ldexp(1.0, -power - half))
            ),
        )
    return _PowerOfTwo(op, -power)


class _PowerOfTwo(ShapedOperator):
    """A general operator times a power of two."""

    def __init__(self, op, power):
        self.op, self.power, self.xp = op, power, op.xp
        self.has_adjoint = op.has_adjoint
        super().__init__(op.dtype, op.input_shape, op.output_shape)

    @property
    def matrix(self):  # type: ignore[override]
        matrix = self.op.matrix
        return None if matrix is None else self._times(matrix)

    def _times(self, array):
        half = float(np.ldexp(1.0, self.power // 2))
        return array * half * float(np.ldexp(1.0, self.power - self.power // 2))

    def _apply(self, X):
        return self._times(self.op.apply(X))

    def _apply_adjoint(self, Y):
        return self._times(self.op.apply_adjoint(Y))
