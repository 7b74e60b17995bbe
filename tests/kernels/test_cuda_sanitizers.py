"""The CUDA kernels under the sanitizers for addresses and threads."""

import os
import subprocess
import sys

import pytest

from support.paths import PACKAGE, ROOT

SANITIZED = """
import sys

sys.path[:0] = {path!r}
from support.cuda_host import fake_cupy, host_module, installed
from convinv.kernels import launcher
from support import cuda_checks as t

host_module.GUARD = 0  # the sanitizer's own guards reach up to the array
fake_cupy.RawModule.sanitize = {sanitizer!r}
with installed() as cupy:
    from convinv.kernels.circulant import cuda as circulant_cuda
    from convinv.kernels.correlate import cuda as correlate_cuda
    from convinv.kernels.vectors import cuda as vectors_cuda
    from convinv.kernels.windows import cuda as windows_cuda

    {body}
"""
BOUNDS = """
    for name in t.LAYERS:
        t.run_layer(cupy, correlate_cuda, name, "float32", 2)
    get = type(cupy.zeros(1)).get
    t.check_vectors(vectors_cuda, cupy.asarray, get, True, "float32", 3, 4099)
    t.check_project(vectors_cuda, cupy.asarray, get, True, "float32", 3, 4099)
    for name in t.WINDOWS:
        t.check_windows(cupy, windows_cuda, name, "float32")
    for name in t.CIRCULANTS:
        t.check_circulant(cupy, circulant_cuda, name, "float32")
"""
BEYOND = """
    outside = cupy.RawModule(code=t.FAULTY).get_function("outside")
    outside((1,), (1,), (cupy.zeros(5000, "f4"), t.np.int32(5000)))
"""
RACES = """
    launcher.MAX_YZ = 1  # so that a block sums again and again
    x = cupy.asarray(t.random((3, 300), "complex64"))
    vectors_cuda.dot(x, x)
    from convinv.kernels.correlate import cuda_tiles as tiles
    tiles.ENOUGH = 1  # so that shared memory is filled again and again
    t.run_layer(cupy, correlate_cuda, "groups", "complex64", 1)
    tiles.SHARED = 0
    t.run_layer(cupy, correlate_cuda, "groups", "complex64", 1)
"""
NO_BARRIER = """
    text = launcher.source
    launcher.source = lambda name: text(name).replace("__syncthreads();  //", "//")
    launcher.MAX_YZ = 1
    x = cupy.asarray(t.random((3, 300), "complex64"))
    for _ in range(8):  # whether threads meet is chance
        vectors_cuda.dot(x, x)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "sanitizer, body, report",
    [
        ("address", BOUNDS, None),
        ("address", BEYOND, "heap-buffer-overflow"),
        ("thread", RACES, None),
        ("thread", NO_BARRIER, "data race"),
    ],
    ids=["bounds", "out of bounds", "races", "race"],
)
def test_sanitizers(tmp_path, sanitizer, body, report):
    name = {"address": "libasan.so", "thread": "libtsan.so"}[sanitizer]
    command = ["g++", f"-print-file-name={name}"]
    library = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(library):
        pytest.skip(f"{name} is not installed")
    path = [str(ROOT / "tests"), str(PACKAGE.parent)]
    script = tmp_path / "run.py"
    script.write_text(
        SANITIZED.format(path=path, sanitizer=sanitizer, body=body.strip())
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "LD_PRELOAD": library,
            "OPENBLAS_NUM_THREADS": "1",
            "ASAN_OPTIONS": "detect_leaks=0",
            "TSAN_OPTIONS": "exitcode=66",
        },
    )
    if report is None:
        assert done.returncode == 0, done.stderr[-3000:]
    else:
        assert report in done.stderr and done.returncode != 0, done.stderr[-3000:]
