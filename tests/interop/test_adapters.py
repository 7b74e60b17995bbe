"""The table of adapters, and libraries that are not installed."""

import re

import pytest

from convinv import interop
from convinv._core.optional import PACKAGES
from support.optional_packages import NEEDS
from support.paths import PACKAGE
from support.processes import run

FOLDER = PACKAGE / "interop"
MODULES = sorted(
    path.stem
    for path in FOLDER.iterdir()
    if path.name[0] != "_" and (path.suffix == ".py" or (path / "__init__.py").exists())
)
LIBRARIES = [name for name in MODULES if name != "dlpack"]


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_adapter_is_in_the_table(name):
    assert f"convinv.interop.{name}." in interop.__doc__
    assert name in dir(interop)


def test_nothing_else_is_in_the_table():
    told = set(re.findall(r"convinv\.interop\.(\w+)\.", interop.__doc__))
    assert told == set(LIBRARIES)
    assert set(dir(interop)) == {*LIBRARIES, *interop.__all__}


@pytest.mark.parametrize("module", sorted(NEEDS))
def test_what_is_missing_is_named(module):
    """Whichever way the module is loaded; the package itself does not load it."""
    library = NEEDS[module]
    code = (
        "import sys\n"
        f"sys.modules[{library!r}] = None\n"
        "import importlib, convinv\n"
        f"assert {module!r} not in sys.modules\n"
        f"for load in (lambda: importlib.import_module({module!r}),\n"
        f"             lambda: {module}):\n"
        "    try:\n"
        "        load()\n"
        "    except ImportError as error:\n"
        "        print(error)\n"
    )
    done = run(code, PYTHONPATH=str(PACKAGE.parent))
    assert done.returncode == 0, done.stderr
    package = PACKAGES.get(library, library)
    said = f"{module} needs {package}: python -m pip install {package}\n"
    assert done.stdout == 2 * said
