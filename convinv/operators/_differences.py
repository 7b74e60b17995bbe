"""Differences between neighbors, as convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._core.typing import AnyArray, Shape
from .._core.validation import integer
from ._convolution import ConvLinearOperator


class _Fixed(ConvLinearOperator):
    """A convolution that is what it is by its kernel: with another one it is plain."""

    def with_kernel(self, kernel: AnyArray) -> ConvLinearOperator:
        """The plain convolution with another kernel, an array that is not copied."""
        return self._made(ConvLinearOperator, kernel)


class DifferenceOperator(_Fixed):
    """Forward differences ``x[i + 1] - x[i]`` along spatial axes.

    Parameters
    ----------
    input_shape : tuple of int
        ``(C, *spatial)`` with one, two or three spatial axes.
    axis : int, optional
        The spatial axis, from 0 on or from the end; by default all of them.
    boundary : str, optional
        What follows the last sample, as for `ConvLinearOperator`. With "symmetric", the
        default, and "replicate" the last difference is 0, with "periodic" it is
        ``x[0] - x[-1]``, with "zero" ``-x[-1]``.
    dtype : dtype, optional
        As for `ConvLinearOperator`.
    xp : module, optional
        The library that the operator takes arrays of, NumPy or CuPy.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or the shape has not that axis.

    Notes
    -----
    It is a `ConvLinearOperator`, whose `solve`, exact methods and spectra it has. The
    output has the shape ``(C * axes, *spatial)``: all differences of a channel follow
    each other, in the order of the axes, so that ``y.reshape(C, axes, *spatial)`` tells
    them apart. With "symmetric" differences of constants vanish and no others do.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.operators import DifferenceOperator
    >>> op = DifferenceOperator((1, 2, 3))
    >>> op.forward(np.array([[[1.0, 2.0, 4.0], [1.0, 5.0, 4.0]]]))
    array([[[ 0.,  3.,  0.],
            [ 0.,  0.,  0.]],
    <BLANKLINE>
           [[ 1.,  2.,  0.],
            [ 4., -1.,  0.]]])
    """

    def __init__(
        self,
        input_shape: Shape,
        *,
        axis: int | None = None,
        boundary: str = "symmetric",
        dtype: DTypeLike = np.float64,
        xp: Any = np,
    ):
        channels, ndim = _channels(input_shape)
        axes = range(ndim) if axis is None else [_axis(axis, ndim)]
        taps = [2 if a in axes else 1 for a in range(ndim)]
        kernel = np.zeros((len(axes), 1, *taps))
        for number, a in enumerate(axes):
            ahead = tuple(int(b == a) for b in range(ndim))
            kernel[(number, 0, *ahead)] = 1
            kernel[(number, 0, *(0,) * ndim)] = -1
        super().__init__(
            xp.asarray(np.tile(kernel, (channels, *(1,) * (ndim + 1)))),
            input_shape,
            padding=tuple((0, k - 1) for k in taps),
            groups=channels,
            boundary=boundary,
            dtype=dtype,
        )


class LaplacianOperator(_Fixed):
    """The sum of the second differences ``x[i - 1] - 2 x[i] + x[i + 1]`` of all axes.

    Parameters
    ----------
    input_shape : tuple of int
        ``(C, *spatial)`` with one, two or three spatial axes.
    boundary : str, optional
        What lies around the image, as for `ConvLinearOperator`; "symmetric" by default.
    dtype : dtype, optional
        As for `ConvLinearOperator`.
    xp : module, optional
        The library that the operator takes arrays of, NumPy or CuPy.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type.

    Notes
    -----
    It is a `ConvLinearOperator` on every channel alone. With the boundaries "symmetric"
    and "periodic" it is ``-D.H @ D`` of the `DifferenceOperator` D of the same
    boundary, and constants are what it does not see.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.operators import LaplacianOperator
    >>> op = LaplacianOperator((1, 5))
    >>> op.forward(np.array([[0.0, 1.0, 4.0, 9.0, 16.0]]))
    array([[ 1.,  2.,  2.,  2., -7.]])
    """

    def __init__(
        self,
        input_shape: Shape,
        *,
        boundary: str = "symmetric",
        dtype: DTypeLike = np.float64,
        xp: Any = np,
    ):
        channels, ndim = _channels(input_shape)
        kernel = np.zeros((3,) * ndim)
        kernel[(1,) * ndim] = -2 * ndim
        for axis in range(ndim):
            for place in (0, 2):
                kernel[tuple(place if b == axis else 1 for b in range(ndim))] = 1
        kernel = np.broadcast_to(kernel, (channels, 1, *kernel.shape))
        super().__init__(
            xp.asarray(np.ascontiguousarray(kernel)),
            input_shape,
            padding="same",
            groups=channels,
            boundary=boundary,
            dtype=dtype,
        )


def _channels(input_shape):
    """The channels and the number of spatial axes of a shape."""
    try:
        shape = tuple(input_shape)
    except TypeError:
        shape = ()
    if len(shape) not in (2, 3, 4):
        raise ValueError(
            "input_shape must be (C, *spatial) with one, two or three spatial axes, "
            f"got {input_shape!r}"
        )
    return integer(shape[0], "input_shape entries", 1), len(shape) - 1


def _axis(axis, ndim):
    """A spatial axis, counted from the first one."""
    found = integer(axis, "axis", -ndim)
    if found >= ndim:
        raise ValueError(f"axis must be less than the {ndim} spatial axes, got {axis}")
    return found % ndim
