"""Color photographs, masks, and how far a picture is from the true one."""

import numpy as np
from skimage.metrics import structural_similarity

from convinv import gallery

from ...support import quality

TEST = ("astronaut", "chelsea", "coffee", "rocket")
TRAINING = ("hubble_deep_field", "immunohistochemistry", "motorcycle", "retina")


def photographs(size, names=TEST):
    """Shape (count, size, size, 3), between 0 and 1."""
    pictures = [gallery.image(name, size, channels_first=False) for name in names]
    return np.stack(pictures)


def mask(shape, ratio, rng):
    """Which entries are sampled: each for itself, also the channels of a pixel."""
    return np.random.default_rng(rng).random(shape) < ratio


def psnr(truth, pictures):
    """dB of each picture, which are cut off where no truth can be."""
    pairs = zip(truth, np.clip(pictures, 0, 1))
    return np.array([quality.psnr(z, x) for x, z in pairs])


def ssim(truth, pictures, channel_axis=-1):
    """Structural similarity of each picture."""
    options = {"data_range": 1, "channel_axis": channel_axis}
    pairs = zip(truth, np.clip(pictures, 0, 1))
    return np.array([structural_similarity(x, z, **options) for x, z in pairs])
