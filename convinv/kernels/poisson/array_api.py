"""Steps for Poisson counts on arrays of any array API library.

The same functions as in ``cpu.py``, but nothing is updated in place: new arrays are
returned.
"""


def quotient(u, background, counts, q):
    u = _positive(u + background)
    return u, counts / u


def advance(t, v, u, counts, q):
    u = _positive(u + _column(t, u) * v)
    return u, counts / u


def slopes(t, u, v, counts):
    t = _column(t, u)
    w = _positive(u + t * v)
    part = counts * v / w
    return _sum(part * t * v / u), _sum(part * v / w)


def direction(a, x, g, inverse, least, d):
    xp = x.__array_namespace__()
    moved = x - _column(a, x) * xp.maximum(x, _column(least, x)) * inverse * g
    d = xp.maximum(moved, xp.zeros_like(x)) - x
    return d, _sum(g * d)


def gradient(back, s, x, inverse, level):
    xp = x.__array_namespace__()
    g = s - back
    step = xp.minimum(x, xp.maximum(x, _column(level, x)) * inverse * g)
    return g, _sum(step, step), _sum(x, x)


def curvature(d, g, old, x, inverse, least):
    xp = x.__array_namespace__()
    y = xp.maximum(x, _column(least, x)) * inverse * (g - old)
    return _sum(d, y), _sum(y, y)


def _positive(u):
    xp = u.__array_namespace__()
    return xp.maximum(u, xp.full_like(u, xp.finfo(u.dtype).smallest_normal))


def _column(a, like):
    return like.__array_namespace__().astype(a, like.dtype)[:, None]


def _sum(x, y=None):
    xp = x.__array_namespace__()
    x = xp.astype(x, xp.float64)
    return xp.sum(x if y is None else x * xp.astype(y, xp.float64), axis=1)
