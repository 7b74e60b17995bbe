"""Compile CUDA C++ for a GPU without one: by NVRTC through ctypes, else by nvcc."""

import ctypes
import functools
import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


def find_nvrtc():
    """The newest libnvrtc of an installed nvidia-cuda-nvrtc wheel, or None."""
    found = [
        file
        for root in sys.path
        for file in pathlib.Path(root).glob("nvidia/*/lib/libnvrtc.so.*")
        if re.fullmatch(r"libnvrtc\.so\.\d+", file.name)
    ]
    return max(found, key=lambda f: int(f.suffix[1:]), default=None)


def have_compiler() -> bool:
    return find_nvrtc() is not None or shutil.which("nvcc") is not None


def version() -> str:
    """The compiler's name and version, to the last number that is known."""
    file = find_nvrtc()
    if file is None:
        text = subprocess.run(["nvcc", "--version"], capture_output=True, text=True)
        return f"nvcc {re.search(r'V([0-9.]+)', text.stdout)[1]}"
    major, minor = ctypes.c_int(), ctypes.c_int()
    _library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    number = f"{major.value}.{minor.value}"
    for wheel in importlib.metadata.distributions(path=[str(file.parents[3])]):
        if wheel.name.startswith("nvidia-cuda-nvrtc"):
            if wheel.version.startswith(f"{number}."):
                return f"NVRTC {wheel.version}"
    return f"NVRTC {number}"


def architectures() -> list[str]:
    """Every architecture that the compiler knows, oldest first."""
    if find_nvrtc() is None:
        command = ["nvcc", "--list-gpu-code"]
        text = subprocess.run(command, capture_output=True, text=True).stdout
        return sorted(re.findall(r"^sm_\d+$", text, re.MULTILINE), key=number_of)
    count = ctypes.c_int()
    _library().nvrtcGetNumSupportedArchs(ctypes.byref(count))
    numbers = (ctypes.c_int * count.value)()
    _library().nvrtcGetSupportedArchs(numbers)
    return [f"sm_{n}" for n in sorted(numbers)]


def number_of(arch) -> int:
    """90 for sm_90: ten times the compute capability."""
    return int(arch.removeprefix("sm_"))


def compile_cubin(code, arch, options=()):
    """``(cubin, log)`` of `code`; CuPy's RawModule adds ``-ftz=true`` as we do."""
    options = [f"-arch={arch}", "-ftz=true", *options]
    if find_nvrtc() is None:
        return _nvcc(code, options)
    return _nvrtc(code, [*options, "--ptxas-options=-v"])


def timed(code, arch, options=()):
    """``(seconds, resources)`` of compiling `code`; what else runs does not count."""
    start = _processor_time()
    _, log = compile_cubin(code, arch, options)
    return _processor_time() - start, resources(log)


def _processor_time():
    """Of this process and of those that it has waited for, such as nvcc."""
    return sum(os.times()[:4])


def resources(log):
    """``{kernel: {"registers", "spill", "stack", "smem"}}`` of a ``ptxas -v`` log."""
    out = {}
    for part in log.split("Compiling entry function ")[1:]:
        name = re.match(r"'(\w+)'", part)[1]
        out[name] = {
            "registers": _number(r"Used (\d+) registers", part),
            "spill": _number(r"(\d+) bytes spill stores", part),
            "stack": _number(r"(\d+) bytes stack frame", part),
            "smem": _number(r"(\d+) bytes smem", part),
        }
    return out


def _number(pattern, text):
    match = re.search(pattern, text)
    return int(match[1]) if match else 0


@functools.cache
def _library():
    return ctypes.CDLL(str(find_nvrtc()))


def _nvrtc(code, options):
    lib = _library()
    program = ctypes.c_void_p()
    made = lib.nvrtcCreateProgram(
        ctypes.byref(program), code.encode(), b"kernel.cu", 0, None, None
    )
    if made:
        raise RuntimeError(f"nvrtcCreateProgram returned {made}")
    try:
        encoded = [o.encode() for o in options]
        failed = lib.nvrtcCompileProgram(
            program, len(options), (ctypes.c_char_p * len(options))(*encoded)
        )
        log = _read(program, lib.nvrtcGetProgramLogSize, lib.nvrtcGetProgramLog)
        if failed:
            raise RuntimeError(log.decode())
        cubin = _read(program, lib.nvrtcGetCUBINSize, lib.nvrtcGetCUBIN)
        return cubin, log.decode()
    finally:
        lib.nvrtcDestroyProgram(ctypes.byref(program))


def _read(program, size, get):
    n = ctypes.c_size_t()
    size(program, ctypes.byref(n))
    text = ctypes.create_string_buffer(n.value)
    get(program, text)
    return text.raw


def _nvcc(code, options):
    with tempfile.TemporaryDirectory() as folder:
        source, cubin = (pathlib.Path(folder, f) for f in ("kernel.cu", "kernel.cubin"))
        source.write_text(code, encoding="utf-8")
        done = subprocess.run(
            ["nvcc", "-cubin", "-Xptxas=-v", *options, "-o", str(cubin), str(source)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return cubin.read_bytes(), done.stderr
