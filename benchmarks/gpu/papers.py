"""The problems of the two papers, beside the times that they print."""

import itertools
from typing import NamedTuple

import numpy as np

from convinv import ConvLinearOperator, gallery

from ..exact_grid.reference import ACCURACY, RTOLS
from ..papers.gmres import document, problems as blurs
from ..papers.strip import paper
from ..papers.strip.problems import Case
from ..support.devices import placed
from ..support.layers import DTYPES
from ..support.measure import Seconds
from ..support.outcome import ABSENT, Claim, Outcome, Table
from ..support.quality import worst_psnr
from ..support.quiet import quietly
from . import arrays
from .settings import FULL
from .timing import milliseconds, once, timed

LEVEL = 0.01  # of the noise, over the standard deviation of the images
EXACT = 1e-12  # of the reference, in double precision
ITEMS = 2  # of a batch that are compared with it
BARRED = (256, 200)  # the size and batch of the bars
LONG = 1.0  # seconds of a solve from which it is made but once
AUTO_BAR, SWEEP_BAR, CYCLE_BAR = 25e-3, 60e-3, 2.5e-3
STRIP_COLUMNS = (
    "images,method,rtol,dB,with set-up least s,with set-up median s,again least s,"
    "again median s,paper s"
)
GMRES_COLUMNS = "problem,dtype,restart,steps made,least ms,median ms,document ms"


def strip(session, part):
    """One sweep of STRIP, and the exact inverse, on the layers of the paper."""
    rows, claims = [], []
    for size, batch in session.settings.strip.items():
        case = Case(size, batch)
        if part.late(str(case)):
            continue
        with part.case(str(case)):
            layer(session, case, rows, claims)
    text = (
        f"float32, 3x3, 8 filters, batches as said, {100 * LEVEL:g} % noise; images "
        "are random squares. STRIP: one sweep; auto: the largest rtol that reaches "
        f"{ACCURACY:g} dB, peak over root mean square of the difference from the "
        "solution in double precision. With set-up: a new operator; again: the same "
        "one. Paper: one sweep, on its GPU"
    )
    return Outcome([Table("STRIP", text, STRIP_COLUMNS, rows)], claims, [], {})


def noisy(xp, op, case):
    """Data of random images with noise."""
    images = arrays.images(xp, case.batch, case.channels, case.size, "float32")
    b = op.forward(images)
    noise = arrays.noise(xp, b.shape, "float32")
    noise *= LEVEL * float(images.std())
    return b + noise


def layer(session, case, rows, claims):
    """Rows of a size, and the bars where it is theirs."""
    xp, host = session.xp, case.operator()
    op = placed(host, xp)
    b = noisy(xp, op, case)
    wide = placed(host.astype("float64"), xp)
    few = b[:ITEMS].astype("float64")
    exact = quietly(wide, few, "auto", rtol=EXACT).x.get()
    rtol, reached = tolerance(op, b, exact)
    sweep = quietly(op, b, "strip", maxiter=1)
    calls = {}
    for name, options in (("strip", {"maxiter": 1}), ("auto", {"rtol": rtol})):
        calls[name, "first"] = lambda name=name, options=options: quietly(
            placed(host, xp), b, name, **options
        )
        calls[name, "again"] = lambda name=name, options=options: quietly(
            op, b, name, **options
        )
    times = timed(session, calls)
    theirs = paper.printed(paper.SECONDS, case.size, "STRIP")
    title = f"{case}, batch {case.batch}"
    found = {"strip": worst_psnr(sweep.x[:ITEMS].get(), exact), "auto": reached}
    for name in found:
        shown = rtol if name == "auto" else ABSENT
        printed = theirs if name == "strip" and case.batch == BARRED[1] else ABSENT
        rows.append((title, name, shown, found[name], *times[name, "first"],
                     *times[name, "again"], printed or ABSENT))  # fmt: skip
    text = f"{title}: auto reaches {ACCURACY:g} dB"
    claims.append(Claim(text, f"{reached:.0f}", reached >= ACCURACY))
    if (case.size, case.batch) == BARRED:
        claims += [
            faster(f"{title}: auto, set-up excluded", times["auto", "again"], AUTO_BAR),
            faster(f"{title}: STRIP, with set-up", times["strip", "first"], SWEEP_BAR),
            faster(
                f"{title}: STRIP, set-up excluded", times["strip", "again"], SWEEP_BAR
            ),
        ]


