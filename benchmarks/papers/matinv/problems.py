"""Four sets of matrices: boxes about centers that are chosen here."""

from typing import NamedTuple

import numpy as np

from convinv.local_inverse import FeasibleRegion

FRACTION = 0.25  # of the largest box without singular matrices


class Dataset(NamedTuple):
    """Matrices ``|a_ij - center_ij| <= half_width``."""

    name: str
    center: np.ndarray
    region: FeasibleRegion
    half_width: float

    @property
    def n(self):
        return len(self.center)

    def sample(self, count, rng):
        shape = (count, self.n, self.n)
        return self.center + rng.uniform(-self.half_width, self.half_width, shape)


def datasets():
    """The two of 2x2, the one of 3x3 and the one of 16x16."""
    rng = np.random.default_rng(16)
    centers = {
        "2x2, positive definite": np.array([[2.0, 1.0], [1.0, 3.0]]),
        "2x2, general": np.array([[1.0, 2.0], [3.0, -1.0]]),
        "3x3": np.array([[2.0, -1.0, 0.5], [1.0, 3.0, -1.0], [0.0, 1.0, -2.0]]),
        "16x16": 8 * np.eye(16) + rng.standard_normal((16, 16)).round(2),
    }
    return [dataset(name, center) for name, center in centers.items()]


def dataset(name, center):
    region = FeasibleRegion(center)
    return Dataset(name, center, region, FRACTION * region.box())


def shown(center):
    """A small center in a line; of a large one where it comes from."""
    if len(center) > 4:
        return "8 I + default_rng(16).standard_normal((16, 16)).round(2)"
    rows = [" ".join(f"{v:g}" for v in row) for row in center]
    return "[" + " / ".join(rows) + "]"


def error(x, exact):
    """The paper's measure: the mean absolute error of an entry."""
    return float(np.abs(x - exact).mean())
