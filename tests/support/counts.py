"""Problems with Poisson counts, and the conditions of their solution from matrices."""

import dataclasses
import functools

import numpy as np
from scipy import sparse

from convinv import ConvLinearOperator, methods
from convinv.operators import StackedOperator

METHODS = {m.name: m for m in methods() if m.objective == "poisson"}
# Every method as it comes, and with its settings: (method, arguments of solve).
VARIANTS = {
    **{name: (name, {}) for name in METHODS},
    **{
        f"{m.name} {variant}": (m.name, dict(settings))
        for m in METHODS.values()
        for variant, settings in m.variants.items()
    },
}
LEVEL = 30.0  # of the counts


def layer(shape, input_shape, **options):
    def make(rng):
        kernel = rng.random(shape)
        kernel[..., 0] *= rng.random(shape[:-1]) < 0.5
        return ConvLinearOperator(kernel / kernel[0].sum(), input_shape, **options)

    return make


def stack(rng):
    first, second = layer((1, 1, 3, 3), (1, 6, 7)), layer((2, 1, 2, 4), (1, 6, 7))
    return StackedOperator([first(rng), second(rng)])


def matrix(rng):
    return sparse.csr_array(rng.random((30, 20)) * (rng.random((30, 20)) < 0.4))


def same(boundary):
    return layer((1, 1, 3, 5), (1, 7, 8), padding="same", boundary=boundary, flip=True)


PROBLEMS = {
    **{b: same(b) for b in ("zero", "periodic", "reflect", "symmetric", "replicate")},
    "valid": layer((1, 1, 3, 3), (1, 8, 9)),
    "channels": layer((3, 2, 3, 3), (2, 7, 6), padding=1),
    "groups": layer((4, 1, 2, 2), (2, 5, 6), groups=2),
    "stride": layer((2, 1, 3, 3), (1, 9, 9), stride=2, dilation=(1, 2)),
    "1-D": layer((2, 1, 4), (1, 19)),
    "3-D": layer((1, 1, 2, 3, 2), (1, 4, 5, 6), padding=1, boundary="replicate"),
    "stack": stack,
    "matrix": matrix,
}


@dataclasses.dataclass(frozen=True)
class Case:
    """An operator without negative entries, its matrix, and counts with a background.

    `b` has three items, flat; the background is that of one item.
    """

    op: object
    A: np.ndarray
    b: np.ndarray
    background: np.ndarray


def dense(op):
    if isinstance(op, StackedOperator):
        return np.vstack([dense(part) for part in op.operators])
    found = op.tosparse() if isinstance(op, ConvLinearOperator) else op
    return found.toarray()


@functools.cache
def case(name, seed=0):
    rng = np.random.default_rng(seed)
    op = PROBLEMS[name](rng)
    A = dense(op)
    x = LEVEL * rng.exponential(size=(3, A.shape[1]))
    background = rng.random(A.shape[0])
    b = rng.poisson(x @ A.T + background).astype(float)
    b.flags.writeable = False
    return Case(op, A, b, background)


def gradient(A, x, b, background=0.0, weights=1.0):
    """The gradient of the Kullback-Leibler divergence, and the sensitivity."""
    w = np.broadcast_to(weights, b.shape)
    u = A @ x + background
    ratio = np.divide(b, u, out=np.zeros_like(u), where=b > 0)
    return A.T @ (w * (1 - ratio)), A.T @ w


def divergence(A, x, b, background=0.0, weights=1.0):
    u = A @ x + background
    logs = np.zeros_like(u)
    np.log(b / np.where(b > 0, u, 1), out=logs, where=b > 0)
    return np.sum(weights * (b * logs - b + u))


def distance(A, x, b, background=0.0, weights=1.0):
    """How far x is from the conditions of a maximum, in units of x: 0 is a solution."""
    g, s = gradient(A, x, b, background, weights)
    w = np.broadcast_to(weights, b.shape)
    counts = np.sum(w * b)
    level = max(counts - np.sum(w * background), 0.01 * counts) / s.sum()
    seen = s > 1e-12 * s.max()
    part = np.divide(g, s, out=np.zeros_like(g), where=seen)
    step = np.minimum(x, np.maximum(x, level) * part)
    return np.linalg.norm(step) / max(np.linalg.norm(x), 1e-300)
