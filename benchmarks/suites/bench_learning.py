"""Learned operators: a kernel from one pair, singular systems from many."""

import numpy as np

from benchmarks.support.quality import relative_error
from benchmarks.support.versions import optional
from convinv import ConvLinearOperator

gallery = optional("convinv.gallery")
SpectralOperator, fit_kernel = optional(
    "convinv.learning", "SpectralOperator", "fit_kernel"
)

LAYERS = {
    "3to8 3x3": (3, 8, 3, 1),
    "16to32 3x3": (16, 32, 3, 1),
    "blur 15x15": (1, 1, 15, 1),
}  # channels in and out, taps, images


class Kernel:
    """`fit_kernel` from noisy pairs of 256 x 256 pixels."""

    params = (tuple(LAYERS), ("float32", "float64"))
    param_names = ("layer", "dtype")

    def setup(self, name, dtype):
        c_in, c_out, self.taps, images = LAYERS[name]
        rng = np.random.default_rng(0)
        kernel = gallery.conv_layer(c_in, c_out, self.taps, rng=0, dtype=dtype)
        self.x = rng.random((images, c_in, 256, 256)).astype(dtype)
        self.op = ConvLinearOperator(kernel, self.x.shape[1:])
        self.y = gallery.add_noise(self.op.forward(self.x), 0.01, rng=1)
        self.fit()

    def fit(self):
        return fit_kernel(self.x, self.y, self.taps)

    def time_fit(self, name, dtype):
        self.fit()

    def peakmem_fit(self, name, dtype):
        self.fit()

    def track_error(self, name, dtype):
        """Relative, of the kernel."""
        return relative_error(self.fit().kernel, self.op.kernel)


class Spectral:
    """`SpectralOperator` from images of 64 x 64 pixels through a 1 -> 2 layer."""

    params = (
        ("householder", "gram-schmidt", "modified", "pivoted", "smooth"),
        (50, 500),
    )
    param_names = ("orthonormalization", "pairs")

    def setup(self, method, pairs):
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((pairs, 1, 64, 64))
        op = ConvLinearOperator(gallery.conv_layer(1, 2, rng=0), self.x.shape[1:])
        self.y, self.options = op.forward(self.x), {"orthonormalization": method}
        self.learned = self.fit()
        self.learned.s

    def fit(self):
        return SpectralOperator.fit(self.x, self.y, **self.options)

    def time_fit(self, method, pairs):
        self.fit()

    def time_fit_and_values(self, method, pairs):
        self.fit().s

    def time_blocks(self, method, pairs):
        learned = SpectralOperator(**self.options)
        for i in range(0, pairs, 50):
            learned.partial_fit(self.x[i : i + 50], self.y[i : i + 50])

    def time_reconstruct(self, method, pairs):
        self.learned.reconstruct(self.y[:1])

    def peakmem_fit(self, method, pairs):
        self.fit()
