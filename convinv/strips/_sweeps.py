"""Sweeps over strips, and the Schwarz preconditioner that has the same windows."""

import itertools

import numpy as np
from scipy import linalg

from .. import kernels
from .._core.arrays import copy, namespace
from .._core.blas_threads import one_blas_thread
from .._core.threads import parallel_map
from .._linalg.banded_qr import ITEMS, BandedQR
from ._inverses import strip_inverses
from ._plan import cover, group_weights, touching_patterns, window_matrix

# Multiplications above which threads divide a product, and rows of a piece.
SHARED_WORK = 1e7
LEAST_ROWS = 512


class Sweeps:
    """The local inverses of a plan, and one sweep with them.

    Attributes
    ----------
    direct : bool
        Whether every strip determines its unknowns, so that one sweep suffices.
    used : tuple of str
        The factorizations that were used.
    """

    def __init__(self, problem, plan, factorization, rcond):
        self.problem, self.plan, self.xp = problem, plan, problem.xp
        g, axes = plan.geometry, plan.axes
        self.windows = kernels.load("windows", self.xp)
        self.x_shape = (problem.batch, g.c_in, *g.input)
        self.b_shape = (problem.batch, g.c_out, *g.output)
        self.samples = tuple(self.device(axis.samples) for axis in axes)
        self.outputs = tuple(self.device(axis.outputs) for axis in axes)
        self.covers = self._covers(axis.cover for axis in axes)
        self.which = self.device(np.arange(plan.strips))
        self.labels = plan.labels.tolist()
        self.members = members(self, plan.labels, plan.classes)
        found = strip_inverses(problem, plan, factorization, rcond)
        self.inverses, self.projectors = found.inverses, found.projectors
        self.matrices, self.used = found.matrices, found.used
        self.direct = not problem.damp and all(K is None for K in self.projectors)
        self.rest = self.local = None
        self.average = self.symmetric = False

    def device(self, array, dtype=None):
        return self.xp.asarray(np.ascontiguousarray(array), dtype=dtype)

    def _covers(self, covers):
        return tuple(tuple(map(self.device, axis)) for axis in covers)

    def load(self, b):
        """Set a right-hand side of shape (B, m), which a damped sweep overwrites."""
        self.rest = b.reshape(self.b_shape)
        if not self.problem.damp:
            self.local = self._local(self.rest)

    def unload(self):
        self.rest = self.local = None

    def __call__(self, x):
        """One sweep from x of shape (B, n), which may be overwritten."""
        if self.average:
            return self._averaged(x.reshape(self.x_shape)).reshape(x.shape)
        if self.direct and not self.symmetric:
            return self.combine(self.local, "overwrite").reshape(x.shape)
        grid = x.reshape(self.x_shape)
        order = range(self.plan.strips)
        for strip in itertools.chain(order, order[::-1] if self.symmetric else ()):
            self._update(grid, strip)
        return grid.reshape(x.shape)

    def _update(self, grid, strip):
        """Replace the unknowns of one strip, in place."""
        gather, scatter = self.windows.gather, self.windows.scatter
        label, which = self.labels[strip], self.which[strip : strip + 1]
        P, K, A = (m[label] for m in (self.inverses, self.projectors, self.matrices))
        if A is None:
            new = self.local[strip]
        else:
            new = apply(P, gather(self.rest, self.outputs, which)[0])
        if K is not None:
            new = new + apply(K, gather(grid, self.samples, which)[0])
        scatter(new, self.samples, strip, grid)
        if A is not None:
            # With z the unknowns of damp I, rest is b - damp z. The strip's equations
            # hold now, which gives its part of rest:
            scatter(apply(A, new), self.outputs, strip, self.rest)

    def _averaged(self, grid):
        """All strips at once from the same x."""
        damp = self.problem.damp
        new = self._local(self.rest) if damp else self.local
        if not self.direct:
            new = copy(new)
        rest = None
        for label, which in enumerate(self.members):
            K, A = self.projectors[label], self.matrices[label]
            if K is None:
                continue
            old = self.windows.gather(grid, self.samples, which)
            new[which] += apply(K, old)
            if A is not None:
                part = apply(A, new[which])
                if rest is None:
                    shape = (self.plan.strips, *part.shape[1:])
                    rest = self.xp.empty(shape, dtype=part.dtype)
                rest[which] = part
        if damp:
            size = self.b_shape[2:]
            axes = zip(self.plan.axes, size)
            covers = self._covers(cover(axis.outputs, n) for axis, n in axes)
            self.rest = self.windows.combine(
                rest, self.outputs, covers, self.b_shape, "average"
            )
        return self.combine(new, "average")

    def _local(self, b):
        """``P b_s`` of every strip, shape (S, B, elements)."""
        parts = []
        for P, which in zip(self.inverses, self.members):
            parts.append(apply(P, self.windows.gather(b, self.outputs, which)))
        if len(parts) == 1:
            return parts[0]
        local = self.xp.empty((self.plan.strips, *parts[0].shape[1:]), dtype=b.dtype)
        for which, part in zip(self.members, parts):
            local[which] = part
        return local

    def combine(self, values, mode):
        return self.windows.combine(
            values, self.samples, self.covers, self.x_shape, mode
        )


