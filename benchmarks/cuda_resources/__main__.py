"""Registers, spills and shared memory of every CUDA kernel, without a GPU.

Run from the repository's root::

    python -m benchmarks.cuda_resources --output benchmarks/results/cuda_resources.md

NVRTC or nvcc compiles every ``.cu`` file of the package for every dtype and for the
`architectures` that it knows; what it reports of each kernel becomes a table, with the
blocks that a multiprocessor can hold.
"""

import argparse
import contextlib
import functools
import importlib.util
import multiprocessing
import os
import pathlib
import re
import sys
import types
from concurrent.futures import ProcessPoolExecutor
from unittest import mock

from convinv.kernels import launcher

from ..kernel_table.__main__ import section
from . import nvrtc
from .occupancy import LIMITS, WARP, resident_blocks

FOLDER = pathlib.Path(launcher.__file__).parent
PACKAGE = launcher.__package__
DTYPES = ("float32", "float64", "complex64", "complex128")
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
(32 x registers, rounded up to 256) warps, rounded down. `benchmarks/occupancy.py` names
the sources of the limits:"""
LIMIT_NAMES = "architecture,warps,blocks,shared memory,reserved for a block,portion"


def main():
    args = parse()
    text = report()
    print(text, end="")
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(text, encoding="utf-8")


def parse():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cuda_resources", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--output", type=pathlib.Path, help="also write the text here")
    return parser.parse_args()


def files() -> list[str]:
    """The package's CUDA files: their paths in the folder of kernels, no suffix."""
    paths = (path.relative_to(FOLDER) for path in FOLDER.glob("*/*.cu"))
    return sorted(path.with_suffix("").as_posix() for path in paths)


def architectures() -> list[str]:
    """Those of LIMITS that the compiler knows, and the first of every later generation.

    Code for the first architecture of a generation runs on the others too.
    """
    known = nvrtc.architectures()
    last = max(_generation(arch) for arch in LIMITS)
    later = {_generation(a): a for a in reversed(known) if _generation(a) > last}
    return [arch for arch in known if arch in LIMITS or arch in later.values()]


def _generation(arch):
    return nvrtc.number_of(arch) // 10


def variants(file: str, dtype: str) -> dict[str, tuple[str, ...]]:
    """``{name: defines}``: the forms in which a file may be compiled for `dtype`."""
    sizes = _sizes(file)
    if sizes is None:
        return {"": ()}
    return {
        " ".join(define.removeprefix("-D") for define in defines): defines
        for defines in sizes.variants(dtype)
    }


@functools.cache
def _sizes(file):
    """The module that knows what sizes ``file.cu`` is compiled for, if there is one.

    It imports CuPy, which it needs for launches only, so that where there is none an
    empty module does.
    """
    path = FOLDER / f"{file}.py"
    if "def variants(" not in path.read_text(encoding="utf-8"):
        return None
    folder, name = file.split("/")
    # under a name of its own: nobody else is to meet a launcher without CuPy
    spec = importlib.util.spec_from_file_location(
        f"{PACKAGE}.{folder}._{name}_sizes", path
    )
    module = importlib.util.module_from_spec(spec)
    with contextlib.ExitStack() as stack:
        if importlib.util.find_spec("cupy") is None:
            empty = {"cupy": types.ModuleType("cupy")}
            stack.enter_context(mock.patch.dict(sys.modules, empty))
        spec.loader.exec_module(module)
    return module


def compiled(file: str, arch: str, only: str = "") -> dict[tuple[str, str], tuple]:
    """``{(dtype, variant): (seconds, {kernel: resources})}``, each compiled once.

    Of a file with variants, those whose names contain `only`.
    """
    jobs = {
        (dtype, variant): _job(file, arch, dtype, variant)
        for dtype in DTYPES
        for variant in variants(file, dtype)
        if not variant or only in variant
    }
    return {key: job.result() for key, job in jobs.items()}


@functools.cache
def _job(file, arch, dtype, variant):
    options = (*launcher.options(dtype), *variants(file, dtype)[variant])
    return _pool().submit(nvrtc.timed, _source(file), arch, options)


@functools.cache
def _source(file):
    """One text for all, though someone may be editing it."""
    return launcher.source(file)


@functools.cache
def _pool():
    """Processes, as NVRTC lets one thread of a process compile at a time."""
    return ProcessPoolExecutor(
        os.cpu_count(),
        multiprocessing.get_context("spawn"),
        nvrtc.compile_cubin,
        ("", "sm_80"),  # to have loaded the compiler
    )


def kernels(file: str, arch: str, only: str = "") -> dict[tuple[str, str], dict]:
    """``{(kernel, dtype): resources}``; a variant's name is part of its kernel's."""
    out = {}
    for (dtype, variant), (_, used) in compiled(file, arch, only).items():
        for kernel, needs in used.items():
            out[f"{kernel} {variant}".strip(), dtype] = needs
    return dict(sorted(out.items(), key=lambda item: (item[0][0], _rank(item[0][1]))))


def _rank(dtype):
    return DTYPES.index(dtype)


def report() -> str:
    """The whole text."""
    archs = architectures()
    parts = [heading(), largest(archs), compile_times(archs)]
    parts += [table(file, archs) for file in files()]
    return "\n\n".join(parts) + "\n"


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
    limits = section("", "", LIMIT_NAMES, rows).split("\n")[4:]
    return "\n".join([*lines, "", *limits])


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


def table(file, archs):
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


def read(text: str) -> tuple[str, dict[str, dict[tuple[str, str], dict[str, str]]]]:
    """The compiler, and ``{file: {(kernel, dtype): {arch: cell}}}`` of a report."""
    compiler = re.search(r"^- compiler: (.*)$", text, re.MULTILINE)[1]
    tables = {}
    for part in text.split("\n## ")[1:]:
        title = re.match(r"([\w/]+)\.cu\n", part)
        lines = [line for line in part.splitlines() if line.startswith("|")]
        names, _, *rows = [
            [c.strip() for c in line.strip("|").split("|")] for line in lines
        ]
        if title:
            tables[title[1]] = {
                (kernel, dtype): dict(zip(names[2:], cells, strict=True))
                for kernel, dtype, *cells in rows
            }
    return compiler, tables


if __name__ == "__main__":
    main()
