"""An array cut into blocks, each in a file of its own that is written whole."""

from __future__ import annotations

import itertools
import os
import uuid
import zlib
from bisect import bisect_right
from pathlib import Path
from typing import Any

import numpy as np

from ._store import Region
from ._whole import synced

Edges = tuple[tuple[int, ...], ...]


class Blocks:
    """An array ``(*lead, *spatial)`` whose spatial axes are cut at some places.

    Several threads, processes and machines may write different blocks at the same
    time, since no file holds two; a process that is killed leaves every block as it was
    or whole. The object can be pickled.

    Attributes
    ----------
    folder : str
    edges : tuple of tuple of int
        Along each spatial axis where its blocks begin, and its length.
    lead : tuple of int
        The axes before.
    dtype : numpy.dtype
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        edges: Edges,
        lead: tuple[int, ...],
        dtype: np.dtype,
    ):
        self.folder, self.edges, self.lead = os.fspath(folder), edges, lead
        self.dtype = np.dtype(dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.lead, *(ends[-1] for ends in self.edges))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def file(self, index: tuple[int, ...]) -> Path:
        """Where a block is kept."""
        return Path(self.folder) / ("-".join(map(str, index)) + ".npy")

    def write(self, index: tuple[int, ...], block: np.ndarray) -> int:
        """Keep a block, and return the checksum of its bytes.

        Raises OSError if there is no space left; the block is then as it was.
        """
        block = np.ascontiguousarray(block, self.dtype)
        target = self.file(index)
        part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
        try:
            with part.open("wb") as file:
                head = np.lib.format.header_data_from_array_1_0(block)
                np.lib.format.write_array_header_1_0(file, head)
                file.write(block.data)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
        return zlib.crc32(block.data)

    def checksum(self, index: tuple[int, ...]) -> int | None:
        """That of a block's bytes as they are on the disk, or None without a block."""
        try:
            block = np.load(self.file(index), mmap_mode="r", allow_pickle=False)
        except (FileNotFoundError, ValueError, EOFError):
            return None
        return zlib.crc32(np.ascontiguousarray(block).data)

    def sync(self) -> None:
        """Wait until all blocks are on the disk."""
        synced(Path(self.folder))

    def __getitem__(self, region: Region) -> np.ndarray:
        """A box ``[..., slices]`` along the spatial axes, joined from its blocks."""
        boxes = region[1:] if region[0] is Ellipsis else region[len(self.lead) :]
        spans = [
            box.indices(ends[-1])[:2]
            for box, ends in zip(boxes, self.edges, strict=True)
        ]
        found = np.empty(
            (*self.lead, *(stop - start for start, stop in spans)), self.dtype
        )
        pieces = [_pieces(ends, *span) for ends, span in zip(self.edges, spans)]
        each: tuple[Any, ...]  # number, place and part for every axis
        for each in itertools.product(*pieces):
            block = np.load(
                self.file(tuple(piece[0] for piece in each)),
                mmap_mode="r",
                allow_pickle=False,
            )
            _, here, there = zip(*each)
            found[(..., *here)] = block[(..., *there)]
        return found


def _pieces(
    ends: tuple[int, ...], start: int, stop: int
) -> list[tuple[int, slice, slice]]:
    """The blocks that a range meets: number, place in the range, place in the block."""
    found: list[tuple[int, slice, slice]] = []
    number = bisect_right(ends, start) - 1
    while start < stop:
        low, high = ends[number], min(ends[number + 1], stop)
        done = found[-1][1].stop if found else 0
        place = slice(done, done + high - start)
        found.append((number, place, slice(start - low, high - low)))
        start, number = high, number + 1
    return found
