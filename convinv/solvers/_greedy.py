"""Which rows a greedy block Kaczmarz method takes."""

import numpy as np

from ..operators._row_norms import row_norms


class GreedyRows:
    """Rows whose quotient ``|r_i|^2 / ||a_i||^2`` is large, for each item its own.

    Those from `eta` times the largest on; by default from the mean of the largest and
    ``||r||^2 / ||A||_F^2`` on, the threshold of greedy randomized Kaczmarz (Bai and Wu
    2018). The row of the largest is always among them.
    """

    def __init__(self, problem, eta=None):
        norms = row_norms(problem.op)
        self.xp, self.eta = problem.xp, eta
        self.total = float(norms.sum())
        one = np.where(norms > 0, norms, 1)
        real = problem.xp.real(problem.b[:1, :1]).dtype if problem.is_complex else None
        kind = real or problem.b.dtype
        weights = ((norms > 0) / one)[None]
        self.weights = problem.xp.asarray(weights, dtype=kind, **problem.place)
        self.norms = problem.xp.asarray(norms[None], **problem.place)

    def __call__(self, r, squares):
        """A mask of the rows, shape (B, m)."""
        xp = self.xp
        sizes = _squares(xp, r)
        quotient = sizes * self.weights
        largest = xp.max(quotient, axis=1)
        most = xp.astype(largest, xp.float64)
        if self.eta is not None:
            least = self.eta * most
        elif self.total:
            least = (most + squares / self.total) / 2
        else:
            least = most
        least = xp.minimum(xp.astype(least, quotient.dtype), largest)  # not above it
        return (quotient >= least[:, None]) & (quotient > 0)

    def squares_of(self, mask):
        """The squared Frobenius norms of the rows in a mask, shape (B,)."""
        xp = self.xp
        return xp.sum(xp.where(mask, self.norms, xp.zeros_like(self.norms)), axis=1)


def _squares(xp, r):
    if xp.isdtype(r.dtype, "complex floating"):
        return xp.real(r) ** 2 + xp.imag(r) ** 2
    return r * r
