"""
A 16-bit file from the shell
============================

No Python needed: ``convinv deblur`` reads a picture, sharpens it and writes a picture
of the same kind. Sixteen bits stay sixteen bits.
"""

import pathlib
import subprocess
import sys
import tempfile

import matplotlib.pyplot as plt
import numpy as np
from skimage import io

from convinv import gallery, imaging

# %%
# A blurred photograph, written as a TIFF file of 16 bits as scientific cameras do.

folder = tempfile.TemporaryDirectory()
sharp = gallery.image("moon")[0, 150:350, 20:290]
blurred = imaging.blur(sharp, gallery.gaussian_kernel(13, 2.0))
rng = np.random.default_rng(0)
blurred += 0.002 * rng.standard_normal(sharp.shape)
levels = np.round(65535 * np.clip(blurred, 0, 1)).astype(np.uint16)
io.imsave(pathlib.Path(folder.name, "moon.tif"), levels, check_contrast=False)


def shell(command):
    """Run the command in the folder of the files and show what it prints."""
    print(f"$ {command}")
    program = [sys.executable, "-m", *command.split()]
    done = subprocess.run(
        program, cwd=folder.name, capture_output=True, text=True, check=True
    )
    print(done.stdout)


# %%
# The point spread function is given by its kind and its size in pixels.

shell("convinv deblur moon.tif sharp.tif --psf gaussian:2.0")

found = io.imread(pathlib.Path(folder.name, "sharp.tif"))
print(f"{found.dtype}, {len(np.unique(found))} different levels")

figure, axes = plt.subplots(1, 2, figsize=(9, 3.7))
for ax, picture, title in (
    (axes[0], levels, "moon.tif"),
    (axes[1], found, "sharp.tif"),
):
    ax.imshow(picture, vmin=15000, vmax=50000)
    ax.set_title(f"{title}, {picture.dtype}")
    ax.set_axis_off()

# %%
# If a sharp picture of the same scene exists, ``convinv psf`` measures the blur and
# ``--psf FILE`` uses it. :doc:`/guide/cli` has all commands.

reference = np.round(65535 * sharp).astype(np.uint16)
io.imsave(pathlib.Path(folder.name, "reference.tif"), reference, check_contrast=False)
shell("convinv psf reference.tif moon.tif --size 13 --output psf.npy")
folder.cleanup()