class AdditiveSchwarz:
    """Additive Schwarz for ``A^H A + damp^2 I`` with the strips' unknowns.

    The sum over strips of ``W_s (R_s (A^H A + damp^2 I) R_s^H)^-1 W_s``, where R_s
    takes the unknowns of a strip and W_s divides them by the root of the number of
    strips that hold them. It is positive definite, and exact for a single strip.
    """

    def __init__(self, problem, sweeps):
        self.sweeps = sweeps
        plan, g = sweeps.plan, sweeps.plan.geometry
        touching = [
            touching_patterns(g, axis, plan.axes[axis].samples) for axis in range(3)
        ]
        counts = [len(patterns) for _, patterns in touching]
        kinds = (np.asarray(kind) for kind, _ in touching)
        labels = np.ravel_multi_index(np.ix_(*kinds), counts).ravel()
        self.members = members(sweeps, labels, int(np.prod(counts)))
        sizes = [axis.samples.shape[1] for axis in plan.axes]
        self.inverses = []
        for chosen in itertools.product(*(patterns for _, patterns in touching)):
            grams = []
            for group in range(plan.groups):
                weights = group_weights(problem.op, group)
                matrix = window_matrix(weights, chosen, sizes)
                grams.append(inverse_gram(matrix, problem.damp))
            self.inverses.append(sweeps.device(np.stack(grams), problem.b.dtype))
        d, h, w = np.ix_(*(np.diff(axis.cover[0]) for axis in plan.axes))
        held = d * h * w
        real = problem.xp.real(problem.b[:1, :1]).dtype
        self.root = sweeps.device(np.sqrt(np.maximum(held, 1)), real)
        # unknowns in no strip are in no row: only damp acts there
        self.alone = None
        if problem.damp and not held.all():
            self.alone = sweeps.device((held == 0) / problem.damp**2, real)

    def __call__(self, v):
        sweeps, xp = self.sweeps, self.sweeps.xp
        v = v.reshape(sweeps.x_shape)
        grid = v / self.root
        local = None
        for inverse, which in zip(self.inverses, self.members):
            part = apply(inverse, sweeps.windows.gather(grid, sweeps.samples, which))
            if local is None:
                shape = (sweeps.plan.strips, *part.shape[1:])
                local = xp.empty(shape, dtype=part.dtype)
            local[which] = part
        # the sum is the average times the square of the root
        result = sweeps.combine(local, "average") * self.root
        if self.alone is not None:
            result = result + self.alone * v
        return result.reshape((v.shape[0], -1))


def members(sweeps, labels, classes):
    """The strips of every class, as index arrays."""
    return [sweeps.device(np.flatnonzero(labels == k)) for k in range(classes)]


def apply(matrix, values):
    """``matrix`` (groups, a, e) on values (..., groups * e) -> (..., groups * a).

    For a `BandedQR`, its pseudoinverse.
    """
    if isinstance(matrix, BandedQR):
        rows, solve = values.reshape((-1, matrix.shape[0])), matrix.solver(values.dtype)
        found = _shared(solve, rows, matrix.shape[1], ITEMS)
        return found.reshape((*values.shape[:-1], matrix.shape[1]))
    groups, outputs, elements = matrix.shape
    flat = values.reshape((-1, groups, elements))
    if groups == 1:
        flat = _product(flat[:, 0], matrix[0].T)
    else:
        flat = (flat.transpose(1, 0, 2) @ matrix.transpose(0, 2, 1)).transpose(1, 0, 2)
    return flat.reshape((*values.shape[:-1], groups * outputs))


def _product(rows, matrix):
    """``rows @ matrix``; on the CPU, threads divide large numbers of rows."""
    if namespace(rows) is not np or rows.shape[0] * matrix.size < SHARED_WORK:
        return rows @ matrix
    return _shared(lambda part: part @ matrix, rows, matrix.shape[1], LEAST_ROWS)


def _shared(function, rows, columns, least):
    """Apply `function` to pieces of an array's rows and join the results; CPU only."""
    result = np.empty((rows.shape[0], columns), rows.dtype)
    starts = range(0, rows.shape[0], least)

    def call(start):
        piece = slice(start, start + least)
        result[piece] = function(rows[piece])

    with one_blas_thread:
        parallel_map(call, starts)
    return result


def inverse_gram(matrix, damp):
    """``(A^H A + damp^2 I)^-1`` of the unknowns that A reaches, 0 for the others."""
    reached = np.flatnonzero(matrix.any(axis=0))
    inverse = np.zeros((matrix.shape[1],) * 2, matrix.dtype)
    matrix = matrix[:, reached]
    gram = matrix.conj().T @ matrix + damp**2 * np.eye(reached.size)
    try:
        factor = linalg.cholesky(gram, check_finite=False)
        half = linalg.solve_triangular(factor, np.eye(reached.size), check_finite=False)
    except np.linalg.LinAlgError:
        values, vectors = linalg.eigh(gram, check_finite=False)
        keep = values > values.size * np.finfo(float).eps * values[-1]
        half = vectors[:, keep] / np.sqrt(values[keep])
    inverse[np.ix_(reached, reached)] = half @ half.conj().T
    return inverse
