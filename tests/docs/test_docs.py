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
from support.paths import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.rst"))
WITH_TORCH = [page for page in PAGES if ">>> import torch" in page.read_text("utf-8")]
METHODS = convinv.methods()


def read(name):
    return (DOCS / name).read_text(encoding="utf-8")


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples(page):
    run(examples(page, leave_out="torch"))


@pytest.mark.parametrize("page", WITH_TORCH, ids=lambda page: page.name)
def test_examples_with_torch(page):
    pytest.importorskip("torch")
    run(examples(page))


def test_the_sections_that_are_left_out():
    """Other sections of these pages run where torch is not installed."""
    assert {page.stem for page in WITH_TORCH} == {
        "gpu",
        "lowrank",
        "torch",
        "torch_autoencoder",
        "torch_features",
        "torch_spectra",
    }
    page = DOCS / "lowrank.rst"
    some, every = examples(page, leave_out="torch").examples, examples(page).examples
    assert 20 < len(some) < len(every)
    assert not any("torch" in example.source for example in some)


def test_every_page_is_in_the_contents():
    listed = set(re.findall(r"^   (\w+)$", read("index.rst"), re.MULTILINE))
    assert listed == {page.stem for page in PAGES} - {"index"}


@pytest.mark.parametrize("name", [method.name for method in METHODS])
def test_the_changelog_names_every_method(name):
    assert f"``{name}``" in read("changelog.rst")


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
    assert "convinv-methods::" in read("methods.rst")


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


def test_every_public_name_is_in_the_reference():
    text = read("api.rst")
    names = "strips learning lowrank proximal operators local_inverse imaging".split()
    modules = (importlib.import_module(f"convinv.{name}") for name in names)
    for module in (convinv, *modules):
        for name in module.__all__:
            assert re.search(rf":: ([\w.]+\.)?{name}$", text, re.MULTILINE), name


def test_every_name_for_pytorch_is_in_the_reference():
    module = pytest.importorskip("convinv.interop.torch", exc_type=ImportError)
    for name in module.__all__:
        assert re.search(rf":: convinv\.interop\.torch\.{name}$", read("api.rst"), re.M)


def test_options_of_the_operator_are_described():
    text = read("operator.rst")
    for option in convinv.ConvLinearOperator.__init__.__kwdefaults__:
        assert f"``{option}``" in text, option


def test_plan_of_the_performance_page():
    """The table is what the command prints."""
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("no benchmarks beside the tests")
    command = [sys.executable, "-m", "benchmarks.kernel_table", "--plan"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    printed = [line for line in result.stdout.splitlines() if line.startswith("|")]
    assert len(printed) > 2
    text = read("performance.rst")
    for line in printed:
        assert line in text
