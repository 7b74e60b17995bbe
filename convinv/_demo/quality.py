"""How near a picture is to the photograph."""

import numpy as np

SMALLEST = 7  # pixels, the window of SSIM


def psnr(truth, picture):
    """The peak signal-to-noise ratio in dB, of pictures between 0 and 1."""
    from skimage.metrics import peak_signal_noise_ratio

    with np.errstate(divide="ignore"):  # of equal images
        return peak_signal_noise_ratio(truth, picture.astype(truth.dtype), data_range=1)


def ssim(truth, picture):
    """The structural similarity of pictures ``(C, H, W)`` between 0 and 1."""
    from skimage.metrics import structural_similarity

    return structural_similarity(truth, picture, data_range=1, channel_axis=0)
