"""Arrays of other libraries, without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.typing import AnyArray

HOST = (1, 3)  # DLPack's numbers of device kinds: the CPU, and its pinned memory
CUDA = (2, 13)  # CUDA, and its managed memory


def from_dlpack(array: Any) -> AnyArray:
    """Convert the array of another library to NumPy or CuPy, in the same memory.

    Parameters
    ----------
    array : object with ``__dlpack__``
        A tensor of PyTorch, an array of JAX, or of any library that supports DLPack, on
        the CPU or on a CUDA device.

    Returns
    -------
    numpy.ndarray or cupy.ndarray
        With the shape and dtype of `array`, without a copy: changes of one appear in
        the other. It may be read-only. A lazily conjugated or negated tensor of
        PyTorch, whose memory does not hold its values, is copied first.

    Raises
    ------
    TypeError
        If `array` does not support DLPack, or is on a device of another kind.
    ImportError
        If it is on a CUDA device and CuPy is not installed.

    Notes
    -----
    On a CUDA device the array is safe to use on CuPy's current stream: the libraries
    make it wait for queued work of the other library. Convert results back by the other
    library's own ``from_dlpack``. Detach a tensor that requires gradients first.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import from_dlpack
    >>> theirs = np.ones((8, 30, 30))
    >>> np.shares_memory(from_dlpack(theirs), theirs)
    True
    """
    try:
        kind = int(array.__dlpack_device__()[0])
    except AttributeError:
        raise TypeError(
            "array must have __dlpack__ and __dlpack_device__, as those of PyTorch and "
            f"JAX have, got {type(array).__name__}"
        ) from None
    for name in ("resolve_conj", "resolve_neg"):  # DLPack has neither bit
        resolve = getattr(array, name, None)
        array = resolve() if callable(resolve) else array
    if kind in HOST:
        return np.from_dlpack(array)
    if kind not in CUDA:
        raise TypeError(
            "array must be on the CPU or a CUDA device, got DLPack's device kind "
            f"{kind}"
        )
    try:
        import cupy
    except ImportError:
        raise ImportError(
            "an array on a CUDA device needs CuPy: pip install 'convinv[cuda12]' or "
            "'convinv[cuda13]'"
        ) from None
    return cupy.from_dlpack(array)
