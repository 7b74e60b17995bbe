"""The documentation: its examples run, and it speaks of all that is registered."""

import doctest
import importlib
import inspect
import re
import subprocess
import sys

import pytest

import convinv
from support.doctests import run
from support.pages import DOCS, docname, read, written
from support.paths import PACKAGE, ROOT

PAGES = written()
WITH_TORCH = [page for page in PAGES if ">>> import torch" in page.read_text("utf-8")]
METHODS = convinv.methods()
ELSEWHERE = "gallery/", "papers/"  # pages that are made, or tested, elsewhere


def public_modules():
    """The modules of the package that say what is public in them."""
    inits = "__init__.py", "[a-z]*/__init__.py", "interop/[a-z]*/__init__.py"
    patterns = *inits, "interop/[a-z]*.py"
    for path in sorted({p for pattern in patterns for p in PACKAGE.glob(pattern)}):
        if "__all__ = [" in path.read_text(encoding="utf-8"):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            yield ".".join(part for part in parts if part != "__init__")


@pytest.fixture
def pages(monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    return importlib.import_module("convinv_pages")


def examples(page, leave_out=None):
    """The examples of a page; without the sections that import a package."""
    text, parser = page.read_text(encoding="utf-8"), doctest.DocTestParser()
    test = parser.get_doctest(text, {"__name__": "docs"}, page.name, str(page), 0)
    if leave_out is None:
        return test
    rulers = re.finditer(r"^.+\n([=\-~])\1{2,}$", text, re.MULTILINE)
    starts = [text.count("\n", 0, ruler.start()) for ruler in rulers]

    def section(example):
        return sum(start <= example.lineno for start in starts)

    word = re.compile(rf"\b(import|from) {leave_out}\b")
    left_out = {section(e) for e in test.examples if word.match(e.source)}
    test.examples = [e for e in test.examples if section(e) not in left_out]
    return test


@pytest.mark.parametrize("page", PAGES, ids=docname)
def test_examples(page):
    for package in ("dask", "xarray"):
        if f">>> import {package}" in page.read_text(encoding="utf-8"):
            pytest.importorskip(package)
    run(examples(page, leave_out="torch"))


@pytest.mark.parametrize("page", WITH_TORCH, ids=docname)
def test_examples_with_torch(page):
    pytest.importorskip("torch")
    run(examples(page))


def test_the_sections_that_are_left_out():
    """Other sections of these pages run where torch is not installed."""
    assert {docname(page) for page in WITH_TORCH} == {
        "inside/gpu",
        "guide/lowrank",
        "guide/torch",
        "guide/torch_autoencoder",
        "guide/torch_features",
        "guide/torch_spectra",
    }
    page = DOCS / "guide" / "lowrank.rst"
    some, every = examples(page, leave_out="torch").examples, examples(page).examples
    assert 20 < len(some) < len(every)
    assert not any("torch" in example.source for example in some)


def test_every_page_is_in_the_contents():
    """A page is listed once, by the index of its folder or by another page there."""
    listed = []
    for page in PAGES:
        folder = page.parent.relative_to(DOCS)
        for block in re.findall(r"toctree::\n((?:   .*\n|\n)+)", read(docname(page))):
            entries = re.findall(r"^   ([\w/]+)$", block, re.MULTILINE)
            # one that begins with a slash is beside the folders
            listed += [(folder / entry).as_posix().lstrip("/") for entry in entries]
    listed = sorted(entry for entry in listed if not entry.startswith(ELSEWHERE))
    assert listed == sorted({docname(page) for page in PAGES} - {"index"})


@pytest.mark.parametrize("name", [method.name for method in METHODS])
def test_the_changelog_names_every_method(name):
    assert f"``{name}``" in read("changelog")


def test_methods_page(pages):
    """The table and the sections that the directive writes."""
    table = pages.methods_table(METHODS)
    for method in METHODS:
        assert f":ref:`{method.name} <method-{method.name}>`" in table
        section = pages.method_section(method, [method.summary])
        assert f".. _method-{method.name}:" in section
        assert f"   {method.summary}\n" in f"{section}\n"
        assert f"solve(op, b, method='{method.name}'" in section
        assert all(f", {option}=" in section for option in method.options)
    assert "convinv-methods::" in read("guide/methods")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_sections_of_a_method(method):
    """Its options and no others, what it returns, formulas, sources, an example."""
    text = inspect.getdoc(method.function)
    heads = re.findall(r"^(\w+)\n-+$", text, re.MULTILINE)
    expected = {"Returns", "Notes", "References", "Examples"}
    assert expected | ({"Parameters"} if method.options else set()) <= set(heads)
    assert len(heads) == len(set(heads))
    assert set(heads) - expected <= {"Parameters", "Raises"}
    parts = dict(zip(heads, re.split(r"^\w+\n-+$", text, flags=re.MULTILINE)[1:]))
    described = re.findall(r"^([\w, ]+) : ", parts.get("Parameters", ""), re.MULTILINE)
    assert described == [*method.options]
    assert re.findall(r"^(\w+) : ", parts["Returns"], re.MULTILINE) == ["x", "extra"]
    assert ".. math::" in parts["Notes"] and ">>> " in parts["Examples"]
    listed = re.findall(r"^\.\. \[(\d+)\] ", parts["References"], re.MULTILINE)
    assert sorted(set(re.findall(r"\[(\d+)\]_", text))) == listed


def listed():
    """Full names of all that the pages of the reference have a page for."""
    found = set()
    for page in sorted((DOCS / "reference").glob("*.rst")):
        module, table = "", False
        for line in page.read_text(encoding="utf-8").splitlines():
            if current := re.match(r"\.\. currentmodule:: (\S+)", line):
                module = current[1]
            table = line.startswith(".. autosummary::") or (table and line[:1] in " ")
            if table and (entry := re.fullmatch(r"   ([\w.]+)", line)):
                found.add(f"{module}.{entry[1]}")
    return found


@pytest.mark.parametrize("name", list(public_modules()))
def test_every_public_name_is_in_the_reference(name):
    module = pytest.importorskip(name, exc_type=ImportError)
    assert module.__all__
    for public in module.__all__:
        assert listed() & {f"{name}.{public}", f"convinv.{public}"}, public


@pytest.mark.parametrize("library", ["deepinv", "napari", "onnx", "skimage"])
def test_every_name_for_imaging_libraries_is_in_the_reference(library):
    name = f"convinv.interop.{library}"
    module = pytest.importorskip(name, exc_type=ImportError)
    text = read("reference/imaging_libraries")
    _, _, part = text.partition(f".. currentmodule:: {name}\n")
    listed = re.findall(r"^   (\w+)$", part.partition(".. automodule::")[0], re.M)
    assert sorted(listed) == sorted(module.__all__)


def test_options_of_the_operator_are_described():
    text = read("guide/operator")
    for option in convinv.ConvLinearOperator.__init__.__kwdefaults__:
        assert f"``{option}``" in text, option


PLANS = [
    ("kernel_table", ["--plan"], "inside/performance/products", "|"),
    ("exact_plan", [], "inside/performance/exact", ""),
]


@pytest.mark.parametrize("script, options, page, start", PLANS)
def test_plans_of_the_performance_pages(script, options, page, start):
    """The tables are what the commands print."""
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("no benchmarks beside the tests")
    command = [sys.executable, "-m", f"benchmarks.{script}", *options]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    printed = [line for line in result.stdout.splitlines() if line.startswith(start)]
    assert len(printed) > 2
    text = read(page)
    for line in printed:
        assert line in text
