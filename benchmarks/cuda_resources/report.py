"""The tables of registers, spills, shared memory and resident blocks."""

from convinv.kernels import launcher

from ..support.tables import section, table
from . import nvrtc
from .compiled import DTYPES, architectures, compiled, kernels
from .occupancy import LIMITS, WARP, resident_blocks
from .variants import files, variants

COMMAND = (
    "python -m benchmarks.cuda_resources --output benchmarks/results/cuda_resources.md"
)
LEGEND = """\
A cell of the tables by file is registers of a thread / bytes of spilled registers /
bytes of static shared memory of a block / resident blocks of {threads} threads, or
{warps} warps, of a multiprocessor. Shared memory that a launch adds is not counted.

Resident blocks are the least of four numbers: warps / {warps}; blocks; shared memory /
that of a block with what the system reserves, rounded up to its portion; and the
quarters' warps / {warps}, where each quarter of the 65536 registers holds 16384 /
(32 x registers, rounded up to 256) warps, rounded down. The file
`benchmarks/cuda_resources/occupancy.py` names the sources of the limits:"""
LIMIT_NAMES = "architecture,warps,blocks,shared memory,reserved for a block,portion"


def report() -> str:
    """The whole text."""
    archs = architectures()
    parts = [heading(), largest(archs), compile_times(archs)]
    parts += [kernel_table(file, archs) for file in files()]
    return "\n\n".join(parts)


def heading():
    """By what the tables were made, and how they are to be read."""
    lines = [
        "# What the CUDA kernels need of a multiprocessor",
        "",
        f"- command: `{COMMAND}`",
        f"- compiler: {nvrtc.version()}",
        "",
        LEGEND.format(threads=launcher.THREADS, warps=launcher.THREADS // WARP),
    ]
    rows = [(arch, *limits) for arch, limits in LIMITS.items()]
    return "\n".join([*lines, "", *table(LIMIT_NAMES, rows)])


def largest(archs):
    """The largest number of registers, and the fewest resident warps, by file."""
    rows = []
    for file in files():
        cells = []
        for arch in archs:
            used = kernels(file, arch).values()
            registers = max(needs["registers"] for needs in used)
            cells.append(f"{registers}, {min_warps(arch, used)} warps")
        rows.append((f"{file}.cu", *cells))
    text = "The largest number of registers and the fewest resident warps of any kernel"
    return section("Largest", text, ",".join(["file", *archs]), rows)


def min_warps(arch, used):
    if arch not in LIMITS:
        return "-"
    return min(blocks(arch, needs) for needs in used) * launcher.THREADS // WARP


def blocks(arch, needs):
    return resident_blocks(arch, launcher.THREADS, needs["registers"], needs["smem"])


def compile_times(archs):
    """How long the first use of a file takes."""
    rows = []
    for file in files():
        builds, cells = 0, []
        for dtype in DTYPES:
            builds += len(variants(file, dtype))
            times = [
                seconds
                for arch in archs
                for (of, _), (seconds, _) in compiled(file, arch).items()
                if of == dtype
            ]
            cells.append(f"{min(times):.2f} - {max(times):.2f}")
        rows.append((f"{file}.cu", builds, *cells))
    text = (
        "A launch waits for one build of its file, which CuPy keeps. Seconds of a "
        "processor that it takes, from the fastest to the slowest architecture and "
        "variant"
    )
    return section("Compile time", text, ",".join(["file", "builds", *DTYPES]), rows)


def kernel_table(file, archs):
    """Every kernel of a file for every dtype, a column per architecture."""
    by_arch = {arch: kernels(file, arch) for arch in archs}
    rows = [
        (kernel, dtype, *(cell(arch, by_arch[arch][kernel, dtype]) for arch in archs))
        for kernel, dtype in by_arch[archs[0]]
    ]
    text = "Registers / spilled bytes / shared bytes / resident blocks"
    return section(f"{file}.cu", text, ",".join(["kernel", "dtype", *archs]), rows)


def cell(arch, needs):
    """What the tables say of one kernel."""
    fit = blocks(arch, needs) if arch in LIMITS else "-"
    return f"{needs['registers']} / {needs['spill']} / {needs['smem']} / {fit}"
