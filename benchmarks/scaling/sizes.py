"""How large everything is: as the bars say, and for a look."""

from typing import NamedTuple

from .timed import Setting


class Sizes(NamedTuple):
    """Lengths in pixels, counts of images."""

    side: int = 16384  # of the blurred image; half of it of the layer's
    small: int = 2048  # of the image in memory
    weight: float = 0.05  # of the gradient of the blurred image
    chunk: int = 1024
    memory: str = "2GB"  # what a solve may take beside its image
    images: int = 100_000
    distinct: int = 10_000  # of them; the others are the same again
    block: int = 500
    rounds: int = 3
    resumed: int = 4096
    swept: int = 256
    timed: int = 4096
    timed_chunk: int = 512
    tiles: tuple = (  # problem, tile, halo
        ("blur", 512, 128),
        ("blur", 1024, 256),
        ("blur", 1024, 512),
        ("blur", 2048, 512),
        ("layer", 256, 32),
        ("layer", 512, 32),
        ("layer", 1024, 32),
        ("layer", 2048, 32),
    )

    def settings(self):
        """All runs that are timed tile by tile."""
        return [
            Setting(name, self.timed, tile, halo, workers, self.timed_chunk)
            for name, tile, halo in self.tiles
            for workers in (1, 2)
        ]


FULL = Sizes()
QUICK = Sizes(
    side=1024,
    small=512,
    weight=2.0,
    chunk=256,
    memory="20MB",
    images=2000,
    distinct=500,
    block=100,
    rounds=1,
    resumed=512,
    swept=128,
    timed=512,
    timed_chunk=128,
    tiles=(
        ("blur", 128, 64),
        ("blur", 256, 64),
        ("blur", 512, 64),
        ("layer", 64, 16),
        ("layer", 128, 16),
        ("layer", 256, 16),
    ),
)
