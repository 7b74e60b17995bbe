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
HEADERS = [HERE / "kernel.hpp", HERE / "function.hpp", HOST / "cuda_on_host.hpp"]


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
    paths = [f"-I{path}" for path in (HERE / "include", include, _header_folder())]
    names = KERNEL.findall(source if "carray.cuh" in source else _plain(source, macros))
    fibers = "true" if SYNC.search(source) else "false"
    serial = "true" if "CUPY_FOR" in source and fibers == "false" else "false"
    code = DYNAMIC.sub(r"\1* \2 = reinterpret_cast<\1*>(coh::dyn_smem);", source)
    tail = "".join(f"DRY_KERNEL({name}, {fibers}, {serial})\n" for name in names)
    text = f'#include "kernel.hpp"\n#line 1 "kernel.cu"\n{code}\n{tail}'
    # a kernel may be named as a C function is, and be in another library as well
    link = ["-Wl,-Bsymbolic", "-fno-gnu-unique"]
    return compiled(text, [*COMPILER, *paths, *macros, *link], HEADERS)


def _plain(source, macros):
    """The source after the preprocessor: a macro may define kernels."""
    return output(["g++", "-E", "-P", *macros], re.sub(r"#include.*", "", source))


@functools.cache
def _header_folder():
    """Copies of the headers beside the form of ``kernel.hpp`` that is read quickly."""
    key = hashlib.sha256(b"".join(path.read_bytes() for path in HEADERS)).hexdigest()
    place = folder() / f"headers-{key[:16]}"
    place.mkdir(exist_ok=True)
    target = place / "kernel.hpp.gch"
    with absent(target) as wanted:
        if wanted:
            for path in HEADERS:
                shutil.copy(path, place)
            part = target.with_suffix(".part")
            header = ["-x", "c++-header", str(place / "kernel.hpp"), "-o", str(part)]
            subprocess.run(
                [*(c for c in COMPILER if c != "-shared"), *header], check=True
            )
            part.replace(target)
    return place
