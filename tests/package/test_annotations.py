"""The public API is annotated in full."""

import importlib
import inspect

import pytest

from convinv import cli
from support.optional_packages import NEEDS, missing, skipped
from support.paths import PACKAGE

MODULES = [
    *("", ".gallery", ".interop", ".interop.napari", ".interop.skimage"),
    *(".learning", ".local_inverse", ".lowrank"),
    *(".operators", ".precondition", ".proximal", ".spectra", ".strips"),
    ".testing",
]
NAMES = [f"convinv{name}" for name in MODULES] + sorted(NEEDS)


def functions(thing):
    """The functions that a public name stands for, those of a class among them."""
    if not inspect.isclass(thing):
        yield from [thing] if inspect.isfunction(thing) else []
        return
    for base in thing.__mro__:
        for name, value in vars(base).items():
            if name.startswith("_") and not name.endswith("__"):
                continue
            # of properties, class and static methods, cached properties
            for part in ("fget", "__func__", "func"):
                value = getattr(value, part, value)
            yield from [value] if inspect.isfunction(value) else []


def unannotated(function):
    """The arguments without an annotation, and "return"."""
    found = inspect.signature(function)
    names = [p.name for p in found.parameters.values() if p.annotation is p.empty]
    if found.return_annotation is found.empty and function.__name__ != "__init__":
        names.append("return")
    return [name for name in names if name not in ("self", "cls")]


@pytest.mark.parametrize(
    "name", [skipped(missing(n), n) if missing(n) else n for n in NAMES]
)
def test_every_argument_has_a_type(name):
    module = importlib.import_module(name)
    seen = set()
    for public in module.__all__:
        for function in functions(getattr(module, public)):
            # not those of other packages, nor what dataclasses make
            if function.__code__.co_filename.startswith(str(PACKAGE)):
                seen.add(function)
                assert not unannotated(function), function.__qualname__
    assert seen


def test_the_command():
    assert not unannotated(cli.main)
