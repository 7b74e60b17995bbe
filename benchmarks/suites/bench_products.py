"""Products with large kernels: tap by tap, by FFT, and beside SciPy's fftconvolve."""

import numpy as np

from benchmarks.support.measure import interleaved
from benchmarks.support.routes import QUICK, both, scipy_calls
from benchmarks.support.versions import optional

routes = optional("convinv.kernels.products.routes")
Plan = optional("convinv.kernels.products.fft", "Plan")

CASES = {str(case): case for case in QUICK}
ROUTES = {"FFT": Plan, "direct": routes.Direct}


class Routes:
    """A forward and an adjoint product together."""

    params = (tuple(CASES), tuple(ROUTES))
    param_names = ("layer", "route")

    def setup(self, layer, route):
        case = CASES[layer]
        kernel, x, y = case.arrays()
        self.call = both(ROUTES[route](np, kernel, case.geometry), x, y)
        self.call()

    def time_products(self, layer, route):
        self.call()


class Preparation:
    """The first product of a new operator: what transforming the kernel costs."""

    params = (tuple(CASES),)
    param_names = ("layer",)

    def setup(self, layer):
        self.case = CASES[layer]
        self.arrays = self.case.arrays()
        self.time_first_product(layer)

    def time_first_product(self, layer):
        kernel, x, _ = self.arrays
        routes.prepare(kernel, self.case.geometry, np).forward(x)


class AgainstSciPy:
    """Time of a product of the route that is taken, divided by fftconvolve's."""

    params = (tuple(name for name, c in CASES.items() if c.channels == (1, 1)),)
    param_names = ("layer",)
    unit = "times fftconvolve's time"

    def setup(self, layer):
        case = CASES[layer]
        kernel, x, _ = case.arrays()
        plan = routes.prepare(kernel, case.geometry, np)
        calls = scipy_calls(case, kernel, x)
        self.calls = {"convinv": lambda: plan.forward(x), **calls}

    def track_ratio_fftconvolve(self, layer):
        times = interleaved(self.calls, seconds=0.1)
        return times["convinv"].over(times["fftconvolve"])[0]
