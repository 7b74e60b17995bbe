"""The damp of an operator with unknown singular values: hybrid LSQR."""

from dataclasses import replace

import numpy as np
from scipy.linalg import eigh_tridiagonal

from .._core.arrays import to_numpy
from .._problem.problem import Problem
from .criteria import DataSpectrum, pick
from .data_spectrum import Periodogram

FIRST, GROWTH, MOST = 8, 1.25, 500  # steps before the first test, factor, and at most
BYTES = 2**31  # of the vectors kept, at most
SETTLED = 0.01  # largest change of a settled damp from one test to the next
GAP = 0.02  # root of the relative error in the objective of the projected problem
SETTLED_RESIDUAL = 1e-4  # the same for the residual, if no damp seems to be needed
PROBE_DATA = 2**15  # numbers in all probes together
BREAKDOWN = 100  # rounding errors of the largest coefficient that count as zero
SLAB = 16  # basis vectors stored together


def krylov_pick(op, b, rule, target, eps):
    """`pick` on projected problems that grow until the damp has settled.

    One Golub-Kahan bidiagonalization of A starts from every item of `b` ``(B, m)``. For
    the trace in GCV others start from random signs (Golub and von Matt, 1997): Gauss
    quadrature of Hutchinson's estimate. The criterion uses the singular values of the
    bidiagonal matrices (O'Leary and Simmons, 1981).
    """
    basis = Basis(op, b, rule, eps)
    steps, last = FIRST, None
    while True:
        steps = min(steps, basis.limit)
        basis.extend(steps)
        spectrum = basis.spectrum()
        found = pick(spectrum, rule, target, eps)
        low = eps * spectrum.largest
        now = found.damp, spectrum.residual(max(found.damp, low))
        settled = last is not None and _settled(last, now, basis)
        if settled or basis.exhausted or steps == min(op.shape):
            return spectrum, found
        if steps == basis.limit:
            note = f"damp had not settled after {steps} steps of bidiagonalization"
            return spectrum, replace(found, note=found.note or note)
        last, steps = now, max(int(GROWTH * steps), steps + 4)


def _settled(last, now, basis):
    if now[0] == 0:
        return last[0] == 0 and abs(now[1] - last[1]) <= SETTLED_RESIDUAL * last[1]
    return abs(now[0] - last[0]) <= SETTLED * now[0] and basis.gap(now[0]) <= GAP


