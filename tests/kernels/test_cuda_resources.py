"""The CUDA kernels compile for GPUs, and the table of what they need is true."""

import importlib
import pathlib
import re

import pytest

from convinv.kernels import launcher
from support.arrays import DTYPES
from support.paths import ROOT

TABLE = ROOT / "benchmarks" / "results" / "cuda_resources.md"
KERNELS = pathlib.Path(launcher.__file__).parent
FILES = sorted(
    path.relative_to(KERNELS).with_suffix("").as_posix()
    for path in KERNELS.glob("*/*.cu")
)
ARCHITECTURES = ["sm_75", "sm_80", "sm_90", "newest"]
SAMPLE = "TAPS=3 STRIDE=1"  # variants that the tests compile
REAL = {"poisson/cuda"}  # whose arrays are never complex
SHARED = 1024
REGISTERS = {
    "circulant/cuda": 80,
    "correlate/cuda": 240,
    "correlate/cuda_tiles": 128,  # KERNEL's number of blocks is what limits these
    "differences/cuda": 80,
    "givens/cuda": 64,
    "poisson/cuda": 80,
    "rows/cuda": 80,
    "sweeps/cuda": 128,
    "vectors/cuda": 64,
    "windows/cuda": 80,
}

if not TABLE.parent.is_dir():
    pytest.skip("no benchmarks beside the tests", allow_module_level=True)


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


@pytest.fixture
def resources(load):
    """The module of the tables; what it has compiled it keeps for the next test."""
    return load("cuda_resources.report")


@pytest.fixture
def nvrtc(load):
    compiler = load("cuda_resources.nvrtc")
    if not compiler.have_compiler():
        pytest.skip("neither an nvrtc wheel nor nvcc")
    return compiler


@pytest.fixture(scope="module")
def committed():
    return TABLE.read_text(encoding="utf-8")


@pytest.fixture
def read(load):
    return load("cuda_resources.reader").read


def architecture(resources, name):
    return resources.architectures()[-1] if name == "newest" else name


def dtypes_of(file):
    return DTYPES[:2] if file in REAL else DTYPES


def names_of_variants(resources, file):
    return {(name, d) for d in dtypes_of(file) for name in resources.variants(file, d)}


def check_limits(file, what, registers, spill, shared):
    assert spill == 0, what
    assert 0 < registers <= REGISTERS[file], what
    assert shared <= SHARED, what


class TestCompiles:
    @pytest.mark.parametrize("arch", ARCHITECTURES)
    @pytest.mark.parametrize("file", FILES)
    def test_for_gpus_without_spills(self, resources, nvrtc, file, arch):
        used = resources.kernels(file, architecture(resources, arch), SAMPLE)
        assert {dtype for _, dtype in used} == set(dtypes_of(file))
        for key, needs in used.items():
            what = f"{key}: {needs}"
            assert needs["stack"] == 0, what
            check_limits(file, what, needs["registers"], needs["spill"], needs["smem"])


class TestCompiler:
    SPILLING = """
    extern "C" __global__ void __launch_bounds__(1024, 1) spilling(double* y, int n) {
      double a[96];
      for (int i = 0; i < 96; ++i) a[i] = y[i * n];
      for (int k = 0; k < n; ++k)
        for (int i = 0; i < 96; ++i) a[i] = a[i] * a[(i + 7) % 96] + a[95 - i];
      for (int i = 0; i < 96; ++i) y[i * n] = a[i];
    }
    extern "C" __global__ void plain(float* y) {
      __shared__ float part[8];
      part[threadIdx.x % 8] = y[threadIdx.x];
      __syncthreads();
      y[threadIdx.x] = part[7 - threadIdx.x % 8];
    }
    """

    def check(self, nvrtc):
        cubin, log = nvrtc.compile_cubin(self.SPILLING, "sm_80")
        assert cubin[:4] == b"\x7fELF"
        used = nvrtc.resources(log)
        assert used["spilling"]["spill"] > 0 and used["spilling"]["stack"] > 0
        assert used["plain"]["spill"] == 0 and used["plain"]["smem"] == 32
        assert re.fullmatch(r"(NVRTC|nvcc) \d+(\.\d+)+", nvrtc.version())
        known = nvrtc.architectures()
        assert "sm_80" in known
        assert known == sorted(known, key=nvrtc.number_of)
        with pytest.raises(RuntimeError, match="error"):
            nvrtc.compile_cubin("not C++", "sm_80")

    def test_nvrtc(self, nvrtc):
        if nvrtc.find_nvrtc() is None:
            pytest.skip("no nvrtc wheel")
        self.check(nvrtc)

    def test_nvcc(self, nvrtc, monkeypatch):
        if nvrtc.shutil.which("nvcc") is None:
            pytest.skip("no nvcc")
        monkeypatch.setattr(nvrtc, "find_nvrtc", lambda: None)
        self.check(nvrtc)

    def test_architectures_of_the_table(self, resources, nvrtc, monkeypatch):
        """Known limits, and one architecture of every generation after them."""
        known = ["sm_75", "sm_86", "sm_90", "sm_120", "sm_121", "sm_130", "sm_135"]
        monkeypatch.setattr(nvrtc, "architectures", lambda: known)
        assert resources.architectures() == ["sm_75", "sm_90", "sm_120", "sm_130"]
        needs = {"registers": 40, "spill": 4, "smem": 8}
        assert resources.cell("sm_130", needs) == "40 / 4 / 8 / -"


