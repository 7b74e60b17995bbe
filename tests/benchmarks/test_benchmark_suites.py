"""The asv suites, imported as asv imports them."""

import importlib
import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SUITES = ROOT / "benchmarks" / "suites"

if not SUITES.is_dir():
    pytest.skip("no benchmarks beside the tests", allow_module_level=True)

# The folder that holds the suites is found by its name alone, as by asv's importer.
LIKE_ASV = """
import importlib, json, pathlib, sys
from importlib.machinery import PathFinder

folder, package = sys.argv[1:]
sys.path[:] = [p for p in sys.path if pathlib.Path(p).resolve() != pathlib.Path.cwd()]
sys.path.insert(0, package)


class Suites:
    @staticmethod
    def find_spec(name, path, target=None):
        if name == "suites":
            return PathFinder.find_spec(name, [str(pathlib.Path(folder).parent)])


class Absent:
    # what asv's environment does not have
    names = "asv", "cpuinfo", "matplotlib", "pandas", "psutil", "tabulate", "torch"

    @classmethod
    def find_spec(cls, name, path, target=None):
        if name in cls.names:
            raise ModuleNotFoundError(name)


sys.meta_path[:0] = [Suites, Absent]
suites = pathlib.Path(folder)
for file in sorted(suites.glob("bench_*.py")):
    importlib.import_module(f"suites.{file.stem}")
sys.meta_path.remove(Absent)
for file in sorted(suites.with_name("support").glob("[a-z]*.py")):
    importlib.import_module(f"benchmarks.support.{file.stem}")
import convinv

ours = [name for name in sys.modules if name.startswith("benchmarks.")]
params = {
    f"{name}.{key}": repr(value.params)
    for name, module in sys.modules.items()
    if name.startswith("suites.")
    for key, value in vars(module).items()
    if isinstance(value, type) and hasattr(value, "params")
}
print(json.dumps([convinv.__file__, ours, params]))
"""

# What the first version had of the names that suites import.
OLDEST = """
from . import kernels


class ConvLinearOperator:
    pass


class ConvergenceWarning(UserWarning):
    pass


def solve(op, b, method="auto"):
    raise NotImplementedError


def methods():
    return []
"""


def discovered(built):
    """The file of convinv, modules of benchmarks and parameters, as asv finds them."""
    command = [sys.executable, "-P", "-c", LIKE_ASV, str(SUITES), str(built)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def newest(tmp_path_factory):
    built = tmp_path_factory.mktemp("built")
    (built / "convinv").symlink_to(ROOT / "convinv")
    return built, *discovered(built)


def test_suites_need_no_root_on_the_path(newest):
    """They measure the convinv that is built; shared modules import no other part."""
    built, convinv, ours, _ = newest
    assert convinv.startswith(str(built))
    assert {name.split(".")[1] for name in ours} == {"support"}


def test_suites_are_found_on_old_versions(newest, tmp_path):
    """Whatever they lack, and with the same parameters, by whose place asv asks."""
    package = tmp_path / "convinv"
    (package / "kernels").mkdir(parents=True)
    (package / "__init__.py").write_text(OLDEST)
    (package / "kernels" / "__init__.py").write_text("")
    convinv, _, params = discovered(tmp_path)
    assert convinv.startswith(str(package))
    assert params == newest[3]
    assert len(params) > 40


def test_what_a_version_lacks_skips_the_benchmark():
    skipped = pytest.importorskip("asv_runner.benchmarks.mark").SkipNotImplemented
    from benchmarks.support.versions import optional, require_method, traits

    solve, novelty = optional("convinv", "solve", "novelty")
    assert solve is importlib.import_module("convinv").solve
    with pytest.raises(skipped, match=r"no convinv\.novelty"):
        novelty(1, option=2)
    with pytest.raises(skipped, match=r"no convinv\.later\.thing\.part"):
        optional("convinv.later").thing.part()
    with pytest.raises(skipped, match=r"no convinv\.gallery\.nothing"):
        optional("convinv.gallery").nothing("x")
    with pytest.raises(skipped, match="no method 'nothing'"):
        require_method("nothing")
    with pytest.raises(skipped, match="no traits of 'nothing'"):
        traits("nothing")
    require_method("cgls")
    assert not traits("cgls").square


def test_literal_names_are_those_of_the_package():
    import convinv
    from benchmarks.suites.bench_kernels import BOUNDARIES
    from benchmarks.support.versions import method_names
    from convinv._core import boundaries

    assert BOUNDARIES == tuple(boundaries.BOUNDARIES)
    for objective in ("least-squares", "poisson"):
        listed = {m.name for m in convinv.methods() if m.objective == objective}
        # a recipe that the tests may have enrolled has no file of its own
        assert set(method_names(objective)) == listed - {"descent"}


def test_tracked_benchmarks_keep_their_versions():
    """So that an edited suite does not make asv forget the results of old commits."""
    from benchmarks.suites import bench_history

    classes = [
        value
        for value in vars(bench_history).values()
        if isinstance(value, type) and value.__module__ == bench_history.__name__
    ]
    assert len(classes) > 8
    assert all(value.version == "1" for value in classes)
