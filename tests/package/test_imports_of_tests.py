"""Tests are collected where optional packages are missing, as on a device's machine.

One import of such a package at the top of a file would end the whole run.
"""

import ast
import configparser
import pathlib
import re
import sys

import pytest

from support.paths import ROOT

TESTS = ROOT / "tests"
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg", encoding="utf-8")
REQUIRED = re.findall(r"^[\w-]+", CONFIG["options"]["install_requires"], re.MULTILINE)
OWN = {"benchmarks", "convinv", "random_search", "support"}
FREE = {*REQUIRED, *OWN, *sys.stdlib_module_names, "hypothesis", "pytest"}
FILES = sorted(TESTS.rglob("test_*.py")) + sorted(TESTS.rglob("conftest.py"))


def imported(node):
    """The names of the packages that a statement imports."""
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and not node.level:
        return {node.module.split(".")[0]}
    return set()


def asked_for(node):
    """The packages that ``importorskip`` names in a statement."""
    calls = (n for n in ast.walk(node) if isinstance(n, ast.Call))
    return {
        call.args[0].value.split(".")[0]
        for call in calls
        if getattr(call.func, "attr", "") == "importorskip"
    }


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: str(pathlib.Path(path).relative_to(TESTS))
)
def test_optional_packages_are_asked_for_first(path):
    known = set(FREE)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            known |= asked_for(node)
        assert imported(node) <= known, f"line {node.lineno}"
