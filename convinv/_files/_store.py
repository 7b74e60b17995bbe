"""A large array in a file, read and written by regions."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Literal

import numpy as np

Mode = Literal["r", "r+"]
# What ends a key: slices of step 1, integers and one Ellipsis, as arrays take them.
Region = Any


class Store(ABC):
    """An array of which a region is read or written at a time.

    ``store[region]`` is a NumPy array of the machine's byte order, a copy or a view
    that must not be changed; ``store[region] = array`` writes. A store can be pickled:
    the copy opens the same file again, also in another process.

    Attributes
    ----------
    path : str
        What `convinv._files.open_store` takes.
    mode : {"r", "r+"}
        Whether it can be written.
    shape : tuple of int
    dtype : numpy.dtype
    chunks : tuple of int or None
        The regions that the file keeps together; None where it keeps lines.
    axes : tuple of str or None
        Names of the axes, if the file has them.
    attributes : dict
        What the file says about the array, for a copy that is made like it.
    """

    path: str
    mode: Mode
    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: tuple[int, ...] | None = None
    axes: tuple[str, ...] | None = None
    attributes: dict[str, Any]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def channel_axis(self) -> int | None:
        """The axis with the colors, where the file says so and it is the last."""
        named = self.axes is not None and self.axes[-1:] in COLORS
        return -1 if named else None

    @abstractmethod
    def __getitem__(self, region: Region) -> np.ndarray: ...

    @abstractmethod
    def __setitem__(self, region: Region, values: Any) -> None: ...

    def flush(self) -> None:
        """Hand what is written to the operating system."""

    def close(self) -> None:
        """Flush, and let go of the file."""
        self.flush()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        return f"<{type(self).__name__} {self.path!r}: {shape}, {self.dtype}>"

    def _refuse_writing(self) -> None:
        if self.mode == "r":
            raise ValueError(f"{self.path!r} is open for reading only")


COLORS = (("S",), ("c",), ("C",), ("channel",))


def native(values: Any) -> np.ndarray:
    """Values as an array of the byte order that this machine computes with."""
    found = np.asarray(values)
    return found.astype(found.dtype.newbyteorder("="), copy=False)
