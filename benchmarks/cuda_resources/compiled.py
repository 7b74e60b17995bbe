"""What the compiler says of the kernels, each of them compiled once."""

import functools
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from convinv.kernels import launcher

from . import nvrtc
from .occupancy import LIMITS
from .variants import variants

DTYPES = ("float32", "float64", "complex64", "complex128")


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
