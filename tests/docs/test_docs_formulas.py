"""Formulas of the pages and docstrings become MathML as a whole."""

import importlib
import re
import xml.etree.ElementTree as xml

import pytest

from support.pages import DOCS
from support.paths import PACKAGE

pytest.importorskip("latex2mathml")
pytest.importorskip("docutils")
if not DOCS.is_dir():
    pytest.skip("no documentation beside the tests", allow_module_level=True)
PAGES = [p for p in DOCS.rglob("*.rst") if not {"_build", "gallery"} & {*p.parts}]
INLINE = re.compile(r":math:`([^`]+)`")
BLOCK = re.compile(r"^( *)\.\. math::(.*(?:\n(?:\1 .*| *))*)", re.MULTILINE)
NAME = "{http://www.w3.org/1998/Math/MathML}"


@pytest.fixture(scope="module")
def convinv_mathml():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS / "_ext"))
        yield importlib.import_module("convinv_mathml")


def formulas():
    """``(TeX, whether on lines of its own)`` of all formulas, without repetitions."""
    found = set()
    for path in [*PAGES, *PACKAGE.rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        found |= {(tex, False) for tex in INLINE.findall(text)}
        found |= {(tex.strip(), True) for _, tex in BLOCK.findall(text)}
    return sorted(found)


def test_every_formula(convinv_mathml):
    """No command of TeX and no sign of its tables is left in what is shown."""
    known = formulas()
    assert len(known) > 200 and any(display for _, display in known)
    for tex, display in known:
        root = xml.fromstring(convinv_mathml.mathml(tex, display))
        assert root.attrib["display"] == ("block" if display else "inline")
        shown = "".join(root.itertext())
        assert shown.strip() and not re.search(r"[\\&$]|begin|aligned", shown), tex


def test_lines_are_aligned(convinv_mathml):
    made = convinv_mathml.mathml(
        r"\begin{aligned} a &= b \\ c &= d \end{aligned}", True
    )
    cells = [
        cell.attrib["columnalign"] for cell in xml.fromstring(made).iter(f"{NAME}mtd")
    ]
    assert cells == ["right", "left", "right", "left"]
    assert convinv_mathml.needs_rows(r"a \\ b")
    assert not convinv_mathml.needs_rows(r"\begin{aligned} a \\ b \end{aligned}")


def test_words_are_upright(convinv_mathml):
    """``prox`` is one name, and ``rtol`` is code."""
    root = xml.fromstring(
        convinv_mathml.mathml(r"\operatorname{prox} + \mathtt{rtol}", 0)
    )
    (word,) = root.iter(f"{NAME}mtext")
    assert word.text == "rtol" and "monospace" in word.attrib["style"]
    assert "prox" in [name.text for name in root.iter(f"{NAME}mi")]
