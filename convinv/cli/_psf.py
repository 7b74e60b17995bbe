"""Point spread functions as the command line names them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .. import _files, gallery
from ._errors import UsageError
from ._words import numbers

FORMS = "FILE, gaussian:SIGMA[,SIGMA..], disc:RADIUS or motion:LENGTH,ANGLE"
LARGEST = 1000
REACH = 4  # standard deviations of a Gaussian on each side


def named_psf(text: str) -> np.ndarray | None:
    """The point spread function of a form with a colon; None if it is a file.

    A Gaussian with one sigma has two axes, with several as many as sigmas. Raises
    UsageError for wrong numbers.
    """
    form, colon, rest = text.partition(":")
    makers: dict[str, Callable[..., np.ndarray]] = {
        "gaussian": _gaussian,
        "disc": _disc,
        "motion": _motion,
    }
    if not colon or form not in makers or Path(text).exists():
        return None
    try:
        found = numbers(rest)
        if max(found) > LARGEST:
            raise UsageError(f"--psf {text}: no number may exceed {LARGEST} pixels")
        return makers[form](*found)
    except UsageError:
        raise
    except TypeError:
        raise UsageError(f"--psf must be {FORMS}, got {text!r}") from None
    except Exception as error:
        raise UsageError(f"--psf {text}: {error}") from None


def _gaussian(*sigmas: float) -> np.ndarray:
    for sigma in sigmas:
        if not 0 < sigma < math.inf:
            raise ValueError("a sigma must be positive and finite")
    widths = sigmas if len(sigmas) > 1 else sigmas * 2
    size = tuple(2 * math.ceil(REACH * sigma) + 1 for sigma in widths)
    return gallery.gaussian_kernel(size, widths)


def _disc(radius: float) -> np.ndarray:
    return gallery.disc_kernel(radius)


def _motion(length: float, angle: float) -> np.ndarray:
    return gallery.line_kernel(length, angle)


def read_psf(path: str) -> np.ndarray:
    """The point spread function in a file, as floats; colors that agree are one."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"--psf must be {FORMS}; there is no file {path!r}")
    picture = _files.read(path)
    if picture.alpha is not None and (picture.alpha != picture.alpha.max()).any():
        raise ValueError(f"{path!r} has transparent pixels, a psf has none")
    if picture.samples.dtype.kind == "c":
        raise ValueError(f"the psf in {path!r} must be real, got complex numbers")
    samples = picture.samples.astype(float)
    if picture.channel_axis is not None:
        if not np.ptp(samples, axis=-1).any():
            return samples[..., 0]
    return samples
