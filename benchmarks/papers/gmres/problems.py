"""The document's test problems; photographs and the camera's path are the gallery's."""

import functools
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse

from convinv import ConvLinearOperator, gallery

PHOTOGRAPH = "camera"
TAPS = 11
BLURRED, SOLVED = 1.0, 1.05  # standard deviations: of the blur, and of the solver's
PATH = 0  # seed of the camera's path
SEED = 179


class Blur(NamedTuple):
    """A blurred photograph: the operator to solve with, the image and the data."""

    op: ConvLinearOperator
    kernel: np.ndarray
    x: np.ndarray
    b: np.ndarray


def convolution(kernel, size):
    """Convolution with a kernel, zeros around the image, of the image's size."""
    flipped = kernel[::-1, ::-1]  # the package correlates
    return ConvLinearOperator(
        flipped[None, None].copy(), (1, size, size), padding="same"
    )


@functools.cache
def gaussian(size):
    """A photograph behind one Gaussian, to be solved with a slightly wider one."""
    x = gallery.image(PHOTOGRAPH, size)
    kernel = gallery.gaussian_kernel(TAPS, SOLVED)
    b = convolution(gallery.gaussian_kernel(TAPS, BLURRED), size).forward(x)
    return Blur(convolution(kernel, size), kernel, x, b)


@functools.cache
def motion(size):
    """A photograph that a shaken camera has blurred; the kernel is known."""
    x = gallery.image(PHOTOGRAPH, size)
    kernel = gallery.motion_kernel(TAPS, PATH)
    op = convolution(kernel, size)
    return Blur(op, kernel, x, op.forward(x))


def dense(kernel, size):
    """The matrix of the convolution of images of `size` by `size`."""
    return convolution(kernel, size).tosparse().toarray()


def line_condition(taps, sigma, length):
    """Condition number of the one-dimensional Gaussian blur of a line."""
    line = np.exp(-0.5 * ((np.arange(taps) - (taps - 1) / 2) / sigma) ** 2)
    first = np.zeros(length)
    reach = min((taps + 1) // 2, length)
    first[:reach] = line[taps // 2 :][:reach]
    return np.linalg.cond(scipy.linalg.toeplitz(first))


def sparse(size):
    """``(A, b)``: the identity and as many numbers at random places, b in the range.

    The document's seed gives its very matrix where `size` is the document's.
    """
    rng = np.random.RandomState(SEED)
    places = rng.choice(size * size, size=size, replace=False)
    values = rng.normal(size=size)
    entries = (values, np.unravel_index(places, (size, size)))
    A = scipy.sparse.coo_array(entries, shape=(size, size)).tocsr()
    A = (A + scipy.sparse.eye_array(size)).tocsr()
    return A, A @ rng.normal(size=size)


def near_singular(size=20):
    """``(A, b)``: a random matrix whose first row is next to nothing, and noisy data.

    The document's seed gives its very matrix.
    """
    rng = np.random.RandomState(SEED)
    A = np.eye(size)
    A[0, 0] = 1e-20
    A = A @ rng.normal(size=(size, size))
    b = A @ rng.normal(size=size)
    return A, b + 1e-3 * rng.normal(size=size)
