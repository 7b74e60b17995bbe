"""A model of the spectra of pictures, fitted to those of blurred and noisy ones.

The spectrum of a scene is taken for ``scale * |d|^(-2 exponent)``, where ``|d|^2`` is
the symbol of the differences between neighbors: natural pictures have exponents of
about 1, white scenes 0. The data have ``|H|^2`` times that, plus the variance of the
noise. The fit maximizes Whittle's likelihood (Arkiv Mat. 2, 1953), so the frequencies
that the point spread function removes tell the noise, and the others the scene.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from .welch import smear

FLOOR = 1e-4  # noise that is always there, per standard deviation of the data
LOUD = 1e3  # noise that leaves nothing of the scene, in the same units
STEEPEST = 3.0  # exponent
SKIPPED = 2  # frequencies next to 0 that the window mixes with the removed mean
LOGS = 60.0  # bound of the logarithm of the scale, per power of the data


@dataclass(frozen=True)
class SpectralModel:
    """The spectrum ``scale * |d|^(-2 exponent)`` of a scene, and the noise of data."""

    noise: float
    scale: float
    exponent: float

    def scene(self, differences):
        """The scene's power, given ``|d|^2``."""
        return self.scale * differences**-self.exponent


def differences(side):
    """``|d|^2`` of frequencies in the order of ``fft.fftn``; not 0 at frequency 0."""
    total = np.zeros(())
    for n in side:
        total = np.add.outer(total, 4 * np.sin(np.pi * np.fft.fftfreq(n)) ** 2)
    least = total[total > 0].min(initial=np.inf)
    return np.maximum(total, least if np.isfinite(least) else 1.0)


def fit(powers, transfers, side, stride, noise=None) -> SpectralModel:
    """The model whose spectra are likeliest.

    Parameters
    ----------
    powers : list of ndarray
        Of each picture of the scene, as `welch` gives.
    transfers : list of ndarray
        ``|H|^2`` of each, on a grid of ``side * stride`` samples, as ``fft.fftn``.
    side, stride : tuple of int
        Samples of a tile, and pixels of the scene per sample, along each axis.
    noise : float, optional
        Standard deviation of the noise if it is known.
    """
    used = _used(side)
    half = tuple(slice(0, n) for n in used.shape)
    weight = _weight(side)[used] * np.ones((len(powers), 1))
    weight /= weight.sum()
    power = np.stack([p[used] for p in powers])
    total = float(np.sum(weight * power))
    if not total > 0:
        return SpectralModel(noise or 0.0, 0.0, 1.0)
    power = power / total
    symbol = differences([n * q for n, q in zip(side, stride)])
    logs = np.log(symbol)

    def observed(scene):
        return np.stack([smear(folded(t * scene, side))[half][used] for t in transfers])

    def negative_likelihood(unknowns):
        scale, level = np.exp(unknowns[0]), variance(unknowns)
        scene = symbol ** -unknowns[-1]
        blurred = scale * observed(scene)
        model = blurred + level
        slope = weight * (1 - power / model) / model
        by_exponent = np.sum(slope * scale * observed(-logs * scene))
        gradient = [np.sum(slope * blurred), np.sum(slope) * level, by_exponent]
        if known is not None:
            del gradient[1]
        return np.sum(weight * (np.log(model) + power / model)), np.array(gradient)

    def variance(unknowns):
        return np.exp(unknowns[1]) if known is None else known

    known = None
    if noise is not None:
        known = min(max(noise / total**0.5, FLOOR), LOUD) ** 2
    blurred = observed(1 / symbol)
    start, bounds = [-np.log(np.sum(weight * blurred))], [(-LOGS, LOGS)]
    if known is None:
        start.append(np.log(_guess(power, blurred)))
        bounds.append((2 * np.log(FLOOR), 1.0))
    found = minimize(
        negative_likelihood,
        [*start, 1.0],
        jac=True,
        method="L-BFGS-B",
        bounds=[*bounds, (0.0, STEEPEST)],
    ).x
    return SpectralModel(
        float(np.sqrt(variance(found) * total)),
        float(np.exp(found[0]) * total),
        float(found[-1]),
    )


def visibility(model, transfers, side, stride):
    """The noise over what the blur leaves of the scene, both as powers, where least.

    Where it is small the fit can't tell the noise from fine details.
    """
    scene = model.scene(differences([n * q for n, q in zip(side, stride)]))
    used = _used(side)
    half = tuple(slice(0, n) for n in used.shape)
    dark = [np.sort(smear(folded(t * scene, side))[half][used]) for t in transfers]
    left = min(np.median(d[: max(d.size // 10, 4)]) for d in dark)
    return np.inf if left == 0 else model.noise**2 / left


def folded(power, side):
    """The mean over the frequencies of the scene that one of the data stands for."""
    for axis, n in enumerate(side):
        if power.shape[axis] != n:
            shape = *power.shape[:axis], -1, n, *power.shape[axis + 1 :]
            power = power.reshape(shape).mean(axis=axis)
    return power


def _guess(power, blurred):
    """The variance of the noise where the PSF leaves least of the scene."""
    dark = np.argsort(blurred, axis=None)[: max(power.size // 10, 4)]
    typical = np.median(power.ravel()[dark]) / np.log(2)  # of an exponential variable
    return float(np.clip(typical, FLOOR**2, 1.0))


def _used(side):
    """Frequencies of ``rfftn`` that the removed mean does not touch."""
    away = [np.abs(np.fft.fftfreq(n, 1 / n)) for n in side[:-1]]
    away.append(np.arange(side[-1] // 2 + 1))
    far = np.maximum.reduce(np.meshgrid(*away, indexing="ij"))
    return far >= min(SKIPPED, far.max())


def _weight(side):
    """How many frequencies each of ``rfftn`` stands for."""
    last = np.full(side[-1] // 2 + 1, 2.0)
    last[0] = 1
    if side[-1] % 2 == 0:
        last[-1] = 1
    return np.broadcast_to(last, (*side[:-1], last.size))
