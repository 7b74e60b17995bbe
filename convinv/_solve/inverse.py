"""The inverse of an operator as an operator, by `solve`."""

from .._core.validation import number
from ..operators._base import ShapedOperator
from . import arguments
from .front import solve


class InverseOperator(ShapedOperator):
    """``(A^H A + damp^2 I)^-1 A^H``, which solves when it is applied.

    What `ShapedOperator.inverse` returns. Operators lie below the solvers and can't
    import this: the package hands it to `register_inverse` of ``operators/_base.py`` in
    ``_solve/__init__.py``. The adjoint of the damped pseudoinverse is the damped
    pseudoinverse of the adjoint.

    Parameters
    ----------
    op : ShapedOperator
    damp : float
    method : str
    rtol : float
    options : dict
        Of `solve`.
    """

    def __init__(self, op, damp, method, rtol, options):
        self.op, self.xp = op, op.xp
        self.damp, self.rtol = number(damp, "damp"), number(rtol, "rtol")
        arguments.method(method, op)
        self.method, self.options = method, dict(options)
        super().__init__(op.dtype, op.output_shape, op.input_shape)

    def _apply(self, X):
        return self._solved(self.op, X)

    def _apply_adjoint(self, Y):
        return self._solved(self.op.H, Y)

    def _solved(self, op, b):
        if not b.shape[0]:
            return b.reshape((0, *op.input_shape))
        options = {**self.options, "columns": False}  # items are rows, however many
        return solve(op, b, self.method, damp=self.damp, rtol=self.rtol, **options).x

    def _adjoint(self):
        op = self.op.H
        return InverseOperator(op, self.damp, self.method, self.rtol, self.options)
