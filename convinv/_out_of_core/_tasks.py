"""The work on one tile, from files to files, in any process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .._files import Blocks
from .._tiles import PASSES, Dots, Norms, TilePlan, read


class Done(NamedTuple):
    """What comes back of a tile.

    Attributes
    ----------
    number : int
        Of the tile in the plan.
    sums : Norms or Dots
    checksums : tuple of int
        Of the blocks that were written.
    """

    number: int
    sums: Norms | Dots
    checksums: tuple[int, ...]


@dataclass(frozen=True)
class TileTask:
    """A function of the number of a tile, which can be pickled.

    Attributes
    ----------
    plan : TilePlan
    name : str
        The method of the plan.
    arrays : sequence of Blocks, Frames or None
        What it reads.
    arguments : dict
        What else it gets.
    written : sequence of Blocks
        Where its results go.
    """

    plan: TilePlan
    name: str
    arrays: Sequence[Any]
    arguments: dict[str, Any]
    written: Sequence[Blocks]

    def __call__(self, number: int) -> Done:
        todo = PASSES[self.name]
        tile = getattr(self.plan, todo.tiles)[number]
        given = [
            None if array is None else read(array, tile.runs(of))
            for array, of in zip(self.arrays, todo.reads, strict=True)
        ]
        found = getattr(self.plan, self.name)(tile, *given, **self.arguments)
        *cores, sums = found if todo.writes else (found,)
        checksums = [
            blocks.write(tile.place, core)
            for blocks, core in zip(self.written, cores, strict=True)
        ]
        return Done(number, sums, tuple(checksums))


# Calls the function with each number, in any order and perhaps several at a time, and
# hands over what it returns, one by one, as soon as it is there.
Runner = Callable[[Callable[[int], Done], Iterable[int], Callable[[Done], None]], None]


def in_turn(
    function: Callable[[int], Done],
    numbers: Iterable[int],
    take: Callable[[Done], None],
) -> None:
    """One tile after the other in this process."""
    for number in numbers:
        take(function(number))
