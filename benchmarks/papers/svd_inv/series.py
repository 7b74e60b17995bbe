"""Series of moving ellipses, and masks of their frequencies."""

from typing import NamedTuple

import numpy as np

FINE = 4  # samples of a pixel, along each axis
GOLDEN = (np.sqrt(5) - 1) / 2
SPREAD = 0.15  # of the lines' density, in frequencies of half the width
POWER = 9  # of the variable density, as in the paper's code


class Ellipse(NamedTuple):
    """Center, semi-axes, angle and intensity; the image is (-1, 1) x (-1, 1)."""

    x: float
    y: float
    a: float
    b: float
    angle: float
    value: float

    def drawn(self, size):
        t = (np.arange(FINE * size) + 0.5) * 2 / (FINE * size) - 1
        x, y = t - self.x, -t[:, None] - self.y
        along = x * np.cos(self.angle) + y * np.sin(self.angle)
        across = y * np.cos(self.angle) - x * np.sin(self.angle)
        inside = (along / self.a) ** 2 + (across / self.b) ** 2 <= 1
        parts = inside.reshape(size, FINE, size, FINE)
        return self.value * parts.mean(axis=(1, 3), dtype=np.float32)


def phantom(frames, size, rng):
    """A slice of a body with a beating heart: complex, shape (frames, size, size).

    The heart's walls move periodically, a vessel goes round, and another one brightens
    once. The phase is smooth. The largest magnitude is 1.
    """
    rng = np.random.default_rng(rng)
    wide, high = 0.86 * rng.uniform(0.95, 1.05), 0.7 * rng.uniform(0.95, 1.05)
    body = [
        Ellipse(0, 0, wide, high, 0, 0.35),
        Ellipse(0, 0, wide - 0.06, high - 0.06, 0, -0.1),
    ]
    for _ in range(4):
        center, axes = rng.uniform(-0.5, 0.5, 2), rng.uniform(0.05, 0.18, 2)
        turn, value = rng.uniform(0, np.pi), rng.uniform(0.1, 0.3)
        body.append(Ellipse(*center, *axes, turn, value))
    still = sum(part.drawn(size) for part in body)
    heart = rng.uniform(-0.15, 0.15, 2)
    times = np.arange(frames) / frames
    moving = [sum(part.drawn(size) for part in inner(heart, t)) for t in times]
    t = (np.arange(size) + 0.5) * 2 / size - 1
    phase = 0.8 * t + 0.5 * t[:, None] ** 2 - 0.4 * t * t[:, None]
    images = (still + np.array(moving)) * np.exp(1j * phase)
    return (images / abs(images).max()).astype(np.complex64)


def inner(heart, time):
    """What moves, at a time between 0 and 1."""
    x, y = heart
    beat, swing = np.cos(2 * np.pi * time), np.sin(2 * np.pi * time)
    outer, chamber = 1 + 0.06 * beat, 1 + 0.22 * beat
    flow = np.exp(-(((time - 0.4) / 0.2) ** 2))
    return [
        Ellipse(x, y, 0.34 * outer, 0.3 * outer, 0.4, 0.35),
        Ellipse(x + 0.02 * swing, y, 0.2 * chamber, 0.17 * chamber, 0.4, 0.3),
        Ellipse(0.45 + 0.1 * beat, -0.3 + 0.06 * swing, 0.07, 0.07, 0, 0.25),
        Ellipse(x - 0.3, y + 0.2, 0.06, 0.1, 0.3, 0.2 * flow),
    ]


def radial(frames, size, spokes, rng):
    """Spokes through frequency 0 on the grid, turned at random in every frame."""
    rng = np.random.default_rng(rng)
    mask = np.zeros((frames, size, size), bool)
    r = np.linspace(-size / 2, size / 2, 2 * size)
    for frame in mask:
        turns = rng.uniform(0, np.pi) + np.arange(spokes) * np.pi / spokes
        for turn in turns:
            way = np.array([[np.sin(turn)], [np.cos(turn)]])
            i, j = np.rint(size / 2 + r * way).astype(int)
            inside = (i >= 0) & (i < size) & (j >= 0) & (j < size)
            frame[i[inside], j[inside]] = True
    return mask


def variable_density(frames, size, reduction, rng):
    """Frequencies at random, each with the chance ``(1 - radius)^9 + constant``."""
    t = np.linspace(-1, 1, size, endpoint=False)
    radius = np.hypot(t, t[:, None])
    chance = np.maximum(1 - radius / radius.max(), 0) ** POWER
    low, high = -1.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        fits = np.clip(chance + middle, 0, 1).mean() < 1 / reduction
        low, high = (middle, high) if fits else (low, middle)
    drawn = np.random.default_rng(rng).random((frames, size, size))
    return drawn < np.clip(chance + low, 0, 1)


def lines(frames, size, reduction, rng=None):
    """Whole rows of frequencies, as few in every frame, spread over rows and time.

    A deterministic stand-in for VISTA: the row of frequency 0, and quantiles of a
    density with a peak there, which move on by the golden section from frame to frame.
    A row that is taken already gives way to the nearest free one.
    """
    count = max(round(size / reduction), 2) - 1
    t = np.linspace(-1, 1, size, endpoint=False)
    total = np.cumsum(np.exp(-abs(t) / SPREAD) + 0.1)
    mask = np.zeros((frames, size, size), bool)
    for k, frame in enumerate(mask):
        frame[size // 2] = True
        places = (np.arange(count) + (0.5 + k * GOLDEN) % 1) / count
        for row in np.searchsorted(total, places * total[-1]):
            free = np.flatnonzero(~frame[:, 0])
            frame[free[abs(free - row).argmin()]] = True
    return mask


MASKS = {
    "radial, 16 spokes": lambda *shape: radial(*shape, 16, 1),
    "radial, 30 spokes": lambda *shape: radial(*shape, 30, 1),
    "variable density, 8x": lambda *shape: variable_density(*shape, 8, 1),
    "lines, 8x": lambda *shape: lines(*shape, 8),
    "lines, 12x": lambda *shape: lines(*shape, 12),
}
