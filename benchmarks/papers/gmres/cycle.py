"""The time of one cycle: ours, SciPy's and JAX's."""

import numpy as np

from ...support.layers import DTYPES
from ...support.measure import interleaved
from ...support.outcome import ABSENT, Claim, Outcome, Table
from ...support.tables import milliseconds, pair
from . import document, peers, problems

STEPS = 50
BARS = {"SciPy, convolve2d": 5.0, "SciPy, our operator": 1.5}
AGREE = {"float32": 0.5, "float64": 1e-3}  # relative, of norms of residuals


def run(quick=False):
    if quick:
        return outcome(48, 20, seconds=0.1, rounds=2)
    return outcome(document.GAUSSIAN_SIZE, STEPS)


def outcome(size, steps, seconds=2.0, rounds=5):
    rows, claims, notes = [], [], []
    for dtype in DTYPES:
        calls, note = cycles(size, steps, dtype)
        notes += [note] if note and note not in notes else []
        found = {name: residual(size, x()) for name, x in calls.items()}
        times = interleaved(calls, seconds=seconds, rounds=rounds)
        own = times["convinv"]
        for name, taken in times.items():
            ratio = taken.over(own)
            bar = BARS.get(name)
            rows.append(
                (name, dtype, milliseconds(taken),
                 pair(ratio), f"{bar:g}" if bar else ABSENT,
                 found[name] ** 2)
            )  # fmt: skip
            if bar:
                claims.append(
                    Claim(
                        f"{bar:g} times faster than {name}, {dtype}",
                        f"{ratio[0]:.2f} ({ratio[1]:.2f} by medians)",
                        min(ratio) >= bar,
                        soft=True,
                    )
                )
        claims.append(same_residuals(found, dtype))
    theirs = ", ".join(f"{k} {v:g} ms" for k, v in document.CYCLE_MS.items())
    text = (
        f"{steps} steps from x = 0, {size}x{size}, {problems.TAPS}x{problems.TAPS} "
        "taps; times and ratios to ours are the shortest and the median; textbook: "
        "modified Gram-Schmidt in NumPy, with convolve2d, as in the document, which "
        f"gives for {STEPS} steps at {document.GAUSSIAN_SIZE}x{document.GAUSSIAN_SIZE} "
        f"{theirs}, and JAX on a CPU {document.CYCLE_JAX_CPU} times faster than NumPy"
    )
    columns = "cycle,dtype,ms,times ours,bar,residual^2"
    return Outcome([Table("One cycle", text, columns, rows)], claims, notes, {})


def cycles(size, steps, dtype):
    """Functions that run a cycle, by their names, and a remark or None."""
    blur = problems.gaussian(size)
    op = blur.op.astype(dtype)
    b = blur.b.astype(dtype)
    flat = b.ravel()
    taps = peers.convolve2d_operator(blur.kernel, size, np.dtype(dtype))
    zero = np.zeros_like(flat)
    calls = {
        "convinv": lambda: peers.convinv_cycle(op, b, steps),
        "SciPy, convolve2d": lambda: peers.scipy_cycle(taps, flat, steps),
        "SciPy, our operator": lambda: peers.scipy_cycle(op, flat, steps),
        "textbook": lambda: peers.textbook_cycle(taps.matvec, flat, zero, steps),
    }
    try:
        compiled = peers.jax_cycles(blur.kernel, size, flat, steps)
    except ImportError as error:
        return calls, f"JAX was not measured: {error}"
    return calls | {f"JAX, {name}": call for name, call in compiled.items()}, None


def residual(size, x):
    """``||A x - b||`` in double precision."""
    blur = problems.gaussian(size)
    return peers.squared_residual(blur.op, x.astype(float), blur.b) ** 0.5


def same_residuals(found, dtype):
    """All have done the same work: rounding decides on the rest."""
    spread = max(found.values()) / min(found.values()) - 1
    return Claim(
        f"all reach the same residual, {dtype}",
        f"norms differ by {100 * spread:.2g} %",
        spread <= AGREE[dtype],
    )
