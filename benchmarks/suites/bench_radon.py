"""The Radon transform and its adjoint, beside those of scikit-image.

Both are to take at most a fifth of scikit-image's time.
"""

import numpy as np

from benchmarks.support.measure import interleaved
from convinv.operators import Radon

SIZES = (128, 256)
DTYPES = ("float64", "float32")
PRODUCTS = ("forward", "adjoint")
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


class Products:
    params = (SIZES, DTYPES, PRODUCTS)
    param_names = ("size", "dtype", "product")

    def setup(self, size, dtype, product):
        self.call = Case(size, dtype).ours(product)
        self.call()

    def time_product(self, size, dtype, product):
        self.call()


class Batches:
    """Twenty images at once."""

    params = (PRODUCTS,)
    param_names = ("product",)

    def setup(self, product):
        self.call = Case(128, "float64", (20,)).ours(product)
        self.call()

    def time_product(self, product):
        self.call()

    def peakmem_product(self, product):
        self.call()


class AgainstSkimage:
    """Time of a product divided by that of scikit-image's."""

    params = (SIZES, DTYPES, PRODUCTS)
    param_names = ("size", "dtype", "product")
    unit = "times scikit-image's time"

    def setup(self, size, dtype, product):
        case = Case(size, dtype)
        self.calls = {"ours": case.ours(product), "theirs": case.theirs(product)}

    def track_ratio_skimage(self, size, dtype, product):
        times = interleaved(self.calls, seconds=0.5)
        return times["ours"].over(times["theirs"])[0]
