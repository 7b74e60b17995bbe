"""The code blocks of docs/inside/adding.rst, run where a file of the package would be.

With ``--recipes`` pytest enrols the method and the preconditioner that the page shows
before it collects tests.
"""

import re
import sys
import textwrap
import types

from .pages import read

PLACES = {"solvers": "A method", "precondition": "A preconditioner"}


def block(section):
    """The code of the section's first literal block that imports anything."""
    text = read("inside/adding")
    text = text.split(f"\n{section}\n", 1)[1]
    found = re.findall(r"::\n\n((?:    .*\n|\n)+)", text)
    return textwrap.dedent(next(code for code in found if "from .." in code))


def enrol():
    """Run each block as a module of its room."""
    for room, section in PLACES.items():
        module = types.ModuleType(f"convinv.{room}.recipe")
        module.__package__ = f"convinv.{room}"
        sys.modules[module.__name__] = module
        exec(block(section), vars(module))
