"""How many blocks of a CUDA kernel a multiprocessor can hold at once.

What a multiprocessor has is from the table "Technical Specifications per Compute
Capability" of NVIDIA's CUDA C++ Programming Guide; in what portions it is given out,
from the header ``cuda_occupancy.h`` of the CUDA toolkit.
"""

from typing import NamedTuple

WARP = 32
REGISTERS = 65536  # of a multiprocessor, a quarter of them in each of its QUARTERS
QUARTERS = 4
REGISTER_PORTION = 256  # for a warp


class Limits(NamedTuple):
    """What a multiprocessor holds: warps, blocks, and bytes of shared memory."""

    warps: int
    blocks: int
    shared: int
    reserved: int = 1024  # bytes that the system keeps of every block
    portion: int = 128


LIMITS = {
    "sm_75": Limits(32, 16, 64 * 1024, reserved=0, portion=256),
    "sm_80": Limits(64, 32, 164 * 1024),
    "sm_90": Limits(64, 32, 228 * 1024),
    "sm_100": Limits(64, 32, 228 * 1024),
    "sm_120": Limits(48, 24, 100 * 1024),
}


def resident_blocks(arch: str, threads: int, registers: int, shared: int) -> int:
    """Blocks of `threads`, each thread with `registers`, each block with `shared`.

    The least of what the registers, the shared memory and the numbers of warps and
    blocks allow.
    """
    limits, warps = LIMITS[arch], -(-threads // WARP)
    of_a_warp = _round_up(WARP * registers, REGISTER_PORTION)
    fitting = REGISTERS // QUARTERS // of_a_warp * QUARTERS
    of_a_block = _round_up(shared + limits.reserved, limits.portion)
    by_shared = limits.shared // of_a_block if of_a_block else limits.blocks
    return min(fitting // warps, by_shared, limits.warps // warps, limits.blocks)


def _round_up(n, step):
    return -(-n // step) * step
