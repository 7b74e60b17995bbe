"""One large image in overlapping tiles; see `plan`."""

from .arrays import ArrayDriver, tiles_at_once
from .iterate import Driver, Iterated, State, iterate
from .norms import Dots, Norms
from .plan import PASSES, Pass, TilePlan
from .tile import Tile, read

__all__ = [
    "PASSES",
    "ArrayDriver",
    "Dots",
    "Driver",
    "Iterated",
    "Norms",
    "Pass",
    "State",
    "Tile",
    "TilePlan",
    "iterate",
    "read",
    "tiles_at_once",
]
