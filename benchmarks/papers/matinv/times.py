"""Times of networks, linear approximations and exact inverses on a test set."""

import numpy as np
import torch

from convinv.interop.torch import inverse_network
from convinv.local_inverse import LocalInverse

from ...support.measure import clock
from ...support.outcome import Claim, Outcome, Table
from ...support.threads import one_torch_thread
from . import paper, problems

BATCHES = (1, 100, 10_000)
ROUNDS = 20
BUDGET = 5.0  # seconds for one number; the rest is extrapolated
OWN = ("1", "100", "10000")


@one_torch_thread()
def run(quick=False):
    count = 200 if quick else paper.TEST
    budget = 0.2 if quick else BUDGET
    rows, others, claims = [], [], []
    chosen = {2: 0, 3: 2, 16: 3}
    for n, place in chosen.items():
        data = problems.datasets()[place]
        A = data.sample(count, np.random.default_rng(n))
        exact = {
            "one by one": in_batches(np.linalg.inv, A, 1, budget),
            "at once": in_batches(np.linalg.inv, A, count, budget),
        }
        networks = {}
        for name, layers in paper.LAYERS.items():
            network = inverse_network(n, layers)
            x = torch.as_tensor(A.reshape(count, -1)).float()
            with torch.no_grad():
                own = [in_batches(network, x, size, budget) for size in BATCHES]
            networks[name] = own
            theirs = paper.SECONDS[n, name]
            rows.append((f"{n}x{n}", name, *theirs, *own, *exact.values()))
        near = LocalInverse(data.center)
        linear = in_batches(near.approximate, A, count, budget)
        proven = in_batches(near, A, count, budget)
        last = [own[-1] for own in networks.values()]
        others.append((f"{n}x{n}", exact["at once"], linear, proven, *last))
        fastest = min(own[0] for own in networks.values())
        claims.append(
            Claim(
                f"{n}x{n}: one by one, exact inverses are faster than networks",
                f"{exact['one by one']:.3g} s for {fastest:.3g} s",
                exact["one by one"] < fastest,
                soft=True,
            )
        )
    return outcome(count, rows, others, claims)


def outcome(count, rows, others, claims):
    theirs = ",".join(f"paper {name}" for name in paper.COLUMNS)
    own = ",".join(f"CPU {name}" for name in OWN)
    columns = f"matrices,network,{theirs},{own},inv one by one,inv at once"
    text = (
        f"seconds for {count} matrices, the paper's for 10000, by batch size; one "
        "thread, networks in single precision, inverses in double; the least of up to "
        "20 where they are fast, extrapolated from a part where they take seconds"
    )
    second = (
        f"seconds for {count} matrices at once: LAPACK through NumPy, the linear "
        "approximation without and with a proof, the networks without one"
    )
    tables = [
        Table("Networks and inverses", text, columns, rows),
        Table(
            "All at once",
            second,
            "matrices,inv,linear,linear with a bound,2-FC,3-FC",
            others,
        ),
    ]
    notes = ["no GPU here: the paper's GPU columns have no counterpart"]
    return Outcome(tables, claims, notes, {})


def in_batches(function, A, size, budget):
    """Seconds for all of A in batches of `size`, the least of some where it is fast."""
    size = min(size, len(A))
    function(A[:size])
    times = [once(function, A, size, budget)]
    while sum(times) < budget / 5 and len(times) < ROUNDS:
        times.append(once(function, A, size, budget))
    return min(times)


def once(function, A, size, budget):
    spent, done = 0.0, 0
    while done < len(A) and spent < budget:
        stop = min(done + max(size, 50 if size == 1 else size), len(A))
        seconds, _ = clock(
            lambda: [function(A[k : k + size]) for k in range(done, stop, size)]
        )
        spent, done = spent + seconds, stop
    return spent * len(A) / done
