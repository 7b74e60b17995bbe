"""The Radon transform and its adjoint, beside those of scikit-image.

Both are to take at most a fifth of scikit-image's time.
"""

from benchmarks.support.devices import skip
from benchmarks.support.measure import interleaved
from benchmarks.support.radon import Case

SIZES = (128, 256)
DTYPES = ("float64", "float32")
PRODUCTS = ("forward", "adjoint")


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
        try:
            theirs = case.theirs(product)
        except ImportError as error:
            skip(str(error))
        self.calls = {"ours": case.ours(product), "theirs": theirs}

    def track_ratio_skimage(self, size, dtype, product):
        times = interleaved(self.calls, seconds=0.5)
        return times["ours"].over(times["theirs"])[0]
