"""The package's CUDA files, and the forms in which each may be compiled."""

import contextlib
import functools
import importlib.util
import pathlib
import sys
import types
from unittest import mock

from convinv.kernels import launcher

FOLDER = pathlib.Path(launcher.__file__).parent
PACKAGE = launcher.__package__


def files() -> list[str]:
    """The package's CUDA files: their paths in the folder of kernels, no suffix."""
    paths = (path.relative_to(FOLDER) for path in FOLDER.glob("*/*.cu"))
    return sorted(path.with_suffix("").as_posix() for path in paths)


def variants(file: str, dtype: str) -> dict[str, tuple[str, ...]]:
    """``{name: defines}``: the forms in which a file may be compiled for `dtype`."""
    sizes = _sizes(file)
    if sizes is None:
        return {"": ()}
    return {
        " ".join(define.removeprefix("-D") for define in defines): defines
        for defines in sizes.variants(dtype)
    }


@functools.cache
def _sizes(file):
    """The module that knows what sizes ``file.cu`` is compiled for, if there is one.

    It imports CuPy, which it needs for launches only, so that where there is none an
    empty module does.
    """
    path = FOLDER / f"{file}.py"
    if "def variants(" not in path.read_text(encoding="utf-8"):
        return None
    folder, name = file.split("/")
    # under a name of its own: nobody else is to meet a launcher without CuPy
    spec = importlib.util.spec_from_file_location(
        f"{PACKAGE}.{folder}._{name}_sizes", path
    )
    module = importlib.util.module_from_spec(spec)
    with contextlib.ExitStack() as stack:
        if importlib.util.find_spec("cupy") is None:
            empty = {"cupy": types.ModuleType("cupy")}
            stack.enter_context(mock.patch.dict(sys.modules, empty))
        spec.loader.exec_module(module)
    return module
