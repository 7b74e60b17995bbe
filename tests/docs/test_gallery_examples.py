"""The gallery's scripts: what a reader can expect of each, and which of them run.

The documentation's build runs them; here they are read.
"""

import ast
import importlib
import re

import pytest

from support.paths import ROOT

DOCS = ROOT / "docs"
EXAMPLES = sorted(DOCS.glob("examples/*/plot_*.py"))
SECTIONS = sorted(path.parent for path in DOCS.glob("examples/*/GALLERY_HEADER.rst"))
SHOWN = "guide", "questions", "inside", "reference"  # folders with pages
DRAWS = re.compile(r"\b(plt\.(subplots|figure)|plot\w*|imshow)\(")

if not DOCS.is_dir():
    pytest.skip("no documentation beside the tests", allow_module_level=True)


@pytest.fixture(scope="module")
def settings():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS / "_ext"))
        yield importlib.import_module("gallery_settings")


every_example = pytest.mark.parametrize(
    "path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}"
)


@every_example
def test_an_example_has_a_title_a_text_and_a_figure(path):
    text = path.read_text(encoding="utf-8")
    title, ruler, _, *opening = ast.get_docstring(ast.parse(text)).splitlines()
    assert ruler == "=" * len(title)
    assert opening and opening[0].strip()
    assert "# %%\n" in text and DRAWS.search(text)
    # the first paragraph is shown bare where a mouse rests on a thumbnail
    assert not re.search(r"`[^`]*<|:\w+:`", "\n".join(opening).partition("\n\n")[0])


@every_example
def test_an_example_imports_public_names_only(path, settings):
    names = [
        name
        for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in settings.imported(statement)
    ]
    assert any(name.partition(".")[0] == "convinv" for name in names)
    hidden = [name for name in names if re.search(r"(^|\.)_", name)]
    assert hidden == [] and "docs" not in names


@every_example
def test_an_example_has_no_paths_of_a_machine(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"[\"'](/(home|tmp|work|usr|root|Users)/|[A-Z]:\\\\)", text)


def test_every_section_has_examples_and_a_heading(settings):
    assert {path.name for path in SECTIONS} == set(settings.SECTIONS)
    assert {path.parent for path in EXAMPLES} <= set(SECTIONS)
    for section in SECTIONS:
        lines = (section / "GALLERY_HEADER.rst").read_text(encoding="utf-8").split("\n")
        assert lines[1] == "-" * len(lines[0]) and lines[3]


def test_titles_and_file_names_differ():
    titles = [path.read_text(encoding="utf-8").split("\n")[1] for path in EXAMPLES]
    assert len(set(titles)) == len({path.name for path in EXAMPLES}) == len(EXAMPLES)


@pytest.mark.parametrize(
    "source, needed",
    [
        ("import numpy as np", {"numpy"}),
        ("import os.path\nfrom convinv import solve", set()),
        ("from skimage.restoration import wiener", {"skimage"}),
        ("import matplotlib.pyplot as plt, scipy.fft", {"matplotlib", "scipy"}),
        ("from convinv.interop.torch import ConvInverse", {"torch"}),
        ("from convinv.interop import torch as bridge", {"torch"}),
        ("import convinv.interop.torch", {"torch"}),
        ("from convinv.interop import from_dlpack", set()),
        ("try:\n    import napari\nexcept ImportError:\n    napari = None", set()),
        ("def draw():\n    import napari", set()),
    ],
)
def test_the_libraries_that_a_script_needs(settings, source, needed):
    assert settings.libraries(source) == needed


def test_a_script_runs_if_all_of_its_libraries_are_there(settings, tmp_path):
    path = tmp_path / "plot_it.py"
    path.write_text("import numpy\nfrom convinv import solve\n")
    assert settings.runs(path)
    path.write_text("import numpy\nimport a_library_that_nobody_has.part\n")
    assert not settings.runs(path)


def test_the_pattern_finds_the_scripts_that_run(settings):
    chosen, others = EXAMPLES[::2], EXAMPLES[1::2]
    pattern = re.compile(settings.pattern(chosen))
    assert all(pattern.search(str(path)) for path in chosen)
    assert not any(pattern.search(str(path)) for path in others)
    assert not re.search(settings.pattern([]), str(chosen[0]))


def test_examples_that_come_first_exist(settings):
    assert set(settings.FIRST) <= {path.name for path in EXAMPLES}
    names = sorted((p.name for p in EXAMPLES), key=settings.position)
    assert names[: len(settings.FIRST)] == list(settings.FIRST)


def test_pictures_on_pages_are_those_of_examples():
    """A page names them by the section, the example and the number of the figure."""
    made = {(path.parent.name, path.stem) for path in EXAMPLES}
    pages = [p for p in DOCS.rglob("*.rst") if p.relative_to(DOCS).parts[0] in SHOWN]
    shown = re.compile(r"/gallery/(\w+)/(?:images/(?:thumb/)?sphx_glr_)?(plot_\w+)")
    number = re.compile(r"_(\d{3}|thumb)$")
    named = {
        (section, number.sub("", name))
        for page in [DOCS / "index.rst", *pages]
        for section, name in shown.findall(page.read_text(encoding="utf-8"))
    }
    assert len(named) > 20
    assert named <= made
