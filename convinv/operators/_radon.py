"""The Radon transform on the unit disk, an operator whose singular system is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from .._core.arrays import working_dtype
from .._core.typing import AnyArray, ArrayInput
from .._core.validation import integer
from . import _radon_system
from ._base import ShapedOperator


class Radon(ShapedOperator):
    """Integrals of an image in the unit disk along parallel lines, never formed.

    The transform of f at angle ``a`` and offset ``s`` is the integral of f over the
    line ``x cos(a) + y sin(a) = s``. An image has ``size x size`` pixels that cover
    ``[-1, 1] x [-1, 1]``, the first row on top; pixels whose center is outside the unit
    disk count as 0. It is taken as constant on every pixel, and integrated exactly. The
    offsets are the centers of equal parts of [-1, 1].

    Parameters
    ----------
    size : int
        Pixels of an image in either direction.
    angles : int or array_like, shape (K,), optional
        How many angles, equally spaced from 0 up to pi, or the angles in radians.
    detectors : int, optional
        Number of offsets. By default `size`.
    dtype : dtype, optional
        float64, the default, or float32.

    Attributes
    ----------
    input_shape, output_shape : tuple of int
        ``(size, size)`` and ``(K, detectors)``.
    angles : ndarray, shape (K,)
        In radians.
    offsets : ndarray, shape (detectors,)
    mask : ndarray of bool, shape (size, size)
        The pixels in the disk.
    image_weights : ndarray, shape (size, size)
        Area of a pixel: ``(image_weights * f * g).sum()`` is the inner product of two
        images in L2 of the disk.
    data_weights : ndarray, shape (K, detectors)
        The same for data, in L2 of [0, 2 pi) x [-1, 1] with the weight ``1 / sqrt(1 -
        s**2)``. Data at ``a + pi`` and ``-s`` are those at a and s, so that an angle
        stands for the opposite one as well, and for all directions up to the middle
        between it and its neighbors.

    Raises
    ------
    TypeError, ValueError
        If an argument is no number of the kind asked for or out of range.

    Notes
    -----
    ``adjoint`` is the transpose of the matrix, exact to rounding; both products gather,
    one output at a time, and run on several threads. They cost about ``4 K size
    detectors`` and ``4 K size**2`` multiplications and store nothing but a copy of
    what they take. A line within 3 degrees of an axis counts as a ribbon of a twentieth
    of a pixel, as one along an edge would else belong to one pixel or the other by
    chance. Such lines see the steps between pixels, which is an error of some percent
    at angles next to an axis. The offsets between two detectors are not seen:
    `detectors` should not be much less than `size`.

    In the weighted inner products the transform has the singular values ``2 sqrt(pi /
    (m + 1))`` for m = 0, 1, ..., each m + 1 times [1]_. Those of `weighted` come near
    to them: at 128 pixels, 180 angles the first 45 are within 0.3 %.

    References
    ----------
    .. [1] F. Natterer, "The Mathematics of Computerized Tomography", SIAM, 2001,
       section IV.3.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.operators import Radon
    >>> op = Radon(64, angles=90)
    >>> disk = op.mask.astype(float)
    >>> data = op.forward(disk)
    >>> data.shape
    (90, 64)
    >>> bool(abs(data[:, 31] - 2).max() < 0.05)  # the length of a diameter
    True
    >>> system = op.singular_system([(3, 1), (4, -2)])
    >>> found = op.forward(system.images) / system.values[:, None, None]
    >>> error = (op.data_weights * (found - system.data) ** 2).sum(axis=(1, 2))
    >>> bool(error.max() < 0.1**2)
    True
    """

    def __init__(
        self,
        size: int,
        *,
        angles: ArrayInput = 180,
        detectors: int | None = None,
        dtype: DTypeLike = np.float64,
    ):
        self.size = integer(size, "size", 1)
        count = size if detectors is None else detectors
        self.detectors = integer(count, "detectors", 1)
        dtype = working_dtype(dtype, "dtype")
        if dtype.kind != "f":
            raise TypeError(f"dtype must be float32 or float64, got {dtype}")
        self.angles, spans = _angles(angles)
        self.offsets = _centers(self.detectors)
        x = _centers(self.size)
        self.mask = x[:, None] ** 2 + x**2 <= 1
        count = np.count_nonzero(self.mask, axis=1)
        first = (self.size - count) // 2
        self._rows = first, first + count
        self._directions = np.cos(self.angles), np.sin(self.angles)
        self.image_weights = np.full(self.mask.shape, (2 / self.size) ** 2)
        density = 2 / self.detectors / np.sqrt(1 - self.offsets**2)
        self.data_weights = 2 * spans[:, None] * density
        shape = self.angles.size, self.detectors
        super().__init__(dtype, self.mask.shape, shape)

    def singular_values(self, count: int) -> np.ndarray:
        """The first `count` singular values of the transform, shape (count,).

        Each as often as its multiplicity.
        """
        return _radon_system.value(self.orders(count)[:, 0])

    def orders(self, count: int) -> np.ndarray:
        """Degrees m and angular orders l of the first `count` singular functions.

        An array of shape (count, 2); l is -m, -m + 2, ..., m, where a negative one
        stands for a sine, the others for cosines.
        """
        return _radon_system.orders(integer(count, "count", 0))

    def singular_system(self, orders: int | AnyArray) -> _radon_system.SingularSystem:
        """Singular values and functions, sampled at the pixels and at the data.

        Parameters
        ----------
        orders : int or array_like of int, shape (count, 2)
            The pairs (m, l), or the number of the first ones.

        Returns
        -------
        SingularSystem
            A tuple ``(orders, values, images, data)``. Images and data are orthonormal
            in the weighted inner products but for the errors of sampling.

        Raises
        ------
        ValueError
            If a pair has ``abs(l) > m`` or an odd sum.
        """
        pairs = _pairs(orders) if np.ndim(orders) else self.orders(orders)
        x = _centers(self.size)
        rho = np.hypot(x[:, None], x)
        phi = np.arctan2(-x[:, None], x)
        images = np.zeros((len(pairs), *self.input_shape))
        data = np.zeros((len(pairs), *self.output_shape))
        for u, v, (m, order) in zip(images, data, pairs):
            u[self.mask] = _radon_system.image(m, order, rho[self.mask], phi[self.mask])
            v[:] = _radon_system.data(m, order, self.angles[:, None], self.offsets)
        return _radon_system.SingularSystem(
            pairs, _radon_system.value(pairs[:, 0]), images, data
        )

    def weighted(self) -> ShapedOperator:
        """The operator whose plain inner products are the weighted ones of this one.

        It takes images times ``sqrt(image_weights)`` to data times
        ``sqrt(data_weights)``, so that its singular values approximate those of the
        transform and its ``adjoint`` the transform's adjoint.
        """
        return WeightedOperator(self, self.image_weights, self.data_weights)

    def _apply(self, X):
        return self._real(X, self._project, self.output_shape)

    def _apply_adjoint(self, Y):
        return self._real(Y, self._spread, self.input_shape)

    def _real(self, array, apply, shape):
        """The product of a real or complex batch by that of a real one."""
        own = working_dtype(array.dtype, "what the operator is applied to")
        dtype = np.result_type(self.dtype, own)
        result = np.empty((array.shape[0], *shape), dtype)
        if dtype.kind != "c":
            apply(array.astype(dtype, copy=False), result)
            return result
        part = np.empty(result.shape, result.real.dtype)
        for of, to in ((array.real, result.real), (array.imag, result.imag)):
            apply(of.astype(part.dtype, copy=False), part)
            to[:] = part
        return result

    def _project(self, x, y):
        from ..kernels import radon as kernel

        held = np.zeros((2, *x.shape[:2], self.size + 2 * kernel.PAD), x.dtype)
        for to, image, mask in zip(
            held, (x, x.swapaxes(1, 2)), (self.mask, self.mask.T)
        ):
            inside = to[:, :, kernel.PAD : -kernel.PAD]
            np.copyto(inside, image, where=mask)
        kernel.project(held[0], held[1], *self._directions, y)

    def _spread(self, y, x):
        from ..kernels import radon as kernel

        side = kernel.margin(self.size, self.detectors)
        held = np.zeros((*y.shape[:2], self.detectors + 2 * side), y.dtype)
        held[:, :, side:-side] = y
        kernel.spread(held, *self._directions, *self._rows, self.detectors, x)


class WeightedOperator(ShapedOperator):
    """An operator between spaces with weights, in terms of plain inner products."""

    def __init__(self, op, input_weights, output_weights):
        self.op, self.xp = op, op.xp
        self.input_roots = np.sqrt(input_weights).astype(op.dtype)
        self.output_roots = np.sqrt(output_weights).astype(op.dtype)
        super().__init__(op.dtype, op.input_shape, op.output_shape)

    def _apply(self, X):
        return self.op.apply(X / self.input_roots) * self.output_roots

    def _apply_adjoint(self, Y):
        return self.op.apply_adjoint(Y * self.output_roots) / self.input_roots


def _centers(count):
    return (np.arange(count) + 0.5) * 2 / count - 1


def _angles(angles):
    """The angles, and the part of [0, pi) that each stands for."""
    if np.ndim(angles) == 0:
        count = integer(angles, "angles", 1)
        return np.arange(count) * np.pi / count, np.full(count, np.pi / count)
    angles = np.array(angles, np.float64)
    if angles.ndim != 1 or not angles.size or not np.isfinite(angles).all():
        raise ValueError(
            "angles must be a positive integer or a sequence of finite numbers, got an "
            f"array of shape {angles.shape}"
        )
    order = np.argsort(angles % np.pi)
    turned = (angles % np.pi)[order]
    gaps = np.diff(turned, append=turned[0] + np.pi)
    spans = np.empty_like(angles)
    spans[order] = (gaps + np.roll(gaps, 1)) / 2
    return angles, spans


def _pairs(orders):
    pairs = np.asarray(orders)
    if pairs.dtype.kind not in "iu" or pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(
            "orders must be a number or an integer array of shape (count, 2), got "
            f"shape {pairs.shape} and dtype {pairs.dtype}"
        )
    m, order = pairs[:, 0], np.abs(pairs[:, 1])
    if (order > m).any() or ((m + order) % 2).any():
        raise ValueError(
            "orders must have abs(l) <= m and m + l even in every pair (m, l), got "
            f"{pairs[(order > m) | ((m + order) % 2 == 1)][0].tolist()}"
        )
    return pairs.astype(np.int64)
