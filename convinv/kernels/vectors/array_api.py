"""Vector algebra on arrays of any array API library.

The same functions as in ``cpu.py``, but nothing is updated in place: new arrays are
returned. Coefficients are arrays of shape ``(B,)`` of the same library.
"""


def sumsq(x):
    xp = x.__array_namespace__()
    if xp.isdtype(x.dtype, "complex floating"):
        return _sumsq(xp, xp.real(x)) + _sumsq(xp, xp.imag(x))
    return _sumsq(xp, x)


def extent(x):
    xp, sums = x.__array_namespace__(), sumsq(x)
    parts = [x]
    if xp.isdtype(x.dtype, "complex floating"):
        parts = [xp.real(x), xp.imag(x)]
    largest = xp.zeros_like(sums)
    for part in parts if x.shape[1] else []:
        top = xp.astype(xp.max(xp.abs(part), axis=1), xp.float64)
        largest = xp.maximum(largest, top)
    return largest, sums


def dot(x, y):
    xp = x.__array_namespace__()
    if xp.isdtype(x.dtype, "complex floating"):
        x, y = xp.astype(x, xp.complex128), xp.astype(y, xp.complex128)
        return xp.sum(xp.conj(x) * y, axis=1)
    return xp.sum(xp.astype(x, xp.float64) * xp.astype(y, xp.float64), axis=1)


def axpy(a, x, y):
    y = y + _column(a, x) * x
    return y, sumsq(y)


def axpby(a, x, b, y):
    y = _column(a, x) * x + _column(b, x) * y
    return y, sumsq(y)


def subtract(x, y):
    y = x.__array_namespace__().astype(x, y.dtype) - y
    return y, sumsq(y)


def step(a, p, x, s, b):
    return x + _column(a, x) * p, s + _column(b, x) * p


def three_term(h, a, hb, b, x, v, c):
    hb = h + _column(a, x) * hb
    return v + _column(c, x) * h, hb, x + _column(b, x) * hb


def project(basis, count, gram, w):
    """Two passes, without `gram`."""
    xp = w.__array_namespace__()
    basis = xp.permute_dims(basis[:count, ...], (1, 0, 2))
    before, h = sumsq(w), 0
    for _ in range(2):
        part = _products(xp, basis, w)
        w = w - (part[:, None, :] @ basis)[:, 0, :]
        h = h + part
    is_complex = xp.isdtype(w.dtype, "complex floating")
    h = xp.astype(h, xp.complex128 if is_complex else xp.float64)
    return w, h, before, sumsq(w)


def scale(a, x):
    return _column(a, x) * x


def combine(basis, y):
    xp = basis.__array_namespace__()
    basis = xp.permute_dims(basis[: y.shape[1], ...], (1, 0, 2))
    return (xp.astype(y, basis.dtype)[:, None, :] @ basis)[:, 0, :]


def _products(xp, basis, w):
    """``V^H w`` without a conjugated copy of the basis."""
    turned = xp.permute_dims(basis, (0, 2, 1))
    if not xp.isdtype(w.dtype, "complex floating"):
        return (w[:, None, :] @ turned)[:, 0, :]
    return xp.conj((xp.conj(w)[:, None, :] @ turned)[:, 0, :])


def _sumsq(xp, x):
    x = xp.astype(x, xp.float64)
    return xp.sum(x * x, axis=1)


def _column(a, like):
    """Coefficients in the dtype of `like`, one per row."""
    return like.__array_namespace__().astype(a, like.dtype)[:, None]
