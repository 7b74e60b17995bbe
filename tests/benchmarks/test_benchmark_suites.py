"""The asv suites, imported as asv imports them."""

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


sys.meta_path.insert(0, Suites)
suites = pathlib.Path(folder)
for file in sorted(suites.glob("bench_*.py")):
    importlib.import_module(f"suites.{file.stem}")
for file in sorted(suites.with_name("support").glob("[a-z]*.py")):
    importlib.import_module(f"benchmarks.support.{file.stem}")
import convinv

ours = [name for name in sys.modules if name.startswith("benchmarks.")]
print(json.dumps([convinv.__file__, ours]))
"""


def test_suites_need_no_root_on_the_path(tmp_path):
    """They measure the convinv that is built; shared modules import no other part."""
    built = tmp_path / "built"
    built.mkdir()
    (built / "convinv").symlink_to(ROOT / "convinv")
    command = [sys.executable, "-P", "-c", LIKE_ASV, str(SUITES), str(built)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    convinv, ours = json.loads(done.stdout)
    assert convinv.startswith(str(built))
    assert {name.split(".")[1] for name in ours} == {"support"}
