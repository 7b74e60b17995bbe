"""CuPy's compiler of kernels, replaced by one for the host."""

import functools
import hashlib
import pathlib
import re
import shutil
import subprocess

from support import cuda_host
from support.compiled import absent, compiled, folder, output

HERE = pathlib.Path(__file__).resolve().parent
HOST = pathlib.Path(cuda_host.__file__).resolve().parent
KERNEL = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\('
)
DYNAMIC = re.compile(r"extern\s+__shared__\s+([\w ]+?)\s+(\w+)\[\s*\]\s*;")
SYNC = re.compile(r"__sync|__shfl")
COMPILER = ("g++", "-std=c++20", "-O1", "-fPIC", "-shared", "-pthread", "-w")
NAMES = ("kernel.hpp", "function.hpp", "runner.cpp")
SOURCES = [*(HERE / name for name in NAMES), HOST / "cuda_on_host.hpp"]


def replace(compiler, function):
    """Have the module `compiler` of CuPy make kernels for the fake device."""

    def compile_for_host(source, options, *_, **__):
        module = function.Module()
        module._set_mapping({})
        module.load(str(_library(source, options)).encode())
        return module

    compiler._compile_with_cache_cuda = compile_for_host


def _library(source, options):
    import cupy

    include = pathlib.Path(cupy.__file__).parent / "_core" / "include"
    macros = [option for option in options if option.startswith("-D")]
    paths = [f"-I{path}" for path in (HERE / "include", include, _prepared())]
    names = KERNEL.findall(source if "carray.cuh" in source else _plain(source, macros))
    fibers = "true" if SYNC.search(source) else "false"
    serial = "true" if "CUPY_FOR" in source and fibers == "false" else "false"
    code = DYNAMIC.sub(r"\1* \2 = reinterpret_cast<\1*>(coh::dyn_smem);", source)
    tail = "".join(f"DRY_KERNEL({name}, {fibers}, {serial})\n" for name in names)
    begin = (
        f'// CuPy {cupy.__version__}, of whose headers this is\n#include "kernel.hpp"'
    )
    text = f'{begin}\n#line 1 "kernel.cu"\n{code}\n{tail}'
    # A kernel may be named as a C function is, and be in another library as well. What
    # is unique in ``runner.o`` stays so: all libraries share one scheduler's stacks.
    link = ["-Wl,-Bsymbolic", "-fno-gnu-unique"]
    runner = str(_prepared() / "runner.o")
    return compiled(text, [*COMPILER, *paths, *macros, *link, runner], SOURCES)


def _plain(source, macros):
    """The source after the preprocessor: a macro may define kernels."""
    return output(["g++", "-E", "-P", *macros], re.sub(r"#include.*", "", source))


@functools.cache
def _prepared():
    """A folder with what all kernels share: ``kernel.hpp.gch`` and ``runner.o``."""
    key = hashlib.sha256(" ".join(COMPILER).encode())
    for path in SOURCES:
        key.update(path.read_bytes())
    place = folder() / f"kernels-{key.hexdigest()[:16]}"
    place.mkdir(exist_ok=True)
    target = place / "runner.o"  # made last
    with absent(target) as wanted:
        if wanted:
            for path in SOURCES:
                shutil.copy(path, place)
            _compile(place, "-x", "c++-header", "kernel.hpp", "-o", "kernel.hpp.gch")
            _compile(place, "-c", "runner.cpp", "-o", "runner.part")
            (place / "runner.part").replace(target)
    return place


def _compile(place, *arguments):
    command = [part for part in COMPILER if part != "-shared"]
    subprocess.run([*command, *arguments], check=True, cwd=place)
