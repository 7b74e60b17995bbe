"""The speed of one sweep with its set-up: ours, and Algorithm 1 in PyTorch."""

import dataclasses
import time

import numpy as np

from convinv.solvers import METHODS
from convinv.strips import strip_plan

from ...support import measure
from ...support.outcome import ABSENT, Claim, Outcome, Table
from ...support.quality import relative_error
from ...support.quiet import quietly
from ...support.tables import pair
from ...support.threads import one_torch_thread
from . import data, paper, problems

BATCH = 200
LEVEL = 0.01  # of the noise
BAR = 2.0
ROUNDS = {28: (2.0, 5), 64: (2.0, 3), 256: (0.0, 2)}  # least seconds, least rounds
LISTINGS = ("all threads", "one thread")  # of PyTorch; the faster one counts
AGREE = 2e-5  # relative, of two computations in single precision


def run(quick, folders):
    if quick:
        return outcome((28, 64), folders, rounds={28: (0.5, 3), 64: (0.0, 2)})
    return outcome(tuple(ROUNDS), folders)


def outcome(sizes, folders, batch=BATCH, rounds=ROUNDS):
    rows, claims = [], []
    for size in sizes:
        case = problems.Case(size, batch)
        calls = sweeps(case, folders)
        differ = difference(calls)
        times, method = timed(calls, *rounds[size])
        own = times["convinv"]
        listing = min((times[name] for name in LISTINGS), key=lambda t: t.least)
        ratio = listing.over(own)
        theirs = paper.printed(paper.SECONDS, size, "STRIP") if batch == BATCH else None
        rows.append(
            (str(case), shape(case), both(own), f"{min(method):.3g}", both(listing),
             pair(ratio), theirs or ABSENT, differ)
        )  # fmt: skip
        claims += [
            Claim(
                f"{BAR:g} times faster than the listing, {case}",
                f"{ratio[0]:.2f} ({ratio[1]:.2f} by medians)",
                min(ratio) >= BAR,
                soft=True,
            ),
            Claim(
                f"the same result as the listing, {case}",
                f"relative difference {differ:.1e}",
                differ <= AGREE,
            ),
        ]
    columns = "images,a strip's matrix,s,in the method s,listing s,ratio,paper s,differ"
    text = (
        f"batches of {batch} in float32, {100 * LEVEL:g} % noise; the shortest and the "
        "median time of one sweep with its set-up. convinv: a new operator and "
        '`solve(op, b, "strip", maxiter=1)`, of which the method takes what stands in '
        "the next column; the rest checks the input and the answer. Listing: the "
        "paper's Algorithm 1 in PyTorch, on the same strips, with as many threads as "
        "make it faster. Paper: on a GPU"
    )
    return Outcome([Table("One sweep", text, columns, rows)], claims, notes(), {})


def notes():
    import torch

    return [
        f"PyTorch {torch.__version__} with {torch.get_num_threads()} threads or one, a "
        "pseudoinverse by QR, all in float32; convinv makes it in double precision, "
        "and computes the residuals of the answer",
    ]


def sweeps(case, folders):
    """Functions that invert the same batch, by their names."""
    import torch

    from . import transcription

    rng = np.random.default_rng(0)
    images = data.source(case.size, folders).batch(case.batch, rng)
    op = case.operator()
    b = noisy(op, images, rng)
    kernel, right = torch.from_numpy(np.array(op.kernel)), torch.from_numpy(b)
    h_b = strip_plan(op).h_b

    def listing():
        return transcription.invert(kernel, right, op.input_shape[1:], h_b).numpy()

    def serial():
        with one_torch_thread():
            return listing()

    def own():
        return quietly(case.operator(), b, "strip", maxiter=1)

    return {"convinv": own} | dict(zip(LISTINGS, (listing, serial)))


def noisy(op, images, rng):
    """Data with noise, which is drawn in float32 as it is large."""
    b = np.array(op.forward(images))
    for item, image in zip(b, images):
        noise = rng.standard_normal(item.shape, dtype=np.float32)
        item += np.float32(LEVEL * image.std()) * noise
    return b


def difference(calls):
    """Of both results, relative."""
    return relative_error(calls["convinv"]().x, calls[LISTINGS[0]]())


def timed(calls, seconds, rounds):
    """Times of both, and those within the method."""
    method = []

    def own():
        method.append(within(calls["convinv"]))

    return measure.interleaved(calls | {"convinv": own}, seconds, rounds), method


def within(call):
    """Seconds that a call spends in the function of method "strip"."""
    spent, entry = [], METHODS["strip"]

    def function(*args, **kwargs):
        start = time.perf_counter()
        found = entry.function(*args, **kwargs)
        spent.append(time.perf_counter() - start)
        return found

    METHODS["strip"] = dataclasses.replace(entry, function=function)
    try:
        call()
    finally:
        METHODS["strip"] = entry
    return sum(spent)


def both(times):
    return f"{times.least:.3g} / {times.median:.3g}"


def shape(case):
    return " x ".join(map(str, strip_plan(case.operator()).shape))
