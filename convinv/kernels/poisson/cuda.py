"""Steps for Poisson counts on CuPy arrays, by the contract of `kernels.poisson`."""

import cupy
import numpy as np

from .. import launcher
from ..cuda_scratch import meeting


def quotient(u, background, counts, q):
    _check(u, u=u, counts=counts, q=q)
    rows = _rows(u, background=background)
    _launch("quotient", u, u, background, counts, q, _tiny(u), *rows)
    return u, q


def advance(t, v, u, counts, q):
    _check(u, v=v, u=u, counts=counts, q=q)
    _launch("advance", u, _coefficient("t", t, u), v, u, counts, q, _tiny(u))
    return u, q


def slopes(t, u, v, counts):
    _check(u, u=u, v=v, counts=counts)
    t = _coefficient("t", t, u)
    return _sums("slopes", u, t, u, v, counts, _tiny(u))


def direction(a, x, g, inverse, least, d):
    _check(x, x=x, g=g, d=d)
    rows = _rows(x, inverse=inverse)
    a, least = _coefficient("a", a, x), _coefficient("least", least, x)
    return d, _sums("direction", x, a, x, g, inverse, least, d, more=rows)[0]


def gradient(back, s, x, inverse, level):
    _check(x, back=back, x=x)
    rows = _rows(x, s=s, inverse=inverse)
    level = _coefficient("level", level, x)
    return back, *_sums("gradient", x, back, s, x, inverse, level, more=rows)


def curvature(d, g, old, x, inverse, least):
    _check(x, d=d, g=g, old=old, x=x)
    rows = _rows(x, inverse=inverse)
    least = _coefficient("least", least, x)
    return _sums("curvature", x, d, g, old, x, inverse, least, more=rows)


def _sums(name, like, *args, more=()):
    """Launch a kernel that leaves two sums for each item; returns them."""
    batch, n = like.shape
    blocks, ticketed = launcher.vector_grid(n, batch)
    sums = cupy.empty((batch, 2), dtype="float64")
    _launch(name, like, *args, *meeting(sums, blocks, ticketed), *more)
    return sums[:, 0], sums[:, 1]


def _check(like, **arrays):
    for name, array in arrays.items():
        launcher.check(name, array, like.dtype, like.shape)
    if like.ndim != 2 or like.dtype.kind != "f":
        raise ValueError(
            f"vectors must be real and have shape (B, n), got {like.dtype} {like.shape}"
        )


def _rows(like, **arrays):
    """The rows of arrays that may have one for all items."""
    for name, array in arrays.items():
        rows = 1 if array.shape[:1] == (1,) else like.shape[0]
        launcher.check(name, array, like.dtype, (rows, like.shape[1]))
    return [array.shape[0] for array in arrays.values()]


def _coefficient(name, value, like):
    launcher.check(name, value, "float64", like.shape[:1])
    return value


def _tiny(like):
    return np.float64(np.finfo(like.dtype).tiny)


def _launch(name, like, *args):
    batch, n = like.shape
    launcher.launch(
        launcher.function("poisson/cuda", name, like.dtype),
        launcher.vector_grid(n, batch),
        (launcher.THREADS,),
        *args,
        n,
        batch,
    )
