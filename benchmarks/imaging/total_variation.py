"""Total variation beside a textbook splitting with cosine transforms.

The textbook form splits the gradient of x, and solves for x by `scipy.fft.dctn`, which
diagonalizes an even kernel at the boundary "symmetric".
"""

import numpy as np
from scipy import fft, ndimage

from convinv import ConvLinearOperator
from convinv.proximal import TotalVariation, minimize

from ..support.measure import interleaved
from .cases import cut, point_spread

WEIGHT, NOISE = 1e-3, 0.01
# Of the textbook form: the best of powers of two, and where it is within CLOSE of the
# minimum, by hundreds.
ITERATIONS, RHO = 100, 0.02
CLOSE = 1e-4  # of the objective
RTOL = 1e-4
OTHERS = ("zero", "periodic", "reflect", "replicate")


def measure(side, seconds):
    """The rows of the table: the boundary "symmetric", then the other four."""
    b, psf = picture(side)
    calls = {"textbook": lambda: textbook(b, psf)}
    for boundary in ("symmetric", *OTHERS):
        calls[boundary] = lambda boundary=boundary: ours(b, psf, boundary)
    times = interleaved(calls, seconds, rounds=3)
    x, op = ours(b, psf, "symmetric")
    objectives = [objective(op, b, x), objective(op, b, textbook(b, psf))]
    above = objectives[0] / objectives[1] - 1
    theirs = times["textbook"].least
    for boundary in ("symmetric", *OTHERS):
        taken = times[boundary].least
        met, note = taken <= theirs, "over the textbook form's"
        if boundary == "symmetric":
            met = met and above <= CLOSE
            note += f"; objective {above:+.1e} of it"
        yield {
            "what": f"total variation, {boundary}, {side}x{side}",
            "ours": taken,
            "theirs": theirs,
            "ratio": taken / theirs,
            "bar": 1.0,
            "met": bool(met),
            "note": note,
        }


def picture(side):
    psf = point_spread("Gaussian")
    b = ndimage.convolve(cut("camera", (side, side)), psf)
    return b + NOISE * np.random.default_rng(0).standard_normal(b.shape), psf


def ours(b, psf, boundary):
    """The solution, and a new operator."""
    shape = (1, *b.shape)
    op = ConvLinearOperator(
        psf[None, None], shape, padding="same", boundary=boundary, flip=True
    )
    prior = TotalVariation(WEIGHT)
    return minimize(op, b[None], prior, rtol=RTOL, on_failure="ignore").x[0], op


def objective(op, b, x):
    rest = op.forward(x[None])[0] - b
    return float(np.sum(rest**2)) / 2 + TotalVariation(WEIGHT).value(x[None])


def textbook(b, psf):
    """Alternating directions with one copy, of the gradient of x."""
    impulse = np.zeros(b.shape)
    impulse[0, 0] = 1
    bins = fft.dctn(ndimage.convolve(impulse, psf)) / fft.dctn(impulse)
    squares = [2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in b.shape]
    below = bins**2 + RHO * np.add.outer(*squares)
    right = bins * fft.dctn(b)
    z, u = np.zeros((2, 2, *b.shape))
    for _ in range(ITERATIONS):
        x = fft.idctn((right + RHO * fft.dctn(_divergence(z - u))) / below)
        slope = _gradient(x)
        z = slope + u
        length = np.sqrt((z**2).sum(axis=0))
        z = z * np.maximum(1 - WEIGHT / RHO / np.maximum(length, 1e-30), 0)
        u = u + slope - z
    return x


def _gradient(x):
    return np.stack(
        [np.diff(x, axis=a, append=np.take(x, [-1], axis=a)) for a in (0, 1)]
    )


def _divergence(z):
    """The adjoint of the gradient."""
    total = np.zeros(z.shape[1:])
    for axis, part in enumerate(z):
        inner = np.moveaxis(part, axis, 0)[:-1]
        out = np.moveaxis(total, axis, 0)
        out[:-1] -= inner
        out[1:] += inner
    return total
