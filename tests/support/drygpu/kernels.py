"""CuPy's compiler of kernels, replaced by one for the host."""

import hashlib
import pathlib
import re

from support import cuda_host
from support.compiled import compiled, folder, output

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
    # kernels that a macro defines show only after the preprocessor
    names = KERNEL.findall(
        output(["g++", "-E", "-P", *macros], _without_includes(source))
    )
    fibers = "true" if SYNC.search(source) else "false"
    serial = "true" if "CUPY_FOR" in source and fibers == "false" else "false"
    code = DYNAMIC.sub(r"\1* \2 = reinterpret_cast<\1*>(coh::dyn_smem);", source)
    tail = "".join(f"DRY_KERNEL({name}, {fibers}, {serial})\n" for name in names)
    text = f'#include "kernel.hpp"\n#line 1 "kernel.cu"\n{code}\n{tail}'
    # a kernel may be named as a C function is, and be in another library as well
    link = ["-Wl,-Bsymbolic", "-fno-gnu-unique"]
    return compiled(text, [*COMPILER, *paths, *macros, *link], HEADERS)


def _without_includes(source):
    return re.sub(r"#include.*", "", source)


def _header_folder():
    """Where ``kernel.hpp`` lies beside its precompiled form."""
    key = hashlib.sha256(b"".join(path.read_bytes() for path in HEADERS)).hexdigest()
    place = folder() / f"headers-{key[:16]}"
    place.mkdir(exist_ok=True)
    for path in HEADERS:
        copy = place / path.name
        if not copy.exists():
            part = copy.with_suffix(".part")
            part.write_bytes(path.read_bytes())
            part.replace(copy)
    return place
