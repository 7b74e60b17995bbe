"""The inverse of a random matrix has no mean, whatever the power of its norm."""

import numpy as np
from matplotlib.figure import Figure

from ...support.outcome import Claim, Outcome, Table

CHUNK = 500_000
LEVELS = (10.0, 100.0, 1000.0, 10_000.0)


def run(quick=False):
    counts = {2: 400_000 if quick else 20_000_000, 3: 100_000 if quick else 4_000_000}
    rows, claims, curves = [], [], {}
    for n, count in counts.items():
        levels = np.array([t for t in LEVELS if count / t >= 200])
        chance, mean = tail(n, count, levels)
        rows += [(f"{n}x{n}", t, p, t * p, m)
                 for t, p, m in zip(levels, chance, mean)]  # fmt: skip
        slope = float(np.polyfit(np.log(levels), np.log(chance), 1)[0])
        curves[n] = levels, chance
        claims.append(
            Claim(
                f"{n}x{n}: the tail has exponent 1, not the n^2 = {n * n} of the paper",
                f"exponent {-slope:.3f}",
                abs(slope + 1) < 0.1,
            )
        )
        growth = np.diff(mean) / np.diff(np.log(levels))
        claims.append(
            Claim(
                f"{n}x{n}: the truncated mean grows with the logarithm of the level",
                "by " + ", ".join(f"{g:.2f}" for g in growth) + " for each power of e",
                bool(growth.min() > 0.5 * growth.max()),
            )
        )
    text = (
        "entries uniform in [-1, 1]; the chance that the Frobenius norm of the inverse "
        "exceeds t, and the mean of what is cut off at t. The chance times t tends to "
        "a constant, so that the mean of the norm's power p is infinite for every "
        "p >= 1: singular matrices are a set of codimension 1, and the norm is about "
        "1 / distance to it"
    )
    table = Table("Tails", text, "matrices,t,chance,t times chance,mean", rows)
    return Outcome([table], claims, [], {"tails-levels": drawn(curves)})


def tail(n, count, levels):
    """Chances of exceeding the levels, and means of what is cut off at them."""
    rng = np.random.default_rng(n)
    above, sums, done = np.zeros(len(levels)), np.zeros(len(levels)), 0
    while done < count:
        size = min(CHUNK, count - done)
        A = rng.uniform(-1, 1, (size, n, n))
        largest = np.linalg.norm(np.linalg.inv(A), axis=(1, 2))
        above += (largest[:, None] > levels).sum(axis=0)
        sums += np.minimum(largest[:, None], levels).sum(axis=0)
        done += size
    return above / count, sums / count


def drawn(curves):
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    ax = figure.subplots()
    for n, (levels, chance) in curves.items():
        ax.loglog(levels, chance, "o-", label=f"{n}x{n}")
    levels = np.array(LEVELS)
    ax.loglog(levels, 2 / levels, ":", color="gray", label="2 / t")
    ax.set(xlabel="t", ylabel="chance of a larger inverse")
    ax.legend(fontsize="small")
    return figure
