"""What methods that act on one row or column at a time have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import sparse

from .. import kernels
from ..operators._row_norms import column_norms, row_norms
from ._colors import input_colors, output_colors
from ._iterate import iterate
from ._stagnation import StagnationTest

Order = Literal["cyclic", "multicolor", "random"]
SLOW = (
    "the normal residual falls by less than 1 % in 100 sweeps, as damp is small; "
    "'cgls' is faster, and so may another order be"
)


def check_order(order, op):
    if order == "multicolor" and not op.is_convolution:
        raise ValueError(
            "order='multicolor' needs a ConvLinearOperator, got op of type "
            f"{type(op).__name__}; a matrix takes 'cyclic' or 'random'"
        )


def row_sweeps(problem, monitor, rows, order, *, symmetric=False):
    """Sweep over the rows until the monitor stops it; returns ``(d, notes)``.

    With damp the rows are those of ``[A, damp I] [x; z] = b``. That system is
    consistent, whatever b is, and x of its least-norm solution is the damped
    least-squares solution. Its sweeps have to start at zero: the starting point would
    enter the result.

    ``order()`` gives the order of the next sweep; with `symmetric` each sweep also goes
    back again. Items whose residual no longer falls are ended; with damp, whose normal
    residual does not.
    """
    state = _State(rows, order, symmetric, problem.zeros(problem.shape[1]), problem.b)
    state.d, start = state.x, None
    if problem.damp:
        state.z = problem.zeros(problem.shape[0])
        if problem.origin is not None:
            back = problem.forward(problem.origin)
            state.b, _ = problem.vectors.axpy(problem.fill(1.0), problem.b, back)
        start = problem.adjoint(state.b, sumsq=True)[1]
    state.stagnation = StagnationTest(problem, monitor, start)
    iterate(problem, monitor, _step, state, on_host=True)
    notes = state.stagnation.notes()
    return state.d, {"message": SLOW} if notes and problem.damp else notes


@dataclass
class _State:
    rows: "RowActions"
    order: Callable
    symmetric: bool
    x: Any
    b: Any  # what the sweeps solve for
    z: Any = None  # the unknowns of ``damp I``
    d: Any = None  # x, with damp less the starting point
    r: Any = None  # the residual of d
    s: Any = None  # its normal residual
    stagnation: Any = None


def _step(problem, monitor, state):
    order, sides = state.order(), (state.x, state.b, state.z)
    state.rows.sweep(*sides, monitor.active, order)
    if state.symmetric:
        state.rows.sweep(*sides, monitor.active, order, reverse=True)
    del order  # frees its memory
    is_shifted = problem.damp and problem.origin is not None
    state.d = state.x - problem.origin if is_shifted else state.x
    state.r, state.s, residual, normal = residuals(problem, state.d, state.r, state.s)
    state.stagnation(normal if problem.damp else residual)
    monitor.update(state.d, residual, normal)


def residuals(problem, d, r=None, s=None):
    """``(b - A d, its normal residual, and their norms)``, in the memory of r and s.

    They are computed anew after each sweep, free of the rounding errors of its steps.
    """
    xp, one = problem.xp, problem.fill(1.0)
    r = problem.forward(d, out=r)
    r, squares = problem.vectors.axpby(one, problem.b, -one, r)
    s, normal = problem.normal_residual(r, d, out=s)
    return r, s, xp.sqrt(squares), xp.sqrt(normal)


class Actions:
    """The kernels' sweeps over the rows or columns of one problem's operator."""

    def __init__(self, problem):
        self.problem, self.xp, op = problem, problem.xp, problem.op
        self.rows = kernels.load("rows", self.xp)
        kind = problem.b.dtype
        if op.is_convolution:
            g = op.geometry
            kernel = op.weights.reshape(g.c_out, g.c_in // g.groups, *g.kernel)
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


class RowActions(Actions):
    """Row actions on ``A x = b``, with damp on ``A x + damp z = b``; x and z change."""

    def __init__(self, problem, relaxation=1.0):
        super().__init__(problem)
        self.norms = row_norms(problem.op)
        self.size = self.scale(self.norms, relaxation)

    def sweep(self, x, b, z, active, order, reverse=False):
        """In the order of row numbers, or of the pixels of `colors`."""
        state = x, b, z, self.size, self.problem.damp, active
        if isinstance(order, tuple):
            self.rows.pixel_sweep(self.plan, *state, *order, reverse)
        else:
            self.rows.row_sweep(self.plan, *state, order, reverse)

    def colors(self):
        pixels, starts = output_colors(self.plan.geometry)
        return self.put(pixels), starts


class ColumnActions(Actions):
    """Column actions on the normal equations; d and the residual r change in place."""

    def __init__(self, problem, relaxation=1.0):
        super().__init__(problem)
        self.norms = column_norms(problem.op)
        self.size = self.scale(self.norms, relaxation)

    def sweep(self, d, r, origin, active, order, reverse=False):
        """In the order of column numbers, or of the pixels of `colors`."""
        state = d, r, origin, self.size, self.problem.damp, active
        if isinstance(order, tuple):
            self.rows.sample_sweep(self.plan, *state, *order, reverse)
        else:
            self.rows.column_sweep(self.plan, *state, order, reverse)

    def colors(self):
        samples, starts = input_colors(self.plan.geometry)
        return self.put(samples), starts


class WeightedSampler:
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


def sweep_order(actions, name, count, rng):
    """A function that gives the order of each sweep over `count` rows or columns."""
    if name == "multicolor":
        fixed = actions.colors()
    elif name == "cyclic":
        fixed = actions.put(np.arange(count))
    else:
        return lambda: actions.put(rng.permutation(count))
    return lambda: fixed
