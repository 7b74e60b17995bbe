"""Differences of neighbors on CuPy arrays; the contract is `kernels.differences`."""

import cupy
import numpy as np

from .. import launcher
from ..cuda_scratch import meeting


def shrink(x, z, u, axes, box, free, threshold, relax, isotropic):
    _check(x, axes, z=z, u=u)
    blocks, _ = launcher.vector_grid(x.size, 1)
    sums = cupy.empty(2, dtype="float64")
    numbers = np.float64(threshold), np.float64(relax)
    corners = [int(n) for corner in zip(*box) for n in corner]
    flags = int(bool(free)), int(bool(isotropic))
    meet = meeting(sums, blocks, 1)
    _launch("shrink", x, axes, x, z, u, *meet, *corners, *flags, *numbers)
    return sums


def divergence(z, u, axes):
    out = cupy.empty(z.shape[1:], dtype=z.dtype)
    _check(out, axes, z=z, u=u)
    _launch("divergence", out, axes, z, u, out)
    return out


def _check(x, axes, **fields):
    launcher.check("x", x, x.dtype)
    if x.ndim != 4:
        raise ValueError(f"x must have shape (B, d, h, w), got {x.shape}")
    for name, field in fields.items():
        launcher.check(name, field, x.dtype, (len(axes), *x.shape))


def _launch(name, x, axes, *args):
    used = [int(axis in axes) for axis in range(3)]
    launcher.launch(
        launcher.function("differences/cuda", name, x.dtype),
        launcher.vector_grid(x.size, 1),
        (launcher.THREADS,),
        *args,
        *used,
        *x.shape,
    )