def tolerance(op, b, exact):
    """The largest rtol that reaches the bar, or the last one, and its decibels."""
    for rtol in RTOLS:
        result = quietly(op, b, "auto", rtol=rtol)
        reached = worst_psnr(result.x[:ITEMS].get(), exact)
        if reached >= ACCURACY or not result.success:
            break
    return rtol, reached


def faster(text, times, bar):
    """A claim on the least and the median time."""
    shown = f"{1e3 * times.least:.3g} ms ({1e3 * times.median:.3g} by medians)"
    return Claim(f"{text}: below {1e3 * bar:g} ms", shown, max(times) < bar, soft=True)


def gmres(session, part):
    """One cycle for a Gaussian, and cycles on the normal equations for motion."""
    rows, claims = [], []
    for blur, dtype in itertools.product(tried(session.settings), DTYPES):
        title = f"{blur.name}, {blur.size}x{blur.size}, {blur.steps} steps"
        if part.late(f"{title}, {dtype}"):
            continue
        with part.case(f"{title}, {dtype}"):
            made, times = cycles(session, blur, dtype)
            printed = blur.printed if blur.theirs else ABSENT
            rows.append((title, dtype, blur.restart, made, *milliseconds(times),
                         printed))  # fmt: skip
            if blur.bar and blur.theirs and dtype == "float32":
                claims.append(faster(title, times, blur.bar))
    text = (
        f"{blurs.TAPS}x{blurs.TAPS} taps, one image of random squares, rtol 0; "
        "document: JAX on its GPU, in single precision"
    )
    return Outcome([Table("GMRES", text, GMRES_COLUMNS, rows)], claims, [], {})


class Blur(NamedTuple):
    """A solve of the document: whether it is `theirs`, and the ms that it prints."""

    name: str
    kernel: np.ndarray
    size: int
    restart: int
    cycles: int
    normal: bool
    theirs: bool
    printed: float
    bar: float | None = None

    @property
    def steps(self):
        return self.restart * self.cycles


def tried(settings):
    size, steps = settings.cycle
    yield Blur(
        "Gaussian",
        gallery.gaussian_kernel(blurs.TAPS, blurs.SOLVED),
        size,
        steps,
        1,
        False,
        settings.cycle == FULL.cycle,
        document.CYCLE_MS["JAX on a GPU"],
        CYCLE_BAR,
    )
    yield Blur(
        "motion, normal equations",
        gallery.motion_kernel(blurs.TAPS, blurs.PATH),
        *settings.cycles,
        True,
        settings.cycles == FULL.cycles,
        1e3 * document.MOTION_SECONDS,
    )


def cycles(session, blur, dtype):
    """Steps made, and times of a solve; of a long one from a single call."""
    solve = blurred(session, blur, dtype)
    seconds, result = once(session, solve)
    if seconds > LONG:
        return result.nit, Seconds(seconds, seconds)
    return result.nit, timed(session, {"gmres": solve})["gmres"]


def blurred(session, blur, dtype):
    """A function that solves a problem of the document; it has run once."""
    xp, host = session.xp, blurs.convolution(blur.kernel, blur.size)
    op = ConvLinearOperator(
        xp.asarray(host.kernel.astype(dtype)), host.input_shape, padding="same"
    )
    b = op.forward(arrays.images(xp, 1, 1, blur.size, dtype)[0])
    options = {"normal": blur.normal, "restart": blur.restart}
    quietly(op, b, "gmres", rtol=0, maxiter=blur.restart, **options)
    return lambda: quietly(op, b, "gmres", rtol=0, maxiter=blur.steps, **options)
