"""A convolution whose products with arrays of Dask are graphs."""

from __future__ import annotations

from typing import Any

from .._core.typing import ArrayInput
from ..operators._base import check_layer
from ..operators._convolution import ConvLinearOperator


class DaskConvOperator(ConvLinearOperator):
    """A convolution of images that are larger than memory, in arrays of Dask.

    Its products are computed when their chunks are, from these and as many samples of
    their neighbors as the kernel reaches. They are those of a `ConvLinearOperator`
    whatever the chunks are: also where these are shorter than the kernel, or an image
    than its padding.

    Parameters
    ----------
    kernel, input_shape, stride, padding, dilation, groups, boundary, flip, dtype
        As those of `convinv.ConvLinearOperator`, which this is as well: it goes into
        `convinv.distributed.solve` and all else that takes operators.

    Notes
    -----
    The chunks of a product follow those of the array: along an axis with a stride s,
    each chunk of `forward` has a share 1/s of the samples, and one of `adjoint` s times
    as many. Axes before the channels are a batch. Channels are joined in one chunk.
    Chunks may be arrays of NumPy, or of CuPy where the kernel is one.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from convinv.distributed import DaskConvOperator
    >>> psf = np.full((1, 1, 15, 15), 1 / 225)
    >>> op = DaskConvOperator(psf, (1, 4096, 4096), padding=7, boundary="reflect")
    >>> image = da.random.random((1, 4096, 4096), chunks=(1, 1024, 1024))
    >>> blurred = op.forward(image)
    >>> blurred.numblocks
    (1, 4, 4)
    >>> corner = blurred[:, :8, :8].compute()  # from one chunk
    >>> bool(abs(corner.mean() - 0.5) < 0.1)
    True
    """

    @classmethod
    def from_operator(cls, op: ConvLinearOperator) -> DaskConvOperator:
        """The same convolution as an operator, whose kernel is not copied.

        Parameters
        ----------
        op : ConvLinearOperator

        Returns
        -------
        DaskConvOperator
        """
        check_layer(op)
        if not op.is_convolution:
            raise TypeError(f"op must be a ConvLinearOperator, got {op!r}: pass op.H")
        return cls(op.kernel, op.input_shape, dtype=op.dtype, **op.options)

    def forward(self, X: ArrayInput) -> Any:
        """Apply the convolution to ``X`` of shape ``(..., *input_shape)``.

        Parameters
        ----------
        X : dask.array.Array
            Or another array, whose product is computed at once.

        Returns
        -------
        dask.array.Array
        """
        return super().forward(X)

    def adjoint(self, Y: ArrayInput | None = None) -> Any:
        """Apply the adjoint to ``Y`` of shape ``(..., *output_shape)``.

        Parameters
        ----------
        Y : dask.array.Array, optional
            Or another array, whose product is computed at once. Without it, the adjoint
            operator is returned.

        Returns
        -------
        dask.array.Array
        """
        return super().adjoint(Y)
