"""Settings of the gallery: which examples run, in which order, how figures look.

An example that imports a library which is not installed is shown without being run.
"""

import ast
import importlib.util
import pathlib
import re
import sys

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
SECTIONS = (
    "deblur",
    "large",
    "layers",
    "kernels",
    "rules",
    "lowrank",
    "torch",
    "plugging_in",
)
FIRST = (  # in their sections, in this order
    "plot_color_photograph.py",
    "plot_motion_blur.py",
    "plot_defocus.py",
    "plot_total_variation.py",
    "plot_large_image.py",
    "plot_invert_layer.py",
    "plot_layer_report.py",
    "plot_noise_gain.py",
    "plot_estimate_psf.py",
    "plot_damping_rules.py",
    "plot_matrix_completion.py",
    "plot_decoder.py",
)
STYLE = {
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.size": 11,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
    "legend.fontsize": 10,
    "legend.frameon": False,
}


def examples():
    """The files of all examples."""
    return sorted(EXAMPLES.glob("*/plot_*.py"))


def libraries(source):
    """The libraries that a script needs, by the imports that it makes in any case.

    Imports within functions, ``if`` or ``try`` are the script's own affair. A module of
    `convinv.interop` needs the library that it is named after.
    """
    needed = set()
    for statement in ast.parse(source).body:
        for name in imported(statement):
            top, *inner = name.split(".")
            if top != "convinv":
                needed.add(top)
            elif inner[:1] == ["interop"] and adapts(inner[1:2]):
                needed.add(inner[1])
    return needed - set(sys.stdlib_module_names)


def imported(statement):
    """Names that a statement imports, with those of modules spelled out."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if isinstance(statement, ast.ImportFrom) and statement.module:
        names = [f"{statement.module}.{alias.name}" for alias in statement.names]
        return [statement.module, *names]
    return []


def adapts(names):
    """Whether ``convinv.interop.NAME`` is a module rather than a function."""
    return any(importlib.util.find_spec(f"convinv.interop.{name}") for name in names)


def is_library(name):
    """Whether ``import NAME`` finds something: skimage is installed, say."""
    return importlib.util.find_spec(name) is not None


def runs(path):
    return all(map(is_library, libraries(path.read_text(encoding="utf-8"))))


def pattern(paths):
    """A regular expression that finds these files and no others, by their paths' ends.

    Without any it finds none.
    """
    ends = ("/".join(path.parts[-2:]) for path in paths)
    return "|".join(re.escape(f"/{end}") + "$" for end in ends) or "(?!)"


def position(name):
    """The key that orders the examples of a section."""
    return FIRST.index(name) if name in FIRST else len(FIRST), name


def reset(gallery_conf, name):
    """Give all figures one style, which an example may change for itself."""
    import matplotlib.pyplot

    matplotlib.pyplot.close("all")
    matplotlib.pyplot.rcdefaults()
    matplotlib.rcParams.update(STYLE)


sphinx_gallery_conf = {
    "abort_on_example_error": True,
    "backreferences_dir": "gallery/backreferences",
    "capture_repr": ("_repr_html_",),
    "doc_module": ("convinv",),
    "download_all_examples": False,
    "examples_dirs": "examples",
    "filename_pattern": pattern(filter(runs, examples())),
    "gallery_dirs": "gallery",
    "image_scrapers": ("matplotlib",),
    "min_reported_time": 0,
    "parallel": 2,
    "remove_config_comments": True,
    "reset_modules": ("gallery_settings.reset",),
    "show_memory": False,
    "show_signature": False,
    "subsection_order": [f"examples/{section}" for section in SECTIONS],
    "within_subsection_order": "gallery_settings.position",
    "write_computation_times": False,
}
