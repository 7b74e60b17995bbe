"""Compiled kernels are kept in the user's folder for caches, never in the package."""

import os
import pathlib
import shutil
import sys

import pytest

from support.paths import PACKAGE
from support.processes import run

CODE = """
import numpy as np
from convinv.kernels import jit_cache
from convinv.kernels.correlate import cpu
from convinv.kernels.windows import cpu
from convinv.kernels.vectors import cpu

print(jit_cache.folder())
print(cpu.sumsq(np.full((1, 2), 2.0)))
print(sum(cpu._sumsq.stats.cache_hits.values()))
"""


def install(place):
    """A copy of the package, without anything compiled."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, place / "convinv", ignore=ignore)
    return place


def use(place, **environment):
    """Where kernels are kept, what one gives, and how many came from there."""
    environment = {"NUMBA_CACHE_DIR": None, "PYTHONPATH": str(place), **environment}
    done = run(CODE, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def home(folder):
    """The variables of a user whose home is a folder."""
    names = ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "LOCALAPPDATA")
    return {name: str(folder) for name in names}


def files(place):
    return {path for path in pathlib.Path(place).rglob("*") if path.is_file()}


def written(place):
    """What a run left in an installed package, but for Python's own cache."""
    packaged = (".py", ".pyc", ".cu", ".cuh", ".yaml")
    return [
        p for p in files(place) if p.suffix not in packaged and p.name != "py.typed"
    ]


def nowhere(tmp_path):
    """A path in which no folder can be made, not even by root."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    return tmp_path / "file" / "cache"


def test_the_user_s_folder(tmp_path):
    place, user = install(tmp_path / "site"), tmp_path / "user"
    folder, value, hits = use(place, **home(user))
    assert value == "[8.]" and hits == "0"
    assert pathlib.Path(folder).is_relative_to(user)
    assert any(path.suffix == ".nbi" for path in files(folder))
    assert not written(place)
    again = use(place, **home(user))
    assert again == [folder, value, "1"]


@pytest.mark.slow
def test_two_installs_share_nothing(tmp_path):
    one, two = (install(tmp_path / name) for name in ("one", "two"))
    user = home(tmp_path / "user")
    folder, *_ = use(one, **user)
    kept = files(folder)
    other, _, hits = use(two, **user)
    assert other != folder and hits == "0"
    assert files(folder) == kept and use(one, **user)[2] == "1"
    with open(
        two / "convinv" / "kernels" / "correlate" / "inner_loop.py", "a"
    ) as source:
        source.write("# a change in a file that others take functions from\n")
    assert use(two, **user)[0] not in (folder, other)


def test_a_folder_that_is_asked_for(tmp_path):
    place, user = install(tmp_path / "site"), tmp_path / "user"
    chosen = str(tmp_path / "chosen")
    folder, value, _ = use(place, **home(user), NUMBA_CACHE_DIR=chosen)
    assert folder == chosen and value == "[8.]"
    assert files(chosen) and not files(user) and not written(place)


@pytest.mark.parametrize("asked", [False, True])
def test_no_place_for_a_cache(tmp_path, asked):
    """Kernels work, and the package is left alone: numba would write there."""
    place, path = install(tmp_path / "site"), nowhere(tmp_path)
    options = {"NUMBA_CACHE_DIR": str(path)} if asked else {}
    assert use(place, **home(path), **options) == ["None", "[8.]", "0"]
    assert not written(place)


def test_numba_s_own_setting_is_left_alone(tmp_path):
    code = (
        "import numba; before = numba.config.CACHE_DIR\n"
        "from convinv.kernels.vectors import cpu\n"
        "print(numba.config.CACHE_DIR == before)"
    )
    path = os.pathsep.join([str(PACKAGE.parent), *sys.path])
    done = run(code, PYTHONPATH=path, NUMBA_CACHE_DIR=None, **home(tmp_path))
    assert done.stdout == "True\n", done.stderr
