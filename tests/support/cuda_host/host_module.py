"""HostRawModule: what cupy.RawModule does, on the CPU."""

import ctypes
import pathlib
import re

import numpy as np

from support.compiled import compiled, output

HERE = pathlib.Path(__file__).resolve().parent
KERNEL = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\('
)
DYNAMIC = re.compile(r"extern\s+__shared__\s+([\w ]+?)\s+(\w+)\[\s*\]\s*;")
SYNC = re.compile(r"__sync|__shfl")
GUARD = 64  # bytes on either side of an array that a kernel sees
FILL = 0xFF  # of guards: a NaN if read as a float, -1 as an index


class HostRawModule:
    """Compile `code` with g++; `sanitize` is "address" or "thread", or None."""

    def __init__(self, *, code, options=(), sanitize=None):
        macros = [o for o in options if o.startswith("-D")]
        if sanitize == "thread":
            macros.append("-DCOH_THREADS")
        # kernels that a macro defines show only after the preprocessor
        names = KERNEL.findall(output(["g++", "-E", "-P", *macros], code))
        tail = "".join(
            f'extern "C" int coh_launch_{n}(const unsigned* g, const unsigned* b, '
            "size_t s, void** a, const int* z, int na, int f, char* e, int el) "
            f"{{ return coh::launch(&::{n}, g, b, s, a, z, na, f, e, el); }}\n"
            for n in names
        )
        code = DYNAMIC.sub(r"\1* \2 = reinterpret_cast<\1*>(coh::dyn_smem);", code)
        text = f'#include "cuda_on_host.hpp"\n#line 1 "kernel.cu"\n{code}\n{tail}'
        command = ["g++", "-std=c++20", "-O1", "-fPIC", "-shared", "-pthread", "-Wall"]
        command += ["-Wno-unknown-pragmas", f"-I{HERE}", *macros]
        command.append("-Wl,-Bsymbolic")  # a kernel may be named as a C function is
        command.append(f"-fsanitize={sanitize}" if sanitize else "-fopenmp")
        self._lib = ctypes.CDLL(
            str(compiled(text, command, [HERE / "cuda_on_host.hpp"]))
        )
        self._fibers = bool(SYNC.search(code))

    def get_function(self, name):
        return _HostKernel(self._lib, name, self._fibers)


class _HostKernel:
    def __init__(self, lib, name, fibers):
        self.name = name
        self._function = getattr(lib, f"coh_launch_{name}")
        self._fibers = fibers

    def __call__(self, grid, block, args, *, shared_mem=0):
        guarded, pointers, sizes = {}, [], []
        for a in args:
            if isinstance(a, np.ndarray):
                # by address: an array passed twice is one array in the kernel too
                copy = guarded.setdefault(a.ctypes.data, _Guarded(a))
                buffer = ctypes.c_void_p(copy.inside.ctypes.data)
                sizes.append(-a.itemsize)
            else:  # CuPy packs int as int64, float as float64, NumPy scalars as is
                value = np.asarray(a)
                buffer = ctypes.create_string_buffer(value.tobytes(), value.nbytes)
                sizes.append(value.nbytes)
            pointers.append(buffer)
        addresses = [ctypes.addressof(p) for p in pointers]
        error = ctypes.create_string_buffer(512)
        failed = self._function(
            (ctypes.c_uint * 3)(*(*grid, 1, 1)[:3]),
            (ctypes.c_uint * 3)(*(*block, 1, 1)[:3]),
            ctypes.c_size_t(shared_mem),
            (ctypes.c_void_p * len(args))(*addresses),
            (ctypes.c_int * len(args))(*sizes),
            len(args),
            int(self._fibers),
            error,
            512,
        )
        if failed:
            raise RuntimeError(f"{self.name}: {error.value.decode()}")
        for copy in guarded.values():
            copy.finish(self.name)


class _Guarded:
    """A copy of an array for a kernel to work on, with guard bytes around it."""

    def __init__(self, array):
        self.array = array
        self.memory = np.full(array.nbytes + 2 * GUARD, FILL, np.uint8)
        self.inside = self.memory[GUARD : GUARD + array.nbytes]
        self.inside[:] = np.frombuffer(array.tobytes(), np.uint8)

    def finish(self, name):
        outside = self.memory[:GUARD], self.memory[GUARD + self.array.nbytes :]
        if any(np.any(guard != FILL) for guard in outside):
            raise RuntimeError(f"{name} wrote outside of an array")
        if self.array.flags.writeable:
            flat = self.inside.view(self.array.dtype) if self.inside.size else None
            if flat is not None:
                self.array[...] = flat.reshape(self.array.shape)
