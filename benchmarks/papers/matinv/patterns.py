"""The activation patterns of a small network, and how far from linear it can be."""

import itertools

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from convinv.local_inverse import LocalInverse

from ...support.measure import clock
from ...support.outcome import Claim, Outcome, Table
from . import paper, problems
from .training import trained

SHOWN = 12
AROUND = 4  # half widths that are drawn


def run(quick=False):
    data = problems.datasets()[0]
    steps = 300 if quick else paper.STEPS[2]
    seconds, (learned,) = clock(lambda: trained(data, 2, steps, 1, hidden=paper.SMALL))
    network = Network(learned, data)
    rng = np.random.default_rng(2)
    A = data.sample(20_000 if quick else 1_000_000, rng)
    x = A.reshape(len(A), -1)
    patterns, member, counts = occupied(network, x)
    apart = np.abs(network(x) - network.linear(x))
    rows = []
    for k in np.argsort(-counts):
        seen = float(apart[member == k].max())
        most = pattern_bound(network, patterns[k])
        jacobian = np.abs(network.affine(patterns[k])[0] - network.jacobian).max()
        name = "".join("+" if on else "0" for on in patterns[k])
        rows.append((name, float(counts[k] / len(x)), float(jacobian), seen, most))
    box = box_bound(network)
    wrong = float(np.abs(network(x) - np.linalg.inv(A).reshape(len(A), -1)).max())
    remainder = series_remainder(data)
    text = (
        f"a network 4-{paper.SMALL}-4 after {steps} steps ({seconds:.0f} s) about "
        f"{problems.shown(data.center)}; share of {len(x)} random matrices; the "
        "largest difference of the affine map's coefficients from the Jacobian's; the "
        "largest difference of an entry from the linear approximation, seen and by "
        "linear programming over the pattern's polytope"
    )
    columns = "active units,share,coefficients,seen,LP bound"
    claims = claimed(rows, box, wrong, box + remainder)
    notes = [
        f"over the whole box the network is within {box:.3e} of the linear "
        "approximation (mixed-integer programming over all patterns), and that within "
        f"{remainder:.3e} of the inverse: an error of at most {box + remainder:.3e} in "
        "every entry is certain",
        f"patterns seen: {len(rows)} of {2**paper.SMALL}",
    ]
    table = Table("Activation patterns", text, columns, rows[:SHOWN])
    return Outcome([table], claims, notes, {"patterns-plane": drawn(network, data)})


def claimed(rows, box, wrong, certified):
    """What is seen is within the bounds of the programs."""
    two, most = sum(row[1] for row in rows[:2]), max(row[4] for row in rows)
    return [
        Claim(
            "no difference that is seen exceeds its bound",
            f"in {len(rows)} patterns",
            all(seen <= bound + 1e-9 for *_, seen, bound in rows),
        ),
        Claim(
            "the bound of the whole box is at least that of each pattern seen",
            f"{box:.3e} for {most:.3e}",
            box >= most - 1e-7,
        ),
        Claim(
            "no error against the inverse exceeds the certified one",
            f"{wrong:.3e} for {certified:.3e}",
            wrong <= certified,
        ),
        Claim(
            "most matrices are in two patterns, as in the paper",
            f"{two:.1%}",
            two > 0.5,
            soft=True,
        ),
    ]


class Network:
    """A trained network in double precision, with its box and the linear map."""

    def __init__(self, learned, data):
        first, last = learned.network[0], learned.network[2]
        self.W1, self.b1, self.W2, self.b2 = (
            part.detach().double().numpy()
            for part in (first.weight, first.bias, last.weight, last.bias)
        )
        near = LocalInverse(data.center)
        self.center, self.half = data.center.ravel(), data.half_width
        self.inverse = near.inverse.ravel()
        self.jacobian = -np.kron(near.inverse, near.inverse.T)

    def __call__(self, x):
        return np.maximum(x @ self.W1.T + self.b1, 0) @ self.W2.T + self.b2

    def linear(self, x):
        return self.inverse + (x - self.center) @ self.jacobian.T

    def affine(self, pattern):
        """Matrix and constant where just these units are active."""
        active = self.W2 * pattern
        return active @ self.W1, active @ self.b1 + self.b2

    @property
    def bounds(self):
        return [(c - self.half, c + self.half) for c in self.center]


