"""Operators that keep some entries: of an image, or of its Fourier transform."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from .._core.arrays import copy, namespace, to_numpy, working_dtype
from .._core.typing import AnyArray, ArrayInput
from ._base import ShapedOperator
from ._batches import batch_of


class _Sampling(ShapedOperator):
    """Entries of a flat batch. ``A A^H = I``, which `admm` makes use of."""

    coisometry = True

    def _choose(self, mask, dtype):
        xp = namespace(mask)
        self.xp = np if xp is None else xp
        mask = to_numpy(mask) if xp is not None else np.asarray(mask)
        if mask.dtype != np.dtype(bool) or mask.ndim == 0:
            raise TypeError(
                f"mask must be a boolean array, got dtype {mask.dtype} and shape "
                f"{mask.shape}"
            )
        if not mask.any():
            raise ValueError("mask must keep at least one entry, got none")
        places = np.flatnonzero(mask)
        self._places = self.xp.asarray(places)
        super().__init__(working_dtype(dtype, "dtype"), mask.shape, places.shape)

    @property
    def mask(self) -> AnyArray:
        """The entries that are kept, a boolean array of shape ``input_shape``."""
        xp = self.xp
        flat = xp.zeros(self.shape[1], dtype=bool)
        flat[self._places] = True
        return flat.reshape(self.input_shape)

    def _take(self, x):
        x = self._promoted(x)
        return batch_of(x, self.shape[1:])[:, self._places]

    def _put(self, y):
        y = self._promoted(y)
        flat = self.xp.zeros((y.shape[0], self.shape[1]), dtype=y.dtype)
        flat[:, self._places] = y
        return batch_of(flat, self.input_shape)


class MaskOperator(_Sampling):
    """The entries of an array that a mask keeps.

    Parameters
    ----------
    mask : array_like of bool
        True where an entry is kept. On its library the operator takes arrays.
    dtype : dtype
        The least dtype of products; by default they have that of their argument.

    Raises
    ------
    TypeError
        If the mask is not boolean, or `dtype` no floating one.
    ValueError
        If it keeps nothing.

    Notes
    -----
    A LinearOperator of shape ``(mask.sum(), mask.size)`` with ``forward`` and
    ``adjoint`` on shaped batches, like `convinv.ConvLinearOperator`; the kept entries
    are in C order. The adjoint puts zeros where nothing is known.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.operators import MaskOperator
    >>> op = MaskOperator([[True, False], [True, True]])
    >>> op.forward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([1., 3., 4.])
    >>> op.adjoint(np.array([1.0, 3.0, 4.0]))
    array([[1., 0.],
           [3., 4.]])
    """

    def __init__(self, mask: ArrayInput, *, dtype: DTypeLike = np.float32):
        self._choose(mask, dtype)

    def _apply(self, X):
        return self._take(X)

    def _apply_adjoint(self, Y):
        return self._put(Y)

    def nearest(self, v: AnyArray, b: AnyArray) -> AnyArray:
        """The nearest array to ``v`` with the entries ``b``, exactly these."""
        flat = batch_of(copy(v), self.shape[1:])
        flat[:, self._places] = b
        return flat.reshape(v.shape)


class FourierSampling(_Sampling):
    """Entries of the unitary Fourier transform, as magnetic resonance measures them.

    Parameters
    ----------
    mask : array_like of bool
        True where a frequency is measured; its shape is that of the images, or of a
        series of them. On its library the operator takes arrays.
    axes : tuple of int
        The axes that are transformed.
    centerd : bool
        Whether frequency 0 is in the middle of the mask, and the origin in the middle
        of the image; otherwise both are at index 0, as in `numpy.fft`.
    dtype : dtype
        The least complex dtype of products; by default the precision is that of their
        argument.

    Raises
    ------
    TypeError
        If the mask is not boolean, or `dtype` not complex.
    ValueError
        If it keeps nothing, or `axes` does not fit it.

    Notes
    -----
    A LinearOperator of shape ``(mask.sum(), mask.size)``, like `MaskOperator`. A
    product costs one fast Fourier transform. The unknowns of a solve are complex, since
    the adjoint of complex data is.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv.operators import FourierSampling
    >>> mask = np.zeros((4, 4), bool)
    >>> mask[2, 2] = True  # the mean alone
    >>> op = FourierSampling(mask)
    >>> op.forward(np.full((4, 4), 3.0)).real
    array([12.])
    """

    def __init__(
        self,
        mask: ArrayInput,
        *,
        axes: Sequence[int] = (-2, -1),
        centerd: bool = True,
        dtype: DTypeLike = np.complex64,
    ):
        self._choose(mask, dtype)
        if self.dtype.kind != "c":
            raise TypeError(f"dtype must be complex, got {self.dtype}")
        ndim = len(self.input_shape)
        try:
            found = tuple(range(ndim)[axis] for axis in axes)
        except (IndexError, TypeError):
            found = ()
        if not found or len(set(found)) < len(found):
            raise ValueError(
                f"axes must be different axes of the mask, of shape {self.input_shape},"
                f" got {axes}"
            )
        self.axes, self.centerd = found, bool(centerd)
        self._batched = tuple(axis + 1 for axis in found)

    def _apply(self, X):
        fft, axes = self.xp.fft, self._batched
        x = self._promoted(X)
        x = fft.ifftshift(x, axes=axes) if self.centerd else x
        y = fft.fftn(x, axes=axes, norm="ortho")
        return self._take(fft.fftshift(y, axes=axes) if self.centerd else y)

    def _apply_adjoint(self, Y):
        fft, axes = self.xp.fft, self._batched
        x = self._put(Y)
        x = fft.ifftshift(x, axes=axes) if self.centerd else x
        x = fft.ifftn(x, axes=axes, norm="ortho")
        return fft.fftshift(x, axes=axes) if self.centerd else x

    def nearest(self, v: AnyArray, b: AnyArray) -> AnyArray:
        """The nearest array to ``v`` that has the frequencies ``b``."""
        return v + self._apply_adjoint(b - self._apply(v))
