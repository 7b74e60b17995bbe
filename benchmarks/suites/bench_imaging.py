"""Pictures: deconvolution, the rules for its strength, counts, total variation."""

import numpy as np

from benchmarks.support.measure import interleaved
from benchmarks.support.versions import optional
from convinv import ConvLinearOperator, solve

gallery, imaging = map(optional, ("convinv.gallery", "convinv.imaging"))
TotalVariation, minimize = optional("convinv.proximal", "TotalVariation", "minimize")

PSFS = {
    "Gaussian": lambda: gallery.gaussian_kernel(13, 1.5),
    "disc": lambda: gallery.disc_kernel(5),
    "motion": lambda: gallery.line_kernel(15, angle=30),
}
NOISE = 0.01


def blurred(psf, size=256):
    """A picture with noise whose scene goes on beyond it."""
    clean = imaging.blur(gallery.image("camera", size)[0], psf)
    return clean + NOISE * np.random.default_rng(0).standard_normal(clean.shape)


class Deconvolve:
    params = tuple(PSFS)
    param_names = ("psf",)

    def setup(self, name):
        self.psf = PSFS[name]()
        self.picture = blurred(self.psf)
        imaging.deconvolve(self.picture, self.psf)

    def time_deconvolve(self, name):
        imaging.deconvolve(self.picture, self.psf)

    def track_iterations(self, name):
        return imaging.deconvolve(self.picture, self.psf, return_result=True).nit

    def track_ratio_unsupervised_wiener(self, name):
        from skimage.restoration import unsupervised_wiener

        calls = {
            "deconvolve": lambda: imaging.deconvolve(self.picture, self.psf),
            "wiener": lambda: unsupervised_wiener(self.picture, self.psf),
        }
        times = interleaved(calls, seconds=0.5)
        return times["deconvolve"].over(times["wiener"])[0]

    track_ratio_unsupervised_wiener.unit = "times scikit-image's time"


class Rules:
    """The choice of the weight of a penalty beside a solve with a given one."""

    params = ("gcv", "ncp", "lcurve", "discrepancy")
    param_names = ("rule",)

    def setup(self, rule):
        psf = PSFS["disc"]()
        self.op = ConvLinearOperator(psf[None, None], (1, 266, 266))
        self.b = self.op.forward(gallery.image("camera", 266))
        self.b += NOISE * np.random.default_rng(0).standard_normal(self.b.shape)
        self.options = {"regularizer": "gradient"}
        self.level = NOISE if rule == "discrepancy" else None
        self.time_rule(rule)

    def time_rule(self, rule):
        solve(self.op, self.b, damp=rule, noise_level=self.level, **self.options)


class Counts:
    def setup(self):
        psf = PSFS["Gaussian"]()
        self.op = ConvLinearOperator(
            psf[None, None], (1, 256, 256), padding="same", boundary="symmetric"
        )
        clean = 200 * self.op.forward(gallery.image("camera", 256))
        self.b = np.random.default_rng(0).poisson(clean).astype(float)
        self.time_richardson_lucy()

    def time_richardson_lucy(self):
        solve(self.op, self.b, "richardson-lucy", maxiter=20, on_failure="ignore")


class Variation:
    params = ("symmetric", "replicate", "zero")
    param_names = ("boundary",)

    def setup(self, boundary):
        psf = PSFS["Gaussian"]()
        self.op = ConvLinearOperator(
            psf[None, None], (1, 128, 128), padding="same", boundary=boundary
        )
        self.b = self.op.forward(gallery.image("camera", 128))
        self.b += NOISE * np.random.default_rng(0).standard_normal(self.b.shape)
        self.time_total_variation(boundary)

    def time_total_variation(self, boundary):
        minimize(self.op, self.b, TotalVariation(1e-3))
