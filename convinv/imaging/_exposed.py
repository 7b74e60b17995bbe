"""Pictures of a scene with all that is known of how they were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core.arrays import namespace, to_numpy
from .._regularize.strength import choose_strength
from ._camera import Camera
from ._data import Data
from ._point_spread import PointSpread


@dataclass(frozen=True)
class Exposed:
    """Right-hand sides, and the operator that made them of a scene."""

    data: Data
    spread: PointSpread
    camera: Camera
    stride: tuple[int, ...]

    @property
    def op(self):
        return self.camera.op

    @property
    def b(self):
        return self.data.b

    def start(self) -> Any:
        """The pictures themselves, their border repeated beyond the frame."""
        b, xp = self.b, namespace(self.b)
        exposures, channels = self.spread.kernels.shape[:2]
        x = b.reshape(len(b), channels, exposures, *b.shape[2:]).mean(axis=2)
        for axis, (shown, n, q) in enumerate(
            zip(self.camera.frame, self.op.input_shape[1:], self.stride), start=2
        ):
            at = (np.arange(n) - shown.start) // q
            x = xp.take(x, xp.asarray(at.clip(0, x.shape[axis] - 1)), axis=axis)
        return x

    @property
    def weights(self):
        return self.data.weights

    def automatic(self, penalty, noise):
        """``(strength, noise)`` that the spectra of all channels tell."""
        b = to_numpy(self.b)
        return automatic(
            lambda number: b[:, number], self.spread, self.stride, penalty, noise
        )


def automatic(part, spread, stride, penalty, noise):
    """``(strength, noise)`` for data of which ``part(i)`` has the i-th channel."""
    exposures, channels = spread.kernels.shape[:2]
    found = []
    for channel in range(channels):
        first = channel * exposures
        parts = [part(first + exposure) for exposure in range(exposures)]
        kernels = list(spread.kernels[:, channel])
        found.append(
            choose_strength(parts, kernels, penalty=penalty, stride=stride, noise=noise)
        )
    weight = float(np.exp(np.mean([np.log(one.weight) for one in found])))
    return weight, float(np.sqrt(np.mean([one.model.noise**2 for one in found])))


@dataclass(frozen=True)
class Found:
    """The result of a solver, its strength and noise, and a sentence on them."""

    result: Any
    strength: float | None
    noise: float | None
    message: str


def given(strength) -> str:
    return f"with the given strength {strength:.3g}"


def source(noise) -> str:
    return "estimated" if noise is None else "given"
