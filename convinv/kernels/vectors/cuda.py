"""Vector algebra on CuPy arrays; the contract is that of `kernels.vectors`."""

import cupy

from .. import launcher
from ..cuda_scratch import meeting

TOGETHER = 4  # vectors of a basis that a block of project_products multiplies


def sumsq(x):
    _check(x, x=x)
    return _sums("sumsq", x, "float64", (), x)


def extent(x):
    _check(x, x=x)
    both = _sums("extent", x, "float64", (2,), x)
    return both[:, 0], both[:, 1]


def dot(x, y):
    _check(x, x=x, y=y)
    return _sums("dot", x, launcher.wide(x.dtype).name, (), x, y)


def axpy(a, x, y):
    _check(x, x=x, y=y)
    _check_coefficients(x, a=a)
    return y, _sums("axpy", x, "float64", (), a, x, y)


def axpby(a, x, b, y):
    _check(x, x=x, y=y)
    _check_coefficients(x, a=a, b=b)
    return y, _sums("axpby", x, "float64", (), a, x, b, y)


def subtract(x, y):
    _check(x, x=x)
    launcher.check("y", y, launcher.wide(x.dtype), x.shape)
    return y, _sums("subtract", x, "float64", (), x, y)


def step(a, p, x, s, b):
    _check(x, p=p, x=x, s=s)
    _check_coefficients(x, a=a, b=b)
    _launch("step", x, a, p, x, s, b)
    return x, p


def three_term(h, a, hb, b, x, v, c):
    _check(x, h=h, hb=hb, x=x, v=v)
    _check_coefficients(x, a=a, b=b, c=c)
    _launch("three_term", x, h, a, hb, b, x, v, c)
    return h, hb, x


def project(basis, count, gram, w):
    """Two passes, without `gram`: the host need not test whether one suffices."""
    _check(w, w=w)
    launcher.check("basis", basis, w.dtype, (basis.shape[0], *w.shape))
    wide, more = launcher.wide(w.dtype), (count,)
    h = cupy.empty((w.shape[0], count), dtype=wide)
    for turn in range(2):
        groups = -(-(count + 1) // TOGETHER)
        args = "project_products", w, wide.name, (count + 1,), basis, w
        products = _sums(*args, more=more, groups=groups)
        if turn == 0:
            before = cupy.ascontiguousarray(products[:, count].real)
        args = "project_subtract", w, "float64", (), basis, products, w, h
        after = _sums(*args, more=(turn, count))
    return w, h, before, after


def scale(a, x):
    _check(x, x=x)
    _check_coefficients(x, a=a)
    _launch("scale", x, a, x)
    return x


def combine(basis, y):
    batch, count = y.shape
    launcher.check(
        "basis", basis, basis.dtype, (basis.shape[0], batch, *basis.shape[2:])
    )
    launcher.check("y", y, launcher.wide(basis.dtype))
    result = cupy.empty(basis.shape[1:], dtype=basis.dtype)
    _launch("combine", result, basis, y, result, count)
    return result


def _check(like, **arrays):
    for name, array in arrays.items():
        launcher.check(name, array, like.dtype, like.shape)
    if like.ndim != 2:
        raise ValueError(f"vectors must have shape (B, n), got {like.shape}")


def _check_coefficients(like, **coefficients):
    for name, array in coefficients.items():
        launcher.check(name, array, "float64", like.shape[:1])


def _grid(like):
    """Blocks for the packs of a vector, and for items."""
    batch, n = like.shape
    packs = -(-n * like.dtype.itemsize // 16)
    blocks = min(-(-packs // launcher.THREADS), launcher.resident_blocks())
    return min(max(blocks, 1), launcher.MAX_X), min(batch, launcher.MAX_YZ)


def _sums(name, like, dtype, shape, *args, more=(), groups=1):
    """Launch a kernel that leaves sums of `shape` for each item.

    Each of `groups` of blocks makes some of them, with a ticket for the last block.
    """
    batch, n = like.shape
    x, y = _grid(like)
    sums = cupy.empty((batch, *shape), dtype=dtype)
    launcher.launch(
        launcher.function("vectors/cuda", name, like.dtype),
        (x, y, groups),
        (launcher.THREADS,),
        *(*args, *meeting(sums, x, y * groups), *more, n, batch),
    )
    return sums


def _launch(name, like, *args):
    batch, n = like.shape
    launcher.launch(
        launcher.function("vectors/cuda", name, like.dtype),
        _grid(like),
        (launcher.THREADS,),
        *(*args, n, batch),
    )
