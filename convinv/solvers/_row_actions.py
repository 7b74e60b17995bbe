"""What methods that act on one row or column at a time have in common."""

from typing import Literal

import numpy as np
from scipy import sparse

from .. import kernels
from ..operators._convolution import ConvLinearOperator
from ..operators._row_norms import column_norms, row_norms
from ._colours import input_colours, output_colours
from ._surrogate import Horizon

Order = Literal["cyclic", "multicolour", "random"]


def check_order(order, op):
    if order == "multicolour" and not isinstance(op, ConvLinearOperator):
        raise ValueError(
            "order='multicolour' needs a ConvLinearOperator, got op of type "
            f"{type(op).__name__}; a matrix takes 'cyclic' or 'random'"
        )


class Actions:
    """The kernels' sweeps over the rows or columns of one problem's operator."""

    def __init__(self, problem):
        self.problem, self.xp, op = problem, problem.xp, problem.op
        self.rows = kernels.load("rows", self.xp)
        kind = problem.b.dtype
        if isinstance(op, ConvLinearOperator):
            g = op.geometry
            kernel = op._weights.reshape(g.c_out, g.c_in // g.groups, *g.kernel)
            self.plan = self.rows.prepare(self.xp.astype(kernel, kind, copy=False), g)
        else:
            matrix = op.matrix
            if not sparse.issparse(matrix):
                matrix = np.asarray(matrix)
            matrix = sparse.csr_array(matrix, dtype=kind)
            self.plan = self.rows.prepare(matrix, None)

    def scale(self, norms, relaxation=1.0):
        """``relaxation / (norms + damp^2)`` on the device, 0 for rows of zeros."""
        sizes = norms + self.problem.damp**2
        sizes = np.where(norms > 0, relaxation / np.where(norms > 0, sizes, 1), 0)
        real = self.xp.real(self.problem.b[:1, :1]).dtype
        return self.put(sizes, dtype=real)

    def put(self, array, dtype=None):
        return self.xp.asarray(array, dtype=dtype, **self.problem.place)


SLOW = (
    "the normal residual falls by less than 1 % in 100 sweeps, as damp is small; "
    "'cgls' is faster, and so may another order be"
)


class RowActions(Actions):
    """Row actions on ``[A, damp I] [x; z] = b``, and the norms of what they lead to.

    With damp the system is consistent, whatever b is, and x of its least-norm solution
    is the damped least-squares solution. The sweeps have to start at zero then: the
    starting point would enter the result.
    """

    def __init__(self, problem, relaxation=1.0):
        super().__init__(problem)
        self.norms = row_norms(problem.op)
        self.size = self.scale(self.norms, relaxation)
        self.x, self.b, self.z = problem.zeros(problem.shape[1]), problem.b, None
        self.origin = problem.origin if problem.damp else None
        if problem.damp:
            self.z = problem.zeros(problem.shape[0])
        if self.origin is not None:
            one = problem.fill(1.0)
            self.b, _ = problem.vectors.axpy(one, self.b, problem.forward(self.origin))
        self.residual = self.gradient = None

    def sweep(self, active, order, reverse=False):
        """In the order of row numbers, or of the pixels of `colours`."""
        state = self.x, self.b, self.z, self.size, self.problem.damp, active
        if isinstance(order, tuple):
            self.rows.pixel_sweep(self.plan, *state, *order, reverse)
        else:
            self.rows.row_sweep(self.plan, *state, order, reverse)

    def colours(self):
        pixels, starts = output_colours(self.plan.geometry)
        return self.put(pixels), starts

    def iterate(self, monitor, sweep):
        """Call ``sweep()`` until the monitor says so; returns ``(d, notes)``.

        Items whose residual no longer falls are ended; with damp, whose normal residual
        does not.
        """
        damped, d = self.problem.damp, self.x
        start = self.problem.adjoint(self.b, sumsq=True)[1] if damped else None
        horizon = Horizon(self.problem, monitor, start)
        stop = not monitor.any_active()
        while not stop:
            sweep()
            d, residual, normal = self.measure()
            horizon(normal if damped else residual)
            stop = monitor.update(d, residual, normal)
        notes = horizon.notes()
        return d, {"message": SLOW} if notes and damped else notes

    def measure(self):
        """``(d, ||r||, ||A^H r - damp^2 x||)`` of the present x."""
        problem, one = self.problem, self.problem.fill(1.0)
        d = self.x if self.origin is None else self.x - self.origin
        r = problem.forward(d, out=self.residual)
        r, squares = problem.vectors.axpby(one, problem.b, -one, r)
        s, normal = problem.normal_residual(r, d, out=self.gradient)
        self.residual, self.gradient = r, s
        return d, self.xp.sqrt(squares), self.xp.sqrt(normal)


class ColumnActions(Actions):
    """Column actions on the normal equations; d and the residual r change in place."""

    def __init__(self, problem, relaxation=1.0):
        super().__init__(problem)
        self.norms = column_norms(problem.op)
        self.size = self.scale(self.norms, relaxation)

    def sweep(self, d, r, origin, active, order, reverse=False):
        state = d, r, origin, self.size, self.problem.damp, active
        if isinstance(order, tuple):
            self.rows.sample_sweep(self.plan, *state, *order, reverse)
        else:
            self.rows.column_sweep(self.plan, *state, order, reverse)

    def colours(self):
        samples, starts = input_colours(self.plan.geometry)
        return self.put(samples), starts


class Draws:
    """Numbers drawn with probabilities in proportion to weights.

    First one of the different weights, then one of the numbers that have it: the rows
    of a layer have few different norms, and a search among all of them would take
    longer than what is done with the row.
    """

    def __init__(self, rng, weights):
        self.rng, self.members = rng, np.argsort(weights, kind="stable")
        self.values, self.first, self.counts = np.unique(
            weights[self.members], return_index=True, return_counts=True
        )
        self.sums = np.cumsum(self.values * self.counts)

    def __call__(self, count):
        drawn = self.rng.random(count)
        drawn *= self.sums[-1]
        kind = np.searchsorted(self.sums, drawn, side="right")
        np.minimum(kind, self.sums.size - 1, out=kind)
        drawn -= (self.sums - self.values * self.counts)[kind]
        drawn /= np.where(self.values > 0, self.values, 1)[kind]
        place = drawn.astype(np.int64)
        np.clip(place, 0, self.counts[kind] - 1, out=place)
        place += self.first[kind]
        return self.members[place]


def orders(actions, name, count, rng):
    """A function that gives the order of each sweep over `count` rows or columns."""
    if name == "multicolour":
        fixed = actions.colours()
    elif name == "cyclic":
        fixed = actions.put(np.arange(count))
    else:
        return lambda: actions.put(rng.permutation(count))
    return lambda: fixed
