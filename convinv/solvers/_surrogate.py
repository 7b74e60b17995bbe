"""Steps along a combination of the rows, each item of a batch with its own."""

from .._core.arrays import copy
from .._problem.problem import STALLED, divide
from ._iterate import iterate

PATIENCE = 100  # iterations in which the residual must fall by PROGRESS
PROGRESS = 0.99
# Which of the two it is would take the smallest singular value to tell.
HORIZON = (
    "the residual falls by less than 1 % in 100 iterations: either convergence is "
    "slow, and 'cgls' is faster, or b is not in the range of A, where 'rek', 'rshek' "
    "and 'cgls' find the least-squares solution"
)


class Horizon:
    """Ends items whose residual hardly falls: inconsistent data, or slow convergence.

    `start` is the squared norm of the first one, by default that of b.
    """

    def __init__(self, problem, monitor, start=None):
        self.xp, self.monitor = problem.xp, monitor
        start = problem.vectors.sumsq(problem.b) if start is None else start
        self.least = self.mark = problem.xp.sqrt(start)
        self.count = 0

    def __call__(self, residual):
        self.least = self.xp.minimum(self.least, residual)
        self.count += 1
        if self.count % PATIENCE == 0:
            self.monitor.end(~(self.least < PROGRESS * self.mark), STALLED)
            self.mark = self.least

    def due(self, count):
        """Whether it looks at the residual in one of the next `count` iterations."""
        return PATIENCE - self.count % PATIENCE <= count

    def notes(self):
        stalled = bool(self.xp.any(self.monitor.code == STALLED))
        return {"message": HORIZON} if stalled else {}


def surrogate(problem, monitor, select, *, momentum=0.0):
    """Project onto ``(eta^H A) x = eta^H b``, with ``eta = select(r, ||r||^2)``.

    `select` returns eta and its squared norm, where eta is r on some rows and zero on
    the others, so that ``eta^H r = ||eta||^2``. With `momentum` that multiple of the
    last change of x is added.
    """
    xp, vectors = problem.xp, problem.vectors
    x, r = problem.zeros(problem.shape[1]), copy(problem.b)
    squares = vectors.sumsq(r)
    horizon = Horizon(problem, monitor)
    change = image = y = q = None

    def iteration():
        nonlocal x, r, y, q, squares, change, image
        eta, size = select(r, squares)
        y, norm = problem.adjoint(eta, sumsq=True, out=y)
        alpha = divide(xp, monitor.active, size, norm)
        q = problem.forward(y, out=q)
        if momentum:
            beta = xp.where(monitor.active, problem.fill(momentum), 0 * alpha)
            change = xp.zeros_like(y) if change is None else change
            image = xp.zeros_like(q) if image is None else image
            change, _ = vectors.axpby(alpha, y, beta, change)
            image, _ = vectors.axpby(alpha, q, beta, image)
            one = problem.fill(1.0)
            x, _ = vectors.axpy(one, change, x)
            r, squares = vectors.axpy(-one, image, r)
        else:
            x, _ = vectors.axpy(alpha, y, x)
            r, squares = vectors.axpy(-alpha, q, r)
        residual = xp.sqrt(squares)
        horizon(residual)
        monitor.update(x, residual)

    iterate(problem, monitor, iteration, horizon, eager=horizon.due)
    return x, horizon.notes()