class TestTable:
    def test_is_complete(self, resources, read, committed):
        compiler, tables = read(committed)
        assert f"`{resources.COMMAND}`" in committed
        assert re.fullmatch(r"(NVRTC|nvcc) [\d.]+", compiler)
        assert sorted(tables) == FILES == sorted(REGISTERS)
        archs = {tuple(row) for table in tables.values() for row in table.values()}
        assert len(archs) == 1
        assert set(archs.pop()) >= {"sm_75", "sm_80", "sm_90", "sm_100", "sm_120"}
        for file, table in tables.items():
            assert {dtype for _, dtype in table} == set(dtypes_of(file))
            assert names_of_variants(resources, file) == {
                (kernel.partition(" ")[2], dtype) for kernel, dtype in table
            }

    @pytest.mark.parametrize("file", FILES)
    def test_holds_the_limits(self, resources, read, committed, file):
        for key, row in read(committed)[1][file].items():
            for arch, cell in row.items():
                registers, spill, shared, blocks = cell.split(" / ")
                needs = {"registers": int(registers), "smem": int(shared)}
                check_limits(file, (key, arch), int(registers), int(spill), int(shared))
                if arch in resources.LIMITS:
                    assert int(blocks) == resources.blocks(arch, needs) > 0

    @pytest.mark.parametrize("arch", ARCHITECTURES)
    @pytest.mark.parametrize("file", FILES)
    def test_is_what_the_compiler_says(
        self, resources, nvrtc, read, committed, file, arch
    ):
        """Numbers differ between compilers; the kernels there are do not."""
        compiler, tables = read(committed)
        arch, table = architecture(resources, arch), tables[file]
        used = resources.kernels(file, arch, SAMPLE)
        again = f"run {resources.COMMAND}"
        there = {key for key in table if " " not in key[0] or SAMPLE in key[0]}
        assert used.keys() == there, again
        if compiler == nvrtc.version():
            for key, needs in used.items():
                assert table[key][arch] == resources.cell(arch, needs), (key, again)

    def test_summary_of_the_docs(self, committed):
        """The page shows a part of the report, which has a row for every file."""
        page = ROOT / "docs" / "inside" / "cuda.rst"
        if not page.is_file():
            pytest.skip("no documentation beside the tests")
        part = committed.split("\n## Largest\n")[1].split("\n## ")[0]
        lines = [line for line in part.splitlines() if line.startswith("|")]
        assert len(lines) == 2 + len(FILES)
        text = page.read_text(encoding="utf-8")
        assert "results/cuda_resources.md\n   :sections: Largest\n" in text


class TestOccupancy:
    @pytest.mark.parametrize(
        "arch, threads, registers, shared, blocks",
        [
            ("sm_80", 256, 32, 0, 8),  # 64 warps
            ("sm_75", 256, 32, 0, 4),
            ("sm_120", 256, 32, 0, 6),
            ("sm_90", 256, 64, 64, 4),  # 8 warps in each quarter of the registers
            ("sm_90", 256, 65, 64, 3),  # 72 registers are given, for 7 warps
            ("sm_90", 256, 168, 0, 1),  # 3 warps of 168 registers in a quarter
            ("sm_80", 32, 16, 0, 32),
            ("sm_75", 32, 16, 0, 16),
            ("sm_75", 256, 16, 32 * 1024, 2),  # nothing is reserved there
            ("sm_80", 256, 16, 40 * 1024, 4),  # 41 KB of each
            ("sm_120", 256, 16, 48 * 1024 + 1, 2),
            ("sm_120", 256, 16, 49 * 1024 + 1, 1),
        ],
    )
    def test_by_hand(self, load, arch, threads, registers, shared, blocks):
        occupancy = load("cuda_resources.occupancy")
        fitting = occupancy.resident_blocks(arch, threads, registers, shared)
        assert fitting == blocks
