"""Givens rotations on CuPy arrays; the contract is that of `kernels.givens`."""

import cupy

from .. import launcher

LANES = 32  # threads of an item


def append(h, before, after, tiny, active, triangle, cosines, sines, right):
    batch, columns = h.shape
    _check(batch, h=h, cosines=cosines, triangle=triangle, right=right)
    for name, array in {"before": before, "after": after, "sines": sines}.items():
        launcher.check(name, array, "float64", (batch, *array.shape[1:]))
    launcher.check("active", active, "bool", (batch,))
    factor, residual = cupy.empty(batch), cupy.empty(batch)
    broken = cupy.empty(batch, dtype="bool")
    arrays = (triangle, cosines, sines, right, factor, broken, residual)
    _launch("append", triangle, h, before, after, tiny, active, *arrays, columns - 1)
    return factor, broken, residual


def substitute(triangle, right, norm, steps):
    batch = triangle.shape[0]
    _check(batch, triangle=triangle, right=right)
    launcher.check("norm", norm, "float64", (batch,))
    y = cupy.empty((batch, steps), dtype=triangle.dtype)
    _launch("substitute", triangle, triangle, right, norm, y, steps)
    return y


def _check(batch, **arrays):
    dtype = arrays["triangle"].dtype
    for name, array in arrays.items():
        launcher.check(name, array, dtype, (batch, *array.shape[1:]))


def _launch(name, triangle, *args):
    batch, size, _ = triangle.shape
    kernel = launcher.function("givens/cuda", name, triangle.dtype)
    grid = (min(batch, launcher.MAX_X),)
    launcher.launch(kernel, grid, (LANES,), *args, size, batch)
