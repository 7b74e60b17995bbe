"""Compile CUDA C++ for a GPU without one: by NVRTC through ctypes, else by nvcc."""

import ctypes
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


def compile_cubin(code, arch, options=()):
    """``(cubin, log)`` of `code`; CuPy's RawModule adds ``-ftz=true`` as we do."""
    options = [f"-arch={arch}", "-ftz=true", *options]
    if find_nvrtc() is None:
        return _nvcc(code, options)
    return _nvrtc(code, [*options, "--ptxas-options=-v"])


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


def _nvrtc(code, options):
    lib = ctypes.CDLL(str(find_nvrtc()))
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
