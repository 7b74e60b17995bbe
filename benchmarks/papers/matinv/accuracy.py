"""Errors of linear approximations, longer series and networks, beside the inverse."""

import numpy as np

from convinv.local_inverse import LocalInverse, certify, newton_schulz, relu_realization

from ...support.measure import clock
from ...support.outcome import Claim, Outcome, Table
from ...support.threads import one_torch_thread
from . import paper, problems
from .training import trained

# Steps of the training, where the paper's are too many for a processor
CUT = {(16, 2): 10_000, (16, 3): 2000}
QUICK = 60
COLUMNS = "matrices,approximation,mean error,largest error,proven bound,training"


def run(quick=False):
    rng = np.random.default_rng(1)
    rows, claims = [], []
    found = {}
    for data in problems.datasets():
        found[data.name] = errors(data, quick, rng)
        rows += [(data.name, *row) for row in found[data.name].values()]
        claims += about(data.name, found[data.name])
    claims += across(found)
    halves, more = halving(500 if quick else paper.TEST, rng)
    text = (
        f"on {500 if quick else paper.TEST} test matrices: the mean absolute error "
        "of an entry, the largest of an entry, and the largest of the proven bounds "
        "of an error's 2-norm; networks: means over the runs, which the last column "
        "counts, with their steps and the seconds for all of them"
    )
    notes = [
        "networks of 16x16 are trained for fewer steps than the paper's 200000",
        "two steps of Newton and Schulz from the center's inverse are the series of "
        "order 3, one step is the linear approximation",
    ]
    tables = [Table("Errors", text, COLUMNS, rows), halves]
    return Outcome(tables, claims + more, notes, {})


def errors(data, quick, rng):
    """``{name: (name, mean, largest, bound, training)}`` of a dataset."""
    A = data.sample(500 if quick else paper.TEST, rng)
    exact = np.linalg.inv(A)
    table = {}

    def add(name, x, bound=None, training="-"):
        wrong = np.abs(x - exact)
        table[name] = name, float(wrong.mean()), float(wrong.max()), bound, training

    for order in (1, 2, 3):
        near = LocalInverse(data.center, order)
        result = near(A)
        name = "linear (Taylor)" if order == 1 else f"series of order {order}"
        add(name, result.x, float(result.bound.max()))
    fitted = least_squares(data, 2000 if quick else 100_000, rng)
    add("linear (least squares)", fitted(A))
    add("ReLU realization", relu_realization(data.center, data.half_width)(A))
    start = LocalInverse(data.center).inverse
    add("Newton-Schulz to rounding", newton_schulz(A, start).x)
    for name, layers in paper.LAYERS.items():
        steps = CUT.get((data.n, layers), paper.STEPS[data.n])
        runs = paper.RUNS if data.n < 16 and not quick else 1
        steps = QUICK // (10 if data.n == 16 else 1) if quick else steps
        seconds, networks = clock(lambda: trained(data, layers, steps, runs))
        table[name] = network_row(name, networks, A, exact, (runs, steps, seconds))
    return table


@one_torch_thread()
def network_row(name, networks, A, exact, training):
    answers = [one.approximate(A) for one in networks]
    wrong = [np.abs(x - exact) for x in answers]
    bound = max(float(certify(A, x).bound.max()) for x in answers)
    mean = float(np.mean([w.mean() for w in wrong]))
    runs, steps, seconds = training
    return (name, mean, float(max(w.max() for w in wrong)), bound,
            f"{runs} x {steps} steps {seconds:.0f} s")  # fmt: skip


def least_squares(data, count, rng):
    """The affine map of least mean squared error on random matrices."""
    A = data.sample(count, rng)
    D = (A - data.center).reshape(count, -1)
    full = np.hstack([np.ones((count, 1)), D])
    weights = np.linalg.lstsq(full, np.linalg.inv(A).reshape(count, -1), rcond=None)[0]

    def apply(A):
        D = (A - data.center).reshape(len(A), -1)
        return (weights[0] + D @ weights[1:]).reshape(A.shape)

    return apply


def about(name, rows):
    """What holds for every dataset."""
    mean = {key: row[1] for key, row in rows.items()}
    taylor, same = mean["linear (Taylor)"], mean["ReLU realization"]
    proven = [row for row in rows.values() if row[3] is not None]
    claims = [
        Claim(
            f"{name}: the ReLU realization is the linear approximation",
            f"mean errors {taylor:.6e} and {same:.6e}",
            abs(taylor - same) <= 1e-9 * taylor,
        ),
        Claim(
            f"{name}: every order of the series is better than the one before",
            f"{taylor:.2e}, {mean['series of order 2']:.2e}, "
            f"{mean['series of order 3']:.2e}",
            taylor > mean["series of order 2"] > mean["series of order 3"],
        ),
        Claim(
            f"{name}: the bounds hold",
            f"for {len(proven)} approximations",
            all(row[2] <= row[3] for row in proven),
        ),
    ]
    for network in paper.LAYERS:
        claims.append(
            Claim(
                f"{name}: {network} is better than the linear approximation",
                f"{mean[network]:.2e} for {taylor:.2e}",
                mean[network] < taylor,
                soft=True,
            )
        )
    return claims


def across(found):
    mean = {name: rows["2-FC"][1] for name, rows in found.items()}
    text = ", ".join(f"{name}: {value:.2e}" for name, value in mean.items())
    ordered = list(mean.values())
    return [
        Claim(
            "the error of the networks grows with n, as the paper says",
            text,
            max(ordered[:2]) < ordered[2] < ordered[3],
            soft=True,
        )
    ]


def halving(count, rng):
    """The linear approximation's error by the size of the box."""
    rows, claims = [], []
    for data in problems.datasets():
        near = LocalInverse(data.center)
        unit = data.sample(count, rng) - data.center
        means = []
        for part in (1, 0.5, 0.25, 0.125):
            A = data.center + part * unit
            means.append(problems.error(near.approximate(A), np.linalg.inv(A)))
        rows.append((data.name, data.half_width, *means, means[-2] / means[-1]))
        claims.append(
            Claim(
                f"{data.name}: a quarter of the error in a box of half the width",
                f"{means[-2] / means[-1]:.3f} times",
                abs(means[-2] / means[-1] - 4) < 0.1,
            )
        )
    columns = "matrices,half width,whole,half,quarter,eighth,last ratio"
    text = "the linear approximation's mean error in boxes of parts of the width"
    return Table("Smaller boxes", text, columns, rows), claims
