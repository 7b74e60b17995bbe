"""The C++ parts of the fake device, and stubs of the libraries that CuPy links to."""

import ctypes
import importlib.util
import pathlib
import re
import subprocess
import traceback
import types

import numpy as np
import scipy.fft
from cuda import pathfinder
from scipy.linalg import cython_blas, cython_lapack

from support.compiled import compiled

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = ("devices", "memory", "streams", "launch", "blas", "solver", "sparse", "fft")
# CuPy's modules that are linked to a library of the CUDA toolkit each
LINKED = (
    "cupy_backends.cuda.libs.cublas",
    "cupy_backends.cuda.libs.curand",
    "cupy_backends.cuda.libs.cusolver",
    "cupy_backends.cuda.libs.cusparse",
    "cupy.cuda.cufft",
)
COMPILER = ("g++", "-std=c++20", "-O2", "-shared", "-fPIC")
# The driver's library is only asked for the names of its errors.
DRIVER = """
extern "C" int cuGetErrorName(int status, const char** name) {
  *name = status == 1 ? "CUDA_ERROR_INVALID_VALUE"
        : status == 400 ? "CUDA_ERROR_INVALID_HANDLE"
        : status == 500 ? "CUDA_ERROR_NOT_FOUND"
        : status == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : "CUDA_ERROR_UNKNOWN";
  return 0;
}
extern "C" int cuGetErrorString(int status, const char** text) {
  *text = "(fake device)";
  return 0;
}
"""


def load():
    """The library of the fake device; those of CUDA can be found from now on."""
    sources = [HERE / f"{name}.cpp" for name in SOURCES]
    headers = [HERE / f"{name}.hpp" for name in ("device", "function", "lapack")]
    path = compiled("", [*COMPILER, *map(str, sources)], [*sources, *headers])
    library = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    driver = compiled(DRIVER, [*COMPILER, "-Wl,-soname,libcuda.so.1"])
    ctypes.CDLL(str(driver), mode=ctypes.RTLD_GLOBAL)
    for module in LINKED:
        _load_stub(library, module)
    # CuPy asks where they are, to load them first and for functions found when called
    here = types.SimpleNamespace(abs_path=str(path), _handle_uint=library._handle)
    pathfinder.load_nvidia_dynamic_lib = lambda name: here
    _give_lapack(library)
    _give_transform(library)
    return library


def _load_stub(library, module):
    """Load a library by the name that `module` needs, with what `library` lacks."""
    parent = pathlib.Path(importlib.util.find_spec(module.split(".")[0]).origin).parent
    (path,) = parent.joinpath(*module.split(".")[1:-1]).glob(
        f"{module.rpartition('.')[2]}.*.so"
    )
    done = subprocess.run(
        ["nm", "-D", "--undefined-only", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    needed = re.findall(r" U (cu\w+)@(lib\w+\.so\.\d+)", done.stdout)
    ((name, *others),) = {tuple({soname for _, soname in needed})}
    assert not others, others
    lacking = [symbol for symbol, _ in needed if not hasattr(library, symbol)]
    text = "#include <cstdio>\n" + "".join(
        f'extern "C" int {symbol}() '
        f'{{ std::fputs("the fake device lacks {symbol}\\n", stderr); return 7; }}\n'
        for symbol in sorted(lacking)
    )
    command = [*COMPILER, f"-Wl,-soname,{name}"]
    ctypes.CDLL(str(compiled(text, command)), mode=ctypes.RTLD_GLOBAL)


def _give_lapack(library):
    """Tell where SciPy's functions are: "dgemm" and so on."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [
        ctypes.py_object,
        ctypes.c_char_p,
    ]
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    give = library.dry_set_lapack
    give.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    for module in cython_blas, cython_lapack:
        for name, capsule in module.__pyx_capi__.items():
            give(name.encode(), pointer(capsule, name_of(capsule)))


# ------------------------------------------------------------------- Fourier transforms
# cuFFT's codes: dtypes of the input and of the output
TYPES = {
    0x29: ("complex64", "complex64"),
    0x2A: ("float32", "complex64"),
    0x2C: ("complex64", "float32"),
    0x69: ("complex128", "complex128"),
    0x6A: ("float64", "complex128"),
    0x6C: ("complex128", "float64"),
}
_KEPT = []  # the function that C calls


def _give_transform(library):
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int,
        ctypes.POINTER(ctypes.c_long),
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int,
    )
    _KEPT.append(kind(_called))
    library.dry_set_transform(_KEPT[-1])


def _called(*args):
    """What C calls: 0, or 1 after an error."""
    try:
        _transform(*args)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def _transform(plan, source, target, direction):
    """Do what the plan of ``fft.cpp`` says."""
    rank, code, batch, *steps = plan[:7]
    sizes, in_sizes, out_sizes = (tuple(plan[i : i + rank]) for i in (7, 10, 13))
    dtypes = [np.dtype(name) for name in TYPES[code]]
    short = (*sizes[:-1], sizes[-1] // 2 + 1)  # of the Hermitian half
    real_in, real_out = (dtype.kind == "f" for dtype in dtypes)
    a = _view(
        source, dtypes[0], batch, short if real_out else sizes, in_sizes, *steps[:2]
    )
    out = _view(
        target, dtypes[1], batch, short if real_in else sizes, out_sizes, *steps[2:]
    )
    axes = tuple(range(1, rank + 1))
    if real_in:
        out[...] = scipy.fft.rfftn(a, axes=axes)
    elif real_out:
        out[...] = scipy.fft.irfftn(a, s=sizes, axes=axes, norm="forward")
        a[...] = np.nan  # cuFFT may overwrite it
    elif direction == -1:
        out[...] = scipy.fft.fftn(a, axes=axes)
    else:
        out[...] = scipy.fft.ifftn(a, axes=axes, norm="forward")


def _view(address, dtype, batch, shape, embedding, stride, distance):
    """The array that a plan describes: cuFFT's advanced data layout."""
    if not any(embedding):
        embedding, stride, distance = shape, 1, int(np.prod(shape))
    steps = [stride * int(np.prod(embedding[i + 1 :])) for i in range(len(shape))]
    strides = [dtype.itemsize * step for step in (distance, *steps)]
    length = 1 + sum(
        (n - 1) * step for n, step in zip((batch, *shape), (distance, *steps))
    )
    memory = (ctypes.c_char * (length * dtype.itemsize)).from_address(address)
    return np.ndarray((batch, *shape), dtype, memory, strides=strides)
