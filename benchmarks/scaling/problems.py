"""The large problems, with data from a mosaic of photographs made block by block."""

import functools
import zlib
from typing import NamedTuple

import numpy as np

from convinv import ConvLinearOperator, gallery

PHOTOGRAPHS = (
    "astronaut",
    "camera",
    "chelsea",
    "china",
    "coffee",
    "flower",
    "grass",
    "moon",
    "retina",
    "rocket",
)
PIECE = 512  # pixels of a photograph in the mosaic, along an axis


class Problem(NamedTuple):
    """A layer or a blur, with what is asked of its inverse."""

    name: str
    c_in: int
    c_out: int
    options: dict  # of `convinv.solve`
    noise: float  # standard deviation; the mosaic is between 0 and 1

    @property
    def kernel(self):
        """The weights, in the precision that the images have."""
        if self.c_in == self.c_out == 1:
            return gallery.motion_kernel(15, rng=0)[None, None].astype(np.float32)
        return gallery.conv_layer(self.c_in, self.c_out, rng=0, dtype=np.float32)

    @property
    def taps(self):
        return self.kernel.shape[-1]

    def operator(self, side):
        """The operator on an image of this side; its data are smaller by taps - 1."""
        return ConvLinearOperator(self.kernel, (self.c_in, side, side))

    def data(self, rows, columns):
        """The data at these slices of rows and columns, with noise."""
        wider = [slice(s.start, s.stop + self.taps - 1) for s in (rows, columns)]
        x = mosaic(*wider, self.c_in)
        b = ConvLinearOperator(self.kernel, x.shape).forward(x)
        place = f"{self.name} {rows.start} {columns.start}"
        rng = np.random.default_rng(zlib.crc32(place.encode()))
        b += np.float32(self.noise) * rng.standard_normal(b.shape, b.dtype)
        return b


PROBLEMS = {
    "blur": Problem("blur", 1, 1, {"damp": 0.05, "regularizer": "gradient"}, 0.01),
    "layer": Problem("layer", 3, 8, {}, 0.01),
}


def mosaic(rows, columns, channels):
    """``(channels, rows, columns)`` of an endless mosaic of photographs."""
    shape = channels, rows.stop - rows.start, columns.stop - columns.start
    picture = np.empty(shape, np.float32)
    for i in range(rows.start // PIECE, -(-rows.stop // PIECE)):
        for j in range(columns.start // PIECE, -(-columns.stop // PIECE)):
            here, there = zip(_overlap(i, rows), _overlap(j, columns))
            picture[:, *here] = _piece(i, j)[:channels, *there]
    return picture


def _overlap(number, wanted):
    """Where a piece lies in what is wanted, and that part of the piece."""
    start = max(number * PIECE, wanted.start)
    stop = min((number + 1) * PIECE, wanted.stop)
    first = number * PIECE
    return (
        slice(start - wanted.start, stop - wanted.start),
        slice(start - first, stop - first),
    )


def _piece(i, j):
    planes = _planes(PHOTOGRAPHS[(3 * i + 7 * j) % len(PHOTOGRAPHS)])
    return np.rot90(planes, (i + j // 2) % 4, axes=(1, 2))


@functools.lru_cache
def _planes(name):
    planes = gallery.image(name, PIECE, dtype=np.float32)
    return planes if len(planes) == 3 else np.repeat(planes, 3, axis=0)


def store(problem, side, chunk, folder):
    """The data of an image of this side in a zarr store, written unless it is there."""
    import zarr

    length = side - problem.taps + 1
    path = folder / f"{problem.name}-{side}-{chunk}.zarr"
    if path.exists():
        found = zarr.open_array(path, mode="r")
        if found.attrs.get("complete"):
            return path
    shape = (problem.c_out, length, length)
    target = zarr.create_array(
        path,
        shape=shape,
        chunks=(problem.c_out, chunk, chunk),
        dtype="f4",
        compressors=None,  # noise does not become smaller
        overwrite=True,
    )
    starts = range(0, length, chunk)
    for i in starts:
        for j in starts:
            box = [slice(s, min(s + chunk, length)) for s in (i, j)]
            target[:, *box] = problem.data(*box)
    target.attrs["complete"] = True
    return path


def empty(problem, side, chunk, path):
    """A new zarr store for the unknowns."""
    import zarr

    return zarr.create_array(
        path,
        shape=(problem.c_in, side, side),
        chunks=(problem.c_in, chunk, chunk),
        dtype="f4",
        compressors=None,  # noise does not become smaller
        overwrite=True,
    )
