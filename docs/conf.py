"""Sphinx configuration.

Build from the repository's root with
``python -m sphinx -W --keep-going -b html docs docs/_build/html``. Links into other
projects' documentation need the network and are made if the environment variable
CONVINV_INTERSPHINX is set. The build itself needs no network. Formulas are TeX in the
pages and drawn by MathJax, which browsers load.
"""

import importlib.util
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "docs" / "_ext"), str(ROOT)]

import convinv  # noqa: E402

project = "convinv"
author = "the convinv developers"
copyright = author
version = release = convinv.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "numpydoc",
    "convinv_pages",
]
exclude_patterns = ["_build"]
default_role = "py:obj"
nitpicky = False

# PyTorch is a large wheel: without it the pages of what needs it are the same
autodoc_mock_imports = [] if importlib.util.find_spec("torch") else ["torch"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False

if os.environ.get("CONVINV_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "cupy": ("https://docs.cupy.dev/en/stable", None),
    }

html_theme = "pydata_sphinx_theme"
html_title = f"convinv {version}"
html_theme_options = {
    "show_prev_next": False,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"**": []}
html_copy_source = False
