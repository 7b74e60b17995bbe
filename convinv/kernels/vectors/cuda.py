"""Vector algebra on CuPy arrays; the contract is that of `kernels.vectors`."""

import cupy

from .. import launcher


def sumsq(x):
    _check(x, x=x)
    partial = _partial(x, "float64")
    _launch("sumsq", x, x, partial)
    return total(partial, x.dtype)


def extent(x):
    _check(x, x=x)
    partial = _partial(x, "float64", 2)
    _launch("extent", x, x, partial)
    both = total(partial, x.dtype)
    return both[:, 0], both[:, 1]


def dot(x, y):
    _check(x, x=x, y=y)
    partial = _partial(x, launcher.wide(x.dtype))
    _launch("dot", x, x, y, partial)
    return total(partial, x.dtype)


def axpy(a, x, y):
    _check(x, x=x, y=y)
    partial = _partial(x, "float64")
    _launch("axpy", x, _coefficient("a", a, x), x, y, partial)
    return y, total(partial, x.dtype)


def axpby(a, x, b, y):
    _check(x, x=x, y=y)
    partial = _partial(x, "float64")
    _launch("axpby", x, _coefficient("a", a, x), x, _coefficient("b", b, x), y, partial)
    return y, total(partial, x.dtype)


def subtract(x, y):
    _check(x, x=x)
    launcher.check("y", y, launcher.wide(x.dtype), x.shape)
    partial = _partial(x, "float64")
    _launch("subtract", x, x, y, partial)
    return y, total(partial, x.dtype)


def step(a, p, x, s, b):
    _check(x, p=p, x=x, s=s)
    _launch("step", x, _coefficient("a", a, x), p, x, s, _coefficient("b", b, x))
    return x, p


def three_term(h, a, hb, b, x, v, c):
    _check(x, h=h, hb=hb, x=x, v=v)
    a, b, c = (_coefficient(n, f, x) for n, f in (("a", a), ("b", b), ("c", c)))
    _launch("three_term", x, h, a, hb, b, x, v, c)
    return h, hb, x


def project(basis, count, gram, w):
    """Two passes, without `gram`: the host need not test whether one suffices."""
    _check(w, w=w)
    launcher.check("basis", basis, w.dtype, (basis.shape[0], *w.shape))
    wide, before, h = launcher.wide(w.dtype), sumsq(w), 0
    for _ in range(2):
        partial = cupy.empty((w.shape[0], count, _blocks(w)), dtype=wide)
        _launch("project_products", w, basis, w, partial, count)
        rows = partial.reshape(w.shape[0] * count, _blocks(w))
        part = total(rows, w.dtype).reshape(w.shape[0], count)
        partial = _partial(w, "float64")
        _launch("project_subtract", w, basis, part, w, partial, count)
        h = h + part
    return w, h, before, total(partial, w.dtype)


def scale(a, x):
    _check(x, x=x)
    _launch("scale", x, _coefficient("a", a, x), x)
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


def total(partial, dtype):
    """Sums of the rows of `partial`, by the kernel compiled for data of `dtype`.

    Rows of pairs hold the partial results of `extent`.
    """
    name = "total_wide" if partial.dtype == launcher.wide(dtype) else "total_real"
    name = "total_extent" if partial.ndim == 3 else name
    batch, n, *rest = partial.shape
    sums = cupy.empty((batch, *rest), dtype=partial.dtype)
    launcher.launch(
        launcher.function("vectors/cuda", name, dtype),
        (min(batch, launcher.MAX_X),),
        (launcher.THREADS,),
        partial,
        sums,
        n,
        batch,
    )
    return sums


def _check(like, **arrays):
    for name, array in arrays.items():
        launcher.check(name, array, like.dtype, like.shape)
    if like.ndim != 2:
        raise ValueError(f"vectors must have shape (B, n), got {like.shape}")


def _coefficient(name, value, like):
    """One coefficient per item; real ones are converted for complex data."""
    dtype = launcher.wide(like.dtype)
    if value.dtype == "float64" != dtype:
        value = value.astype(dtype)
    launcher.check(name, value, dtype, like.shape[:1])
    return value


def _partial(x, dtype, *shape):
    return cupy.empty((x.shape[0], _blocks(x), *shape), dtype=dtype)


def _blocks(x):
    batch, n = x.shape
    return launcher.vector_grid(n, batch)[0]


def _launch(name, like, *args):
    batch, n = like.shape
    launcher.launch(
        launcher.function("vectors/cuda", name, like.dtype),
        launcher.vector_grid(n, batch),
        (launcher.THREADS,),
        *args,
        n,
        batch,
    )
