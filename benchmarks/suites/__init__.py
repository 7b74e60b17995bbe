"""The asv suites, one for each part of the package; asv.conf.json names this folder.

asv imports it under the name ``suites``, and keeps the repository's root off the path,
where it would hide the convinv that asv has built. What the suites share is imported
from ``benchmarks.support`` all the same: the package `benchmarks` is made known here by
its folder. Suites do no work when they are imported.
"""

import importlib.util
import pathlib
import sys

import numba  # noqa: F401  here, so that processes forked later need not import it


def register(name, folder):
    """Import the package in a folder by a name, without a path to search for it."""
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


if "benchmarks" not in sys.modules:  # as it is when tests import benchmarks.suites
    register("benchmarks", pathlib.Path(__file__).resolve().parents[1])
