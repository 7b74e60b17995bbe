"""The weight of a penalty that leaves the least error in the scene.

The minimizer x of ``||A x - b||^2 + s^2 ||L x||^2`` for a convolution A is, far from
the frame, a filter of b, so the expected squared error of x is a sum over frequencies
of what the filter keeps of the noise and of what it takes from the scene. A model of
both spectra comes from b itself (`spectral_model`); the rule takes the s with the least
sum. It costs FFTs of small tiles, whatever the size of the picture, and needs neither a
solve nor a starting point.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft

from .._core.arrays import namespace, to_numpy
from .noise import noise_of
from .spectral_model import SpectralModel, differences, fit, visibility
from .welch import sampled, tile_side, welch

LOWEST, HIGHEST, PER_DECADE = 1e-5, 1e2, 10  # weights tried, per size of the PSF's sum
# How often the noise counts. With 1 the mean squared error is least, but in flat parts
# noise shows more than elsewhere; 2 costs 0.1 dB of it and gains as much in SSIM.
CAUTION = 2.0
VISIBLE = 10.0  # noise over the scene, where the blur leaves least of it
CHUNK = 1 << 16  # frequencies whose matrices are inverted at once
PENALTIES = ("gradient", "laplacian", "identity")


@dataclass(frozen=True)
class Strength:
    """The weight s, and the model of the spectra that led to it."""

    weight: float
    model: SpectralModel


def choose_strength(
    images, psfs, *, penalty="gradient", stride=1, noise=None, caution=CAUTION
):
    """The weight of a penalty for pictures of one scene.

    Parameters
    ----------
    images : list of array, shape (N, *size)
        For every exposure its pictures, of N channels or items of a batch, in one to
        three dimensions. Exposures may differ in size. Of objects that are no arrays,
        but have slices, tiles are read.
    psfs : list of array, shape (*k)
        The point spread function of each exposure.
    penalty : {"gradient", "laplacian", "identity"} or array
        L, or the kernel of a convolution L.
    stride : int or tuple of int
        Pixels of the scene per pixel of the pictures, along each axis.
    noise : float, optional
        The standard deviation of the noise; by default that of the fitted model.
    caution : float
        How often the variance that the noise causes counts in the error.

    Returns
    -------
    Strength
    """
    psfs = [to_numpy(psf).astype(float) for psf in psfs]
    images = [_plain(image) for image in images]
    axes = psfs[0].ndim
    stride = (stride,) * axes if np.ndim(stride) == 0 else tuple(stride)
    sizes = [image.shape[-axes:] for image in images]
    coarse = [psf[tuple(slice(None, None, q) for q in stride)] for psf in psfs]
    side = tile_side(tuple(map(min, zip(*sizes))), coarse)
    fine = tuple(n * q for n, q in zip(side, stride))
    responses = [response(psf, fine) for psf in psfs]
    powers = [welch(image, side) for image in images]
    transfers = [np.abs(h) ** 2 for h in responses]
    model = fit(powers, transfers, side, stride, noise)
    if noise is None and max(stride) > 1:
        # Details finer than the pixels look like noise: rather too much of it.
        if visibility(model, transfers, side, stride) < VISIBLE:
            level = np.mean([_finest(image, side) for image in images]) ** 0.5
            model = fit(powers, transfers, side, stride, float(level))
    lowest = LOWEST * max(abs(float(psf.sum())) for psf in psfs)
    if not model.scale > 0:  # no scene beside the noise
        flat = HIGHEST / LOWEST if model.noise > 0 else 1.0
        return Strength(lowest * flat, model)
    noisy = replace(model, noise=model.noise * caution**0.5)
    error = ExpectedError(responses, side, noisy, penalty_power(penalty, fine))
    return Strength(_least(error, lowest), model)


def response(kernel, size):
    """The transfer function of a kernel on a torus, which may be smaller than it."""
    wrapped = np.zeros(size)
    index = [np.arange(k) % n for k, n in zip(kernel.shape, size)]
    np.add.at(wrapped, np.ix_(*index), kernel)
    return fft.fftn(wrapped)


def penalty_power(penalty, size):
    """``|L|^2`` of every frequency."""
    if not isinstance(penalty, str):
        return np.abs(response(to_numpy(penalty).astype(float), size)) ** 2
    gradient = differences(size)
    gradient.flat[0] = 0
    return {
        "gradient": gradient,
        "laplacian": gradient**2,
        "identity": np.ones(size),
    }[penalty]


class ExpectedError:
    """The mean squared error of the scene as a function of the weight.

    With M the map from the frequencies of the scene that share one of the data's, to
    the exposures, G its Gram matrix, S the scene's spectrum, P the penalty's and
    ``K = (G + s^2 P)^-1``, the error at these is ``K s^2 P S P s^2 K + v K G K``.
    """

    def __init__(self, responses, side, model, penalty):
        size = penalty.shape
        self.scene = _aliases(model.scene(differences(size)), side)
        self.penalty = _aliases(penalty, side)
        maps = np.stack([_aliases(h, side) for h in responses], axis=-2)
        aliases = maps.shape[-1]
        self.gram = np.conj(maps.swapaxes(-2, -1)) @ maps / aliases
        self.variance = model.noise**2
        away = np.arange(len(self.scene)) > 0  # the mean is known all but exactly
        for name in ("scene", "penalty", "gram"):
            setattr(self, name, getattr(self, name)[away])
        self.aliases = aliases

    def __call__(self, weight):
        square = weight**2
        if self.aliases == 1:
            gram, penalty = self.gram[:, 0, 0].real, self.penalty[:, 0]
            below = gram + square * penalty
            below = np.where(below > 0, below, np.inf)
            bias = (square * penalty / below) ** 2 @ self.scene[:, 0]
            return bias + self.variance * np.sum(gram / below**2)
        return sum(
            self._chunk(slice(i, i + CHUNK), square)
            for i in range(0, len(self.gram), CHUNK)
        )

    def _chunk(self, part, square):
        gram, penalty = self.gram[part], square * self.penalty[part]
        below = gram + penalty[:, None, :] * np.eye(self.aliases)
        inverse = np.linalg.inv(below)
        lost = np.abs(inverse) ** 2 * (penalty**2 * self.scene[part])[:, None, :]
        kept = np.sum((inverse @ gram) * inverse.conj())
        return float(lost.sum() + self.variance * kept.real)


def _aliases(values, side):
    """Frequencies of the data by those of the scene that each stands for."""
    axes = len(side)
    parts = [(values.shape[a] // side[a], side[a]) for a in range(axes)]
    values = values.reshape([n for pair in parts for n in pair])
    order = [*range(1, 2 * axes, 2), *range(0, 2 * axes, 2)]
    return values.transpose(order).reshape(int(np.prod(side)), -1)


def _least(error, lowest):
    """The weight with the least error on a grid, refined by a parabola."""
    count = 1 + round(PER_DECADE * np.log10(HIGHEST / LOWEST))
    weights = np.geomspace(lowest, lowest * HIGHEST / LOWEST, count)
    errors = np.array([error(weight) for weight in weights])
    best = int(np.argmin(errors))
    if not 0 < best < count - 1:
        return float(weights[best])
    before, here, after = errors[best - 1 : best + 2]
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend > 0 else 0.0
    return float(weights[best] * (weights[1] / weights[0]) ** shift)


def _plain(image):
    """On the host, in single precision at least; complex pictures as real ones."""
    if namespace(image) is None:
        return image
    image = to_numpy(image)
    if image.dtype.kind == "c":
        image = np.concatenate([image.real, image.imag])
    return image.astype(np.result_type(image.dtype, np.float32), copy=False)


def _finest(image, side):
    """The variance of the noise by the finest details."""
    if namespace(image) is None:
        tiles = [noise_of(tiles, len(side)) for tiles in sampled(image, side)]
        return np.mean(np.concatenate(tiles) ** 2)
    return np.mean(noise_of(image, len(side)) ** 2)
