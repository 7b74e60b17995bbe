"""
Sharper edges in place of scikit-image's functions
==================================================

``convinv.interop.skimage`` has functions named like those of ``skimage.restoration``,
with the same arguments. By default they assume nothing of what is beyond the frame.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import restoration

from convinv import gallery, imaging
from convinv.interop import skimage as ours

# %%
# A picture whose blur brings in what lies beyond its frame, as in every camera.

psf = gallery.disc_kernel(3)
margin = psf.shape[0] // 2
scene = gallery.image("camera", 220)[0]
sharp = scene[margin:-margin, margin:-margin]
picture = imaging.blur(scene, psf, boundary="unknown")
picture += 0.005 * np.random.default_rng(0).standard_normal(picture.shape)


def psnr(image):
    return -10 * np.log10(np.mean((image - sharp) ** 2))


def compare(images):
    figure, axes = plt.subplots(1, len(images), figsize=(9, 3.5))
    for ax, (title, image) in zip(axes, images.items()):
        ax.imshow(image, vmin=0, vmax=1)
        ax.set_title(f"{title}: {psnr(image):.1f} dB")
        ax.set_axis_off()


# %%
# Wiener's filter. To change the import is all there is to do.

compare(
    {
        "blurred": picture,
        "scikit-image": restoration.wiener(picture, psf, 2e-3),
        "convinv": ours.wiener(picture, psf, 2e-3),
    }
)

# %%
# The same assumption gives the same numbers: scikit-image's filter takes the picture
# for periodic.

periodic = ours.wiener(picture, psf, 2e-3, boundary="periodic")
theirs = restoration.wiener(picture, psf, 2e-3)
print(f"largest difference: {np.abs(periodic - theirs).max():.0e}")

# %%
# Richardson-Lucy, 40 iterations. scikit-image's takes what is beyond the frame for
# black.

compare(
    {
        "blurred": picture,
        "scikit-image": restoration.richardson_lucy(picture.clip(0), psf, 40),
        "convinv": ours.richardson_lucy(picture, psf, 40),
    }
)

# %%
# Where no balance is known, ``unsupervised_wiener`` finds one: scikit-image by
# sampling, convinv from the spectrum of the picture.

theirs, _ = restoration.unsupervised_wiener(picture, psf, rng=0)
mine, found = ours.unsupervised_wiener(picture, psf)
compare({"blurred": picture, "scikit-image": theirs, "convinv": mine})
print(f"noise of {found['noise'][0] ** -0.5:.4f}, and it was 0.005")
