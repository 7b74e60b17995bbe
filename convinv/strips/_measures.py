"""The measures of a sweep of block Kaczmarz, from its matrix or from samples."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

NULL = 1e-10  # distance from one of eigenvalues that belong to the null space of A
STEPS = 200  # of the power iteration, at most
DECAY = 1e-11  # largest reduction of its vector: rounding errors are not much smaller


@dataclass(frozen=True)
class Measure:
    """A number and its error.

    Attributes
    ----------
    value : float
    error : float
        The standard error: 0 if `value` is exact, NaN if it is unknown.
    """

    value: float
    error: float = 0.0

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        if math.isnan(self.error):
            return f"about {self.value:.2g}"
        if not self.error:
            return f"{self.value:.3g}"
        return f"{self.value:.3g} +- {self.error:.1g}"


def exactly(blocks):
    """The measures of a sweep over `RowBlocks` from its matrix, by name."""
    n = blocks.shape[1]
    identity = np.eye(n, dtype=blocks.dtype)
    K = blocks.sweep(identity.copy()).T  # items are rows
    K_perp = identity - blocks.projections(identity).T
    values = np.linalg.eigvals(K)
    inside = np.abs(values[np.abs(values - 1) > NULL])
    I_c, I_d = indicators(blocks)
    return {
        "idempotency": Measure(float(np.linalg.norm(K - K @ K))),
        "distance": Measure(float(np.linalg.norm(K - K_perp) ** 2)),
        "spectral_radius": Measure(float(inside.max(initial=0.0))),
        "rank": inside.size,
        "I_c": I_c,
        "I_d": I_d,
        "sweep_matrix": K,
    }


def estimated(blocks, samples, rng):
    """The same measures from random vectors, without the matrix."""
    g = rng.standard_normal((samples, blocks.shape[1])).astype(blocks.dtype)
    once = blocks.sweep(g.copy())
    twice = blocks.sweep(once.copy())
    within = blocks.projections(g)
    squares, error = _mean(once - twice)
    root = math.sqrt(squares)
    return {
        "idempotency": Measure(root, error / (2 * root) if root else 0.0),
        "distance": Measure(*_mean(once - g + within)),
        "spectral_radius": Measure(_power(blocks, within[:1].copy()), math.nan),
        "rank": None,
        "I_c": None,
        "I_d": None,
        "sweep_matrix": None,
    }


def indicators(blocks):
    """``(I_c, I_d)`` of two blocks, the largest of all pairs of more, else None."""
    if len(blocks) < 2:
        return None, None
    bases = blocks.bases()
    found = []
    for i, j in itertools.combinations(range(len(blocks)), 2):
        one, two = (bases[blocks.labels[block]] for block in (i, j))
        columns = blocks.columns[i], blocks.columns[j]
        _, at, of = np.intersect1d(*columns, True, return_indices=True)
        cosines = two[:, of] @ one[:, at].conj().T
        gram = cosines @ cosines.conj().T
        sums, diagonal = np.abs(gram).sum(axis=1), np.diag(gram).real
        least = np.min(2 * diagonal - sums) if sums.size else 0.0
        found.append((float(sums.max(initial=0.0)), float(least)))
    return tuple(map(max, zip(*found)))


def span(numbers):
    """Format the range of some integers as text."""
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} ... {high}"


def _mean(vectors):
    """Mean of the squared norms of rows, and its standard error."""
    squares = np.linalg.norm(vectors, axis=1) ** 2
    return float(squares.mean()), float(squares.std(ddof=1) / math.sqrt(len(squares)))


def _power(blocks, v):
    """The factor by which sweeps shrink v, shape (1, n), in the long run; overwrites v.

    v has to be in the row space. It is not normalized in between: the component that
    rounding adds in the null space does not shrink, and would soon dominate.
    """
    first = size = np.linalg.norm(v)
    logarithms = []
    for _ in range(STEPS):
        before, size = size, np.linalg.norm(blocks.sweep(v))
        if not size:
            return 0.0
        logarithms.append(math.log(size / before))
        if size <= DECAY * first:
            break
    return math.exp(np.mean(logarithms[len(logarithms) // 2 :]))
