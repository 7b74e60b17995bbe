"""The second part of ``convinv demo``: a photograph is blurred and deblurred."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import gallery
from .._core.arrays import to_numpy
from ..imaging import blur, deconvolve
from .compare import library, times
from .picture import draw_deblurred
from .quality import psnr, ssim

BALANCES = np.geomspace(1e-4, 10, 16)
ITERATIONS = (3, 5, 8, 12, 20, 30, 50)
HEADER = (
    "picture                 seconds     PSNR     SSIM  setting\n" + " " * 36 + "[dB]"
)


@dataclass
class Row:
    """A picture and how it was made; `setting` is "" where there is none to choose."""

    name: str
    seconds: float
    picture: np.ndarray
    psnr: float
    ssim: float
    setting: str

    def __str__(self):
        return (
            f"{self.name:<21}{self.seconds:>10.3f}{self.psnr:>9.2f}{self.ssim:>9.4f}  "
            f"{self.setting}"
        ).rstrip()

    @property
    def facts(self):
        """For ``--json``."""
        return {
            "name": self.name,
            "seconds": self.seconds,
            "psnr": self.psnr,
            "ssim": self.ssim,
            "setting": self.setting,
        }


def run(args, psf, path, output):
    """Run the comparison for the command line's arguments; the picture goes to `path`.

    `output` takes lines for people (``line``, ``fact``) and ``facts`` for JSON.
    """
    xp = library(args.device)
    x, b = _problem(args, psf)
    say = output.fact
    say("photograph", f"{args.image}, {times(x.shape)}, between 0 and 1")
    say("psf", f"{args.psf}, {times(psf.shape)}; what is beyond the frame is unknown")
    say("noise", f"{100 * args.noise:.4g} % of the photograph's standard deviation")
    output.line(f"\n{HEADER}")
    rows = [Row("blurred", 0.0, b, psnr(x, b), ssim(x, b), "")]
    output.line(str(rows[0]))
    for name, work in _methods(x, xp.asarray(b), b, psf):
        picture, seconds, setting = work()
        quality = psnr(x, picture), ssim(x, picture)
        rows.append(Row(name, seconds, picture, *quality, setting))
        output.line(str(rows[-1]))
    output.line(
        "\nscikit-image's settings are those that are best for this photograph."
    )
    draw_deblurred(path, Path(args.image).stem, x, rows)
    output.line(f"\npicture: {path}")
    output.facts["blur"] = {
        "photograph": args.image,
        "psf": args.psf,
        "noise": args.noise,
        "pictures": [row.facts for row in rows],
        "picture": str(path),
    }


def _problem(args, psf):
    """The photograph in the frame, and its blurred and noisy picture."""
    beyond = [k - 1 for k in psf.shape]
    size = args.size + max(beyond) if args.size else None
    scene = gallery.image(args.image, size, dtype=args.dtype)
    if psf.ndim != 2 or any(n < 2 * k for n, k in zip(scene.shape[1:], psf.shape)):
        raise ValueError(
            "the blur needs a psf with two axes, at most half as large as the image "
            f"of {times(scene.shape[1:])} pixels, got {times(psf.shape)}"
        )
    b = blur(scene, psf, channel_axis=0, boundary="unknown")
    frame = [slice(k // 2, k // 2 + n) for k, n in zip(beyond, b.shape[1:])]
    x = scene[(slice(None), *frame)]
    rng = np.random.default_rng(args.seed)
    return x, gallery.add_noise(b, args.noise, rng, reference=x)


def _methods(x, device, b, psf):
    """Names of methods, and functions that return (picture, seconds, setting)."""
    from skimage import restoration

    def ours():
        def solve():
            return deconvolve(device, psf, channel_axis=0, return_result=True)

        solve()  # which compiles
        result, seconds = _timed(solve)
        strength = result.extra["strength"]
        return to_numpy(result.x), seconds, f"strength {strength:.3g}, automatic"

    def best(method, settings, word):
        """The run whose picture is nearest to the photograph."""
        runs = [(*_timed(lambda: method(setting)), setting) for setting in settings]
        picture, seconds, setting = max(runs, key=lambda run: psnr(x, run[0]))
        return picture, seconds, f"{word} {setting:.3g}"

    def wiener(balance):
        return _by_channel(restoration.wiener, b, psf, balance, clip=False)

    def unsupervised():
        def estimate(channel, psf):
            return restoration.unsupervised_wiener(channel, psf, clip=False, rng=0)[0]

        return *_timed(lambda: _by_channel(estimate, b, psf)), "automatic"

    def lucy(count):
        return _by_channel(restoration.richardson_lucy, b, psf, count, clip=False)

    return [
        ("deconvolve", ours),
        ("wiener", lambda: best(wiener, BALANCES, "balance")),
        ("unsupervised_wiener", unsupervised),
        ("richardson_lucy", lambda: best(lucy, ITERATIONS, "iterations")),
    ]


def _by_channel(method, b, psf, *args, **options):
    """scikit-image's deconvolutions take one channel."""
    kernel = psf.astype(b.dtype)
    return np.stack([method(channel, kernel, *args, **options) for channel in b])


def _timed(work):
    start = time.perf_counter()
    made = work()
    return made, time.perf_counter() - start