class Basis:
    """Golub-Kahan bidiagonalization of a batch with its vectors kept.

    The vectors of one side are kept and new ones orthogonalized against them, twice;
    those of the other side then stay orthogonal enough (Simon and Zha, SIAM J. Sci.
    Comput. 21, 2000). The shorter side is kept, or that of the data if residuals are
    needed.
    """

    def __init__(self, op, b, rule, eps):
        m, n = op.shape
        self.items, self.eps = b.shape[0], eps
        self.periodogram = Periodogram.of(op) if rule == "ncp" else None
        self.keeps_data = rule == "ncp" or m < n
        probes = -(-PROBE_DATA // m) if rule == "gcv" else 0
        self.problem = self._problem(op, b, probes)
        self.xp, self.vectors = self.problem.xp, self.problem.vectors
        self.slabs, self.kept, self.projected = [], 0, ()
        length = (m if self.keeps_data else n) * self.problem.b.shape[0]
        number = (4 if eps > 1e-10 else 8) * (1 + self.problem.is_complex)
        self.limit = min(m, n, MOST, max(BYTES // (number * length), FIRST))
        self.alphas, self.betas = [], []
        self.size = self.problem.fill(0.0)
        self.u = self._normalized(self.problem.b, self.betas, self.keeps_data)
        self.size = self.problem.fill(0.0)  # b's norm is no coefficient of the operator
        self.v = self._normalized(
            self.problem.adjoint(self.u), self.alphas, not self.keeps_data
        )

    def _problem(self, op, b, probes):
        """The problem with random signs below the data, the same ones in every call.

        If they would be as many as the data, unit vectors give the exact trace.
        """
        problem = Problem(
            op,
            b,
            origin=None,
            damp=0.0,
            kernel_scale=1.0,
            x_scale=None,
            preconditioner=None,
            maxiter=0,
            rng=None,
        )
        if probes:
            size = b.shape[1]
            signs = 2.0 * np.random.default_rng(0).integers(0, 2, (probes, size)) - 1
            signs = signs if probes < size else np.eye(size)
            signs = problem.xp.asarray(signs, **problem.place)
            signs = problem.xp.astype(signs, b.dtype)
            problem.b = problem.xp.concat([b, signs], axis=0)
        return problem

    def extend(self, steps):
        """Bidiagonalize up to a number of steps."""
        problem = self.problem
        while len(self.betas) <= steps:
            u = problem.forward(self.v) - self._column(self.alphas[-1]) * self.u
            self.u = self._normalized(u, self.betas, self.keeps_data)
            v = problem.adjoint(self.u) - self._column(self.betas[-1]) * self.v
            self.v = self._normalized(v, self.alphas, not self.keeps_data)

    def _normalized(self, w, norms, keep):
        """w of norm 1, or 0 if only rounding remains; its norm is appended to a list.

        With `keep`, w is orthogonalized against the vectors kept and added to them.
        """
        xp = self.xp
        if keep:
            for _ in range(2):
                w = self._orthogonal(w)
        norm = xp.sqrt(self.vectors.sumsq(w))
        self.size = xp.maximum(self.size, norm)
        good = norm > BREAKDOWN * self.eps * self.size
        one = xp.ones_like(norm)
        inverse = xp.where(good, one / xp.where(good, norm, one), 0 * one)
        norms.append(norm * xp.astype(good, norm.dtype))
        w = self._column(inverse) * w
        if keep:
            self._keep(w)
        return w

    def _column(self, numbers):
        return self.xp.astype(numbers, self.problem.b.dtype)[:, None]

    def _filled(self):
        """The vectors kept, as arrays ``(B, up to SLAB, length)``."""
        for i, slab in enumerate(self.slabs):
            yield slab[:, : min(self.kept - i * SLAB, SLAB), :]

    def _orthogonal(self, w):
        xp = self.xp
        for slab in self._filled():
            if slab.shape[1]:
                wide = w[:, :, None]
                if self.problem.is_complex:
                    parts = xp.conj(xp.matmul(slab, xp.conj(wide)))
                else:
                    parts = xp.matmul(slab, wide)
                w = w - xp.matmul(xp.matrix_transpose(parts), slab)[:, 0, :]
        return w

    def _keep(self, w):
        if self.kept == SLAB * len(self.slabs):
            shape = (w.shape[0], SLAB, w.shape[1])
            slab = self.xp.empty(shape, dtype=w.dtype, **self.problem.place)
            self.slabs.append(slab)
        self.slabs[-1][:, self.kept % SLAB, :] = w
        self.kept += 1

    @property
    def exhausted(self):
        """Whether every item's Krylov space is complete."""
        last = to_numpy(self.xp.max(self.betas[-1] * self.alphas[-1]))
        return not last > 0

    def spectrum(self) -> DataSpectrum:
        """The `DataSpectrum` of the projected problem."""
        norms = [self.alphas, self.betas]
        alphas, betas = (to_numpy(self.xp.stack(n, axis=1)) for n in norms)
        steps = betas.shape[1] - 1
        self.next = alphas[:, steps]
        values, left = _decomposed(alphas[:, :steps], betas[:, 1:])
        start = betas[:, :1] * left[:, 0, :]  # b in the basis of left singular vectors
        self.projected = values, left, start
        items, data = self.items, self.items * self.problem.shape[0]
        probes = left[items:, 0, :] ** 2
        found = DataSpectrum(
            values[:items],
            start[:items] ** 2,
            np.zeros(items),
            data,
            values[items:].ravel(),
            (probes * data / max(len(probes), 1)).ravel(),
        )
        if self.periodogram is not None:
            found.power = self._power
            found.share = self.periodogram.share
        return found

    def gap(self, damp):
        """A bound on the relative error of the projected problems.

        Let f be the objective ``||r||^2 + damp^2 ||x||^2``; its gradient at the
        projected x has one nonzero entry. Returns the root of the bound ``f - min f <=
        ||gradient||^2 / damp^2``, relative to f. The f of the probes gives the trace.
        """
        values, left, start = self.projected
        residual = start * damp**2 / (values**2 + damp**2)
        last = np.sum(left[:, -1, :] * residual, axis=1)
        missing, whole = (self.next * last / damp) ** 2, np.sum(start * residual, 1)
        parts = slice(None, self.items), slice(self.items, None)
        return max(
            np.sqrt(missing[part].sum() / whole[part].sum())
            for part in parts
            if whole[part].sum() > 0
        )

    def _power(self, damp):
        values, left, start = self.projected
        residual = start * damp**2 / (values**2 + damp**2)
        return self.periodogram.power(self._combined(left @ residual[:, :, None]))

    def _combined(self, parts):
        """Combinations of the kept vectors, on the host."""
        xp, total, start = self.xp, 0, 0
        parts = xp.asarray(parts[:, :, 0], **self.problem.place)
        parts = xp.astype(parts, self.problem.b.dtype)
        for slab in self._filled():
            stop = start + slab.shape[1]
            total = total + xp.matmul(parts[:, None, start:stop], slab)[:, 0, :]
            start = stop
        return to_numpy(total)


def _decomposed(alphas, betas):
    """Singular values and left singular vectors of lower bidiagonal matrices.

    They come from the eigenvectors of the tridiagonal matrix with B and its transpose
    next to a zero diagonal (Golub and Kahan), with rows and columns shuffled. Each
    singular value appears there twice, as an eigenvalue of either sign, and each of its
    vectors has half the squared norm, so that sums over all are those over singular
    vectors.
    """
    items, steps = alphas.shape
    values = np.empty((items, 2 * steps + 1))
    left = np.empty((items, steps + 1, 2 * steps + 1))
    diagonal = np.zeros(2 * steps + 1)
    for i in range(items):
        beside = np.stack([alphas[i], betas[i]], axis=1).ravel()
        found, vectors = eigh_tridiagonal(diagonal, beside)
        found = np.abs(found)
        rounding = 4 * len(found) * np.finfo(float).eps * found[-1]
        values[i] = np.where(found > rounding, found, 0.0)
        left[i] = vectors[::2]
    return values, left
