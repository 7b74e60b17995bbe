"""A learned singular system as a linear operator."""

import numpy as np

from .._core.arrays import namespace
from .._core.blas_threads import one_blas_thread
from ._base import ShapedOperator


class LearnedOperator(ShapedOperator):
    """``y = sum_k s_k <x, u_k> v_k``, of low rank.

    Parameters
    ----------
    u, s, v : array, shapes (k, n), (k,) and (k, m)
        Rows; the rows of u with the weights of the images' inner product in them.
    input_shape, output_shape : tuple of int
    """

    def __init__(self, u, s, v, input_shape, output_shape):
        self.u, self.s, self.v, self.xp = u, s, v, namespace(u)
        super().__init__(np.result_type(u.dtype, v.dtype), input_shape, output_shape)

    def _apply(self, X):
        return self._product(X, self.u, self.v)

    def _apply_adjoint(self, Y):
        return self._product(Y, self.v, self.u)

    def _product(self, array, analyze, synthesise):
        with one_blas_thread:
            rows = array.reshape((array.shape[0], -1))
            return ((rows @ analyze.conj().T) * self.s) @ synthesise
