"""Sphinx configuration.

Build from the repository's root, and look at ``docs/_build/html/index.html``::

    python -m sphinx -W --keep-going -n -b html docs docs/_build/html

This runs the examples of the gallery, unless ``-D plot_gallery=0`` is given. Neither
the build nor the pages need the network: formulas are written as MathML, and the names
of other projects that the pages link to are listed in ``_inventories``.
"""

import importlib.util
import pathlib
import sys

DOCS = pathlib.Path(__file__).parent
sys.path[:0] = [str(DOCS / "_ext"), str(DOCS.parent)]

from gallery_settings import sphinx_gallery_conf  # noqa: E402, F401

import convinv  # noqa: E402

project = "convinv"
author = "the convinv developers"
copyright = author
version = release = convinv.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinxarg.ext",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "convinv_charts",
    "convinv_mathml",
    "convinv_measured",
    "convinv_names",
    "convinv_pages",
]
exclude_patterns = ["_build", "examples"]
templates_path = ["_templates"]
default_role = "py:obj"
nitpicky = True
html_math_renderer = "mathml"

# the pages of what needs a library are the same without it
OPTIONAL = (
    *("cloudpickle", "dask", "deepinv", "jax", "napari", "odl", "onnx", "pylops"),
    *("sigpy", "torch"),
)
autodoc_mock_imports = [n for n in OPTIONAL if not importlib.util.find_spec(n)]
autodoc_inherit_docstrings = False  # PyTorch and SciPy describe their own classes
autodoc_member_order = "bysource"
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 88
# a page for each; a file system that ignores case must keep these apart
autosummary_filename_map = {
    "convinv.spectra.Spectrum": "convinv.spectra.Spectrum-class"
}
numpydoc_show_class_members = False

INVENTORIES = {
    "python": "https://docs.python.org/3/",
    "numpy": "https://numpy.org/doc/stable/",
    "scipy": "https://docs.scipy.org/doc/scipy/",
    "jax": "https://docs.jax.dev/en/latest/",
    "torch": "https://docs.pytorch.org/docs/stable/",
    "skimage": "https://scikit-image.org/docs/stable/",
}
intersphinx_mapping = {
    name: (url, str(DOCS / "_inventories" / f"{name}.txt"))
    for name, url in INVENTORIES.items()
}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = f"convinv {version}"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_search_scorer = str(DOCS / "search_scorer.js")
html_css_files = ["convinv.css"]
html_theme_options = {
    "logo": {
        "image_light": "_static/logo-light.svg",
        "image_dark": "_static/logo-dark.svg",
        "alt_text": "convinv, front page",
    },
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": True,
    "secondary_sidebar_items": {
        "**": ["page-toc", "edit-this-page", "sourcelink"],
        "index": [],
    },
    "use_edit_page_button": True,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_context = {
    "default_mode": "auto",
    "github_user": "convinv",
    "github_repo": "convinv",
    "github_version": "main",
    "doc_path": "docs",
}
html_sidebars = {"index": [], "changelog": [], "search": []}
