"""The check of a chain's inverse: residuals, and the error of x by perturbations."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..._core.result import Status
from ._chain_result import ChainResult, StageReport
from ._stages import Solves, Stage, norms

PROBES = 4  # perturbations of y, at least, over all items
SAFETY = 4  # by which their largest effect is multiplied
LIMIT = 1e-2  # error of x that is no success: 40 dB
LOST = 1e6  # perturbations that are larger, in units of y, are followed no further
LOOSE = 1000  # residual that passes, in units of rtol


class Check:
    """Follows an inverse stage by stage, from the last to the first.

    Rounding is simulated: the output of every stage is perturbed at random by the size
    of its rounding errors and by what its inverse has missed. The perturbations go
    through the inverses of the stages before it, linearized, and what they have become
    at the input is an estimate of the error of x.
    """

    def __init__(self, y: Tensor, eps: float, solves: Solves):
        self.started = time.perf_counter()
        self.eps, self.solves = eps, solves
        self.tolerance = min(LOOSE * solves.rtol, LIMIT)
        self.copies = max(1, math.ceil(PROBES / max(len(y), 1)))
        self.y, self.delta = y, y.new_zeros((self.copies * len(y), *y.shape[1:]))
        self.random = torch.Generator().manual_seed(0)
        self.reports: list[StageReport] = []

    def see(self, stage: Stage, x: Tensor, y: Tensor) -> None:
        """Take in the inverse x of a stage for y."""
        if not len(y):
            return
        residual = _largest(norms(stage.difference(x, y)), norms(y))
        size = self.eps * stage.rounding(x, y)
        noise = size * self._noise((self.copies, *y.shape), y)
        delta = self.delta.reshape(noise.shape) + noise
        defect = stage.defect(x, y, self.solves)
        if defect is not None:
            delta = delta + defect
        copied = x.expand(self.copies, *x.shape).flatten(0, 1)
        sizes = norms(y).repeat(self.copies)
        self.delta = self._moved(stage, copied, sizes, delta.flatten(0, 1))
        error = SAFETY * _largest(norms(self.delta), norms(copied))
        failure = stage.failure(y)
        if failure is None and not residual <= self.tolerance:
            failure = f"it gives y back with a relative error of {residual:.1g}"
        self.reports.insert(
            0,
            StageReport(
                path=stage.path,
                kind=type(stage.module).__name__,
                success=failure is None,
                residual=residual,
                error=error + self.eps,
                condition=stage.condition(),
                message=failure or stage.notes,
                result=stage.result,
            ),
        )

    def _moved(self, stage: Stage, x: Tensor, sizes: Tensor, delta: Tensor) -> Tensor:
        """What perturbations of y, which has these norms, become in x."""
        if not _largest(norms(delta), sizes) < LOST:
            return torch.full_like(x, math.inf)
        moved = stage.moved(x, delta, self.solves)
        if stage.own_error:
            one = (len(x), *[1] * (x.ndim - 1))
            level = stage.own_error * norms(x) / math.sqrt(math.prod(x.shape[1:]))
            noise = self._noise(x.shape, x)
            moved = moved + noise * level.to(noise.real.dtype).reshape(one)
        return moved

    def result(self, stages: Sequence[Stage], x: Tensor) -> ChainResult:
        """The verdict on x, the input of the first stage."""
        z = x
        for stage in stages:
            z = stage.apply(z)
        residual = _largest(norms(z - self.y), norms(self.y)) if len(x) else 0.0
        error = self.reports[0].error if self.reports else self.eps
        failures = [
            f"{r.name}: {r.message}" for r in reversed(self.reports) if not r.success
        ]
        if not residual <= self.tolerance:
            failures.append(
                f"the chain maps x to y with a relative error of {residual:.1g}, more "
                f"than {self.tolerance:.1g}"
            )
        if not error <= LIMIT:
            failures.append(self._amplified(error))
        finite = math.isfinite(residual) and math.isfinite(error)
        status = Status.STALLED if finite else Status.NONFINITE
        remarks = [f"{r.name}: {r.message}" for r in self.reports if r.message]
        return ChainResult(
            x=None,
            success=not failures,
            status=status if failures else Status.CONVERGED,
            message="; ".join(failures or ["x passes all checks", *remarks]),
            nit=sum(r.result.nit for r in self.reports if r.result is not None),
            history=np.empty(0),
            method="Inverse",
            seconds=time.perf_counter() - self.started,
            residual=residual,
            error=error,
            stages=tuple(self.reports),
        )

    def _amplified(self, error: float) -> str:
        """The words for an error that is too large, with the stage that makes it so."""
        after = [r.error for r in self.reports[1:]] + [self.eps]
        growth = [
            r.error / e if math.isfinite(e) else 0.0
            for r, e in zip(self.reports, after)
        ]
        worst = max(range(len(growth)), key=growth.__getitem__)
        return (
            f"rounding becomes an error of about {error:.1g} of x, more than "
            f"{LIMIT:g}; its largest growth is {growth[worst]:.1g} times, in "
            f"{self.reports[worst].name}: use float64 or a damp"
        )

    def _noise(self, shape: Sequence[int], like: Tensor) -> Tensor:
        noise = torch.randn(tuple(shape), generator=self.random, dtype=like.dtype)
        return noise.to(like.device)


def _largest(part: Tensor, whole: Tensor) -> float:
    """The largest ratio of two norms of items, 0 where both are."""
    ratio = torch.where(part == 0, part, part / whole)
    return float(torch.where(ratio.isnan(), math.inf, ratio).max())
