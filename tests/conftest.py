"""Options, markers and profiles of the test suite."""

import importlib.util
import os
import pathlib
import shutil
import sys

# One thread of a BLAS, which reads this when it is loaded: the matrices are small, and
# threads that wait for each other beside another test process take most of its time.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

ROOT = pathlib.Path(__file__).parents[1]

# `support` is imported by test files in any folder; what it asserts is shown as theirs.
sys.path.insert(0, str(ROOT / "tests"))
pytest.register_assert_rewrite("support")

# The same examples in every run; `--hypothesis-profile=more` draws many new ones.
settings.register_profile(
    "fixed", max_examples=300, deadline=None, derandomize=True, database=None
)
settings.register_profile("more", max_examples=2000, deadline=None, print_blob=True)
settings.register_profile("few", settings.get_profile("fixed"), max_examples=10)
settings.load_profile("fixed")


def pytest_addoption(parser):
    parser.addoption(
        "--require-gpu",
        action="store_true",
        help="fail the tests that need a GPU where none is found; by default skip them",
    )
    parser.addoption(
        "--drygpu",
        action="store_true",
        help="run the tests that need a GPU on a fake one: the real CuPy over memory "
        "of the host and kernels that g++ compiles",
    )
    parser.addoption(
        "--slow",
        action="store_true",
        help="run the tests marked slow too, which take a minute or so each",
    )
    parser.addoption(
        "--no-pool",
        action="store_true",
        help="an allocation for every array of CuPy, so that a memory checker of CUDA "
        "sees accesses outside them",
    )
    parser.addoption(
        "--recipes",
        action="store_true",
        help="enrol the method and the preconditioner of docs/inside/adding.rst",
    )


def lacking(*programs, modules=()):
    """Those of them that are not installed, for a message."""
    missing = [name for name in programs if not shutil.which(name)]
    missing += [name for name in modules if not importlib.util.find_spec(name)]
    return ", ".join(missing)


def pytest_configure(config):
    if config.getoption("--drygpu"):
        if missing := lacking("g++", "nm", modules=["cupy"]):
            raise pytest.UsageError(f"--drygpu needs {missing}")
        from support import drygpu

        drygpu.install()
        settings.load_profile("few")  # each example may need a kernel of its own
    if config.getoption("--no-pool"):
        import cupy

        cupy.cuda.set_allocator(None)
    if config.getoption("--recipes"):
        from support.recipes import enrol

        enrol()


def gpu_missing():
    """Why no GPU can be used, or None."""
    try:
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # a broken cupy raises all sorts of errors
        return f"{type(error).__name__}: {error}"
    return None if count else "no CUDA device"


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: runs with --slow"))
    marked = [item for item in items if item.get_closest_marker("gpu")]
    reason = gpu_missing() if marked else None
    if reason is None or config.getoption("--require-gpu"):
        return
    for item in marked:
        item.add_marker(pytest.mark.skip(reason=f"needs a GPU ({reason})"))


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and item.config.getoption("--require-gpu"):
        reason = gpu_missing()
        if reason is not None:
            pytest.fail(f"--require-gpu was given, but: {reason}", pytrace=False)


@pytest.fixture(
    scope="module", params=["host", pytest.param("gpu", marks=pytest.mark.gpu)]
)
def cupy(request):
    """The stand-in, where the package looks for ``cupy``; and ``cupy`` itself."""
    if request.param == "gpu":
        yield importlib.import_module("cupy")
        return
    from support.cuda_host import installed

    if missing := lacking("g++"):
        pytest.fail(f"needs {missing}", pytrace=False)
    with installed() as module:
        yield module


@pytest.fixture
def launched(monkeypatch):
    """The kernels of the package that are launched, in a list that grows."""
    from convinv.kernels import launcher

    found, launch = [], launcher.launch
    monkeypatch.setattr(
        launcher, "launch", lambda *a, **k: found.append(a[0]) or launch(*a, **k)
    )
    return found


@pytest.fixture
def load(monkeypatch):
    """Imports a module of the experiments by its name."""
    if not (ROOT / "benchmarks" / "papers").is_dir():
        pytest.skip("no benchmarks beside the tests")
    pytest.importorskip("matplotlib")
    pytest.importorskip("skimage")
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.papers.{name}")
