"""Inverse problems by their names, for every kind of method; all seeds are fixed."""

import numpy as np

from convinv import ConvLinearOperator

from .versions import optional

gallery = optional("convinv.gallery")
PROBLEMS = ("layer", "wide", "blur")


def problem(name, size, dtype, xp=np):
    """``(op, x, b)`` of a named inverse problem with ``b = A x``.

    "layer" has more data than unknowns, "wide" fewer, and "blur" is square, Hermitian
    and positive definite.
    """
    rng = np.random.default_rng(2)
    op = problem_operator(name, size, dtype, xp, rng)
    cells = rng.random((op.input_shape[0], size // 8, size // 8))
    x = xp.asarray(np.kron(cells, np.ones((8, 8))).astype(dtype))
    return op, x, op.forward(x)


def problem_operator(name, size, dtype, xp=np, rng=2):
    """The operator of a named problem, which draws its weights from `rng`."""
    if name == "blur":
        kernel = gallery.gaussian_kernel(11, 1.0)[None, None]
        channels, padding = 1, "same"
    else:
        channels, filters, padding = {"layer": (3, 8, 0), "wide": (3, 2, 1)}[name]
        kernel = gallery.conv_layer(channels, filters, rng=rng)
    return ConvLinearOperator(
        xp.asarray(kernel.astype(dtype)), (channels, size, size), padding=padding
    )
