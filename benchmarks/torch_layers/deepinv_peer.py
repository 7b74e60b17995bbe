"""Implicit differentiation of least squares by deepinv, where it is installed."""

import functools
import importlib

from torch.nn import functional

# deepinv's own way to a solution without damping
UNDAMPED = 1e8
MAXITER, TOLERANCE = 200, 1e-6


@functools.cache
def installed():
    try:
        importlib.import_module("deepinv")
    except ImportError:
        return False
    return True


def solved(y, weight, shape, damp):
    """The solution. Its backward pass adds to ``weight.grad`` if that is a leaf."""
    import torch
    from deepinv.optim.linear import least_squares_implicit_backward

    return least_squares_implicit_backward(
        _physics()(weight),
        y,
        gamma=torch.tensor(1 / damp**2 if damp else UNDAMPED, dtype=y.dtype),
        solver="CG",
        max_iter=MAXITER,
        tol=TOLERANCE,
    )


@functools.cache
def _physics():
    from deepinv.physics import LinearPhysics

    class Layer(LinearPhysics):
        def __init__(self, weight):
            super().__init__()
            self.register_buffer("weight", weight)  # which may have a gradient

        def A(self, x, **kwargs):
            return functional.conv2d(x, self.weight)

        def A_adjoint(self, y, **kwargs):
            return functional.conv_transpose2d(y, self.weight)

    return Layer
