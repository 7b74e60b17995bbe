"""Priors made of others: on the entries in another order, and a sum of two."""

import numpy as np

from convinv.proximal import NuclearNorm, Proximal, TensorNuclearNorm


class Arranged(Proximal):
    """A prior on the entries in another order: ``to`` is inverted by ``back``."""

    def __init__(self, prior, to, back):
        self.prior, self.to, self.back = prior, to, back

    def value(self, x):
        return self.prior.value(self.to(x))

    def prox(self, x, step):
        return self.back(self.prior.prox(self.to(x), step), x.shape)


def unfolded(weight=1.0):
    """The nuclear norm of color images (..., H, W, 3), the channels side by side."""

    def to(x):
        sides = x.swapaxes(-1, -2)
        return sides.reshape((*sides.shape[:-2], -1))

    def back(y, shape):
        sides = y.reshape((*shape[:-2], shape[-1], shape[-2]))
        return sides.swapaxes(-1, -2)

    return Arranged(NuclearNorm(weight), to, back)


def casorati(weight=1.0):
    """The nuclear norm of a series (T, H, W) as a matrix with a row per frame."""
    return Arranged(
        NuclearNorm(weight), lambda x: x.reshape(len(x), -1), np.ndarray.reshape
    )


def temporal(weight=1.0):
    """The tensor nuclear norm of a series (T, H, W), transformed along time."""

    def back(y, shape):
        return np.ascontiguousarray(np.moveaxis(y, -1, 0))

    return Arranged(TensorNuclearNorm(weight), lambda x: np.moveaxis(x, 0, -1), back)


class Both(Proximal):
    """The sum of two priors, by alternating between their proximal operators.

    The dual of the proximal operator of ``f + g`` is a sum of a smooth function and one
    function of p and q each; it is minimized over p and q in turn (Dykstra's method for
    proximal operators), beginning where the last call ended.
    """

    def __init__(self, first, second, rtol=1e-4, sweeps=4):
        self.first, self.second = first, second
        self.rtol, self.sweeps = rtol, sweeps

    def value(self, x):
        return self.first.value(x) + self.second.value(x)

    def prox(self, x, step):
        return self.start()(x, step)

    def start(self):
        first, second = self.first.start(), self.second.start()
        kept = {}

        def prox(x, step):
            q = kept.get("q")
            q = x * 0 if q is None else q * (step / kept["step"])
            z = x
            for _ in range(self.sweeps):
                p = (x - q) - first(x - q, step)
                new = second(x - p, step)
                q = x - p - new
                moved, z = np.linalg.norm(new - z), new
                if moved <= self.rtol * np.linalg.norm(x):
                    break
            kept.update(q=q, step=step)
            return z

        return prox
