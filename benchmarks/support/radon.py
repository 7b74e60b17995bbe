"""The Radon transform beside that of scikit-image, on an image that both can take."""

import numpy as np

from .versions import optional

Radon = optional("convinv.operators", "Radon")

ANGLES = 180


class Case:
    """An image, its data, and the calls of either package that compute one of them."""

    def __init__(self, size, dtype, batch=()):
        self.op = Radon(size, angles=ANGLES, dtype=dtype)
        rng = np.random.default_rng(0)
        image = rng.standard_normal((*batch, size, size))
        # scikit-image turns about the middle of the second half's first pixel
        t = np.arange(size) - size // 2
        inside = np.hypot(t[:, None], t) < size // 2 - 1
        self.x = (image * (inside & self.op.mask)).astype(dtype)
        self.y = self.op.forward(self.x)

    def ours(self, product):
        if product == "forward":
            return lambda: self.op.forward(self.x)
        return lambda: self.op.adjoint(self.y)

    def theirs(self, product):
        from skimage.transform import iradon, radon

        degrees = np.rad2deg(self.op.angles)
        if product == "forward":
            return lambda: radon(self.x, degrees, circle=True)
        data = np.ascontiguousarray(self.y.T)
        return lambda: iradon(data, degrees, filter_name=None, circle=True)