def occupied(network, x):
    """Patterns that occur, the one of every matrix, and their counts."""
    active = x @ network.W1.T + network.b1 > 0
    code = active @ (1 << np.arange(active.shape[1]))
    codes, member, counts = np.unique(code, return_inverse=True, return_counts=True)
    patterns = (codes[:, None] >> np.arange(active.shape[1])) & 1
    return patterns, member, counts


def pattern_bound(network, pattern):
    """The largest difference from the linear map where the pattern holds."""
    matrix, constant = network.affine(pattern)
    matrix = matrix - network.jacobian
    constant = constant - network.inverse + network.jacobian @ network.center
    sign = np.where(pattern == 1, -1.0, 1.0)  # -(W1 x + b1) <= 0 of active units
    most = 0.0
    for row, add in zip(matrix, constant):
        for way in (1, -1):
            found = linprog(
                -way * row,
                A_ub=sign[:, None] * network.W1,
                b_ub=-sign * network.b1,
                bounds=network.bounds,
                method="highs",
            )
            if found.status == 0:
                most = max(most, -found.fun + way * add)
    return float(most)


def box_bound(network):
    """The largest difference from the linear map in the box, over all patterns.

    With z of zeros and ones, ``h = relu(a)`` of ``low <= a <= high`` is ``h >= a``, ``h
    >= 0``, ``h <= a - low (1 - z)``, ``h <= high z``.
    """
    inputs, units = network.W1.shape[1], network.W1.shape[0]
    middle = network.W1 @ network.center + network.b1
    reach = network.half * np.abs(network.W1).sum(axis=1)
    low, high = np.minimum(middle - reach, 0), np.maximum(middle + reach, 0)
    eye, none = np.eye(units), np.zeros((units, units))
    rows = np.vstack([
        np.hstack([-network.W1, eye, none]),  # h - W1 x >= b1
        np.hstack([-network.W1, eye, -np.diag(low)]),  # h - W1 x - low z <= b1 - low
        np.hstack([np.zeros((units, inputs)), eye, -np.diag(high)]),  # h - high z <= 0
    ])  # fmt: skip
    infinite = np.full(units, np.inf)
    constraint = LinearConstraint(
        rows,
        np.concatenate([network.b1, -infinite, -infinite]),
        np.concatenate([infinite, network.b1 - low, np.zeros(units)]),
    )
    edges = np.array(network.bounds)
    box = Bounds(
        np.concatenate([edges[:, 0], np.zeros(2 * units)]),
        np.concatenate([edges[:, 1], high, np.ones(units)]),
    )
    whole = np.repeat([0, 1], [inputs + units, units])
    most = 0.0
    for k, way in itertools.product(range(len(network.b2)), (1, -1)):
        cost = np.concatenate([-network.jacobian[k], network.W2[k], np.zeros(units)])
        add = (
            network.b2[k] - network.inverse[k] + (network.jacobian[k] @ network.center)
        )
        found = milp(-way * cost, constraints=constraint, bounds=box, integrality=whole)
        if found.status != 0:
            raise RuntimeError(f"the mixed-integer program failed: {found.message}")
        most = max(most, -found.mip_dual_bound + way * add)
    return float(most)


def series_remainder(data):
    """What the linear approximation misses at most, in any entry, in the box."""
    norm = float(LocalInverse(data.center).inverse_norm)
    q = norm * data.n * data.half_width
    return norm * q * q / (1 - q)


def drawn(network, data, size=301):
    """Patterns on the plane of the two diagonal entries, in the box and around it."""
    reach = AROUND * network.half
    edges = np.linspace(-reach, reach, size)
    x = np.tile(network.center, (size, size, 1))
    x[..., 0] += edges[None, :]
    x[..., 3] += edges[:, None]
    _, member, _ = occupied(network, x.reshape(-1, 4))
    apart = np.abs(network(x) - network.linear(x)).max(axis=-1)
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    extent = [c + s * reach for c in network.center[[0, 3]] for s in (-1, 1)]
    left.imshow(member.reshape(size, size), origin="lower", extent=extent, cmap="tab20")
    left.set_title("activation patterns", fontsize="medium")
    image = right.imshow(apart, origin="lower", extent=extent, cmap="viridis")
    right.set_title("difference from linear", fontsize="medium")
    figure.colorbar(image)
    corner = network.center[[0, 3]] - network.half
    for ax in (left, right):
        box = Rectangle(corner, 2 * network.half, 2 * network.half, fill=False)
        ax.add_patch(box)
        ax.set(xlabel="entry (0, 0)", ylabel="entry (1, 1)")
    return figure
