"""How large and how long the parts are."""

from typing import NamedTuple


class Settings(NamedTuple):
    """Sizes and times of a run.

    `batches` is the batch of every size of image that methods are tried on, and
    `papers` the sizes of the papers' problems: batches of STRIP's images, then pixels
    and steps of one cycle of GMRES, then pixels, steps of a cycle and cycles.
    """

    array_bytes: int = 1_500_000_000  # input and output of a product together
    copy_bytes: int = 2**31
    matrix: int = 8192
    seconds: float = 0.4  # for each of the calls that are compared
    rounds: int = 5
    batches: dict[int, int] = {28: 200, 64: 200, 256: 200, 1024: 12, 4096: 1}
    iterations: int = 32  # so that graphs of small solves are replayed
    sweeps: int = 1  # of methods that take rows, which cost more
    limit: float = 2.0  # seconds: what is expected to take longer is left out
    strip: dict[int, int] = {28: 200, 64: 200, 256: 200}
    cycle: tuple[int, int] = (128, 50)
    cycles: tuple[int, int, int] = (256, 100, 20)
    peers: tuple[int, int] = (256, 50)  # pixels and iterations
    checked: int = 67  # pixels of the images that the check takes
    # pixels of images for graphs: from 2^14 to 2^26 numbers behind eight filters
    graphs: tuple[int, ...] = (48, 93, 183, 258, 364, 514, 726, 1450, 2898)


FULL = Settings()
QUICK = Settings(
    array_bytes=50_000_000,
    copy_bytes=2**26,
    matrix=1024,
    seconds=0.05,
    rounds=2,
    batches={28: 20, 64: 4},
    iterations=4,
    limit=1.0,
    strip={28: 20},
    cycle=(64, 20),
    cycles=(64, 20, 2),
    peers=(64, 10),
    checked=19,
    graphs=(24,),
)

# Seconds that a part may take before the cases that are left are left out; a quick run
# has no such limit, as a memory checker makes it slow.
ALLOWED = {
    "check": 60,
    "ceilings": 10,
    "products": 50,
    "methods": 110,
    "strip": 50,
    "gmres": 30,
    "peers": 25,
    "graphs": 60,
    "busy": 40,
}
START = 20  # seconds more that the start of a part's process may take
LONGEST = 470  # of all parts, after which those that are left are ended
