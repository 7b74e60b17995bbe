"""The directive that shows result files: what becomes of their Markdown."""

import io
import re

import pytest

from support.measured import measured
from support.paths import ROOT

DOCS = ROOT / "docs"
PAGES = [p for p in sorted(DOCS.rglob("*.rst")) if "_build" not in p.parts]
SHOWN = dict(pair for page in PAGES for pair in measured(page.read_text("utf-8")))

# what benchmarks write: three levels, a list of facts, tables short and long, claims
RESULT = """\
# A title

- command: `python -m benchmarks.made_up`
- processor: Abacus 5, 2 cores; load average 0.1 on 2025-03-01
- Linux, Python 3

Words before.

## Small

Of all **beads**.

| bead | moves  | where  | share |
|------|--------|--------|-------|
| a->b | 1.5    | left   | 103%  |
| c, d | -      | right  | ~2    |

## Large

| n | square |
|---|--------|
{rows}

## Claims

- all beads move: met, 2 of 2
- they are fast: **missed**, 7.1
{claims}

- a remark at the end
"""
FILE = RESULT.format(
    rows="\n".join(f"| {n} | {n * n} |" for n in range(13)),
    claims="\n".join(f"- claim {n}: met, {n}" for n in range(6)),
)
PAGE = """\
Page
====

Section
-------

.. convinv-measured:: results/made_up.md
{options}
   python -m benchmarks.made_up
"""


@pytest.fixture
def built(tmp_path):
    """A function that builds pages with the directive: their HTML and the warnings."""
    pytest.importorskip("myst_parser")
    pytest.importorskip("sphinx_design")
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    (tmp_path / "docs").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "made_up.md").write_text(FILE, encoding="utf-8")
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    (tmp_path / "docs" / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(DOCS / '_ext')!r})\n"
        "extensions = ['convinv_measured']\nhtml_theme = 'basic'\n",
        encoding="utf-8",
    )

    def build(**pages):
        docs, warned = tmp_path / "docs", io.StringIO()
        pages["index"] = "Contents\n========\n\n.. toctree::\n\n" + "".join(
            f"   {name}\n" for name in pages
        )
        for name, text in pages.items():
            (docs / f"{name}.rst").write_text(text, encoding="utf-8")
        folders = [str(docs), str(docs), str(tmp_path / "out"), str(tmp_path / "trees")]
        with docutils_namespace():
            app = Sphinx(*folders, "html", status=None, warning=warned)
            app.build(force_all=True)
        made = {n: (tmp_path / "out" / f"{n}.html").read_text("utf-8") for n in pages}
        return made, warned.getvalue()

    return build


def test_a_result_file(built):
    pages, warned = built(page=PAGE.format(options=""))
    html = pages["page"]
    assert not warned
    # headings below the section's, and none of them in the table of contents
    assert re.search(r"<h3[^>]*>Small</h3>", html)
    assert "A title" not in html and 'href="#small"' not in html
    assert "Words before." in html and "<strong>beads</strong>" in html
    # the table: cells, and numbers to the right where all of a column are some
    small = re.search(r"<table.*?</table>", html, re.DOTALL)[0]
    cells = re.findall(r"<t[hd](.*?)><p>(.*?)</p>", small)
    assert [text for _, text in cells] == [
        *["bead", "moves", "where", "share"],
        *["a-&gt;b", "1.5", "left", "103%"],
        *["c, d", "-", "right", "~2"],
    ]
    assert ["measured-number" in kind for kind, _ in cells] == 3 * [
        *[False, True, False, True]
    ]
    # what is long is behind a line; the remark is not
    lines = re.findall(r'<span class="sd-summary-text">(.*?)</span>', html)
    assert lines == [
        "Large: table of 13 rows",
        "Claims: 7 met, 1 missed",
        "How this was measured: Abacus 5, 2 cores, 2025-03-01",
    ]
    outside = re.sub(r"<details.*?</details>", "", html, flags=re.DOTALL)
    assert "a remark at the end" in outside and "a-&gt;b" in outside
    assert "claim 3" not in outside and "144" not in outside
    assert "claim 3" in html and "144" in html


def test_some_sections_folded(built):
    options = "   :sections: Claims; Small\n   :folded: The beads\n"
    pages, warned = built(page=PAGE.format(options=options))
    html = pages["page"]
    assert not warned
    outside = re.sub(r"<details.*</details>", "", html, flags=re.DOTALL)
    assert "a-&gt;b" in html and "a-&gt;b" not in outside
    assert 'sd-summary-text">The beads<' in html
    assert "144" not in html and "Words before" not in html


def test_unknown_section(built):
    _, warned = built(page=PAGE.format(options="   :sections: Huge\n"))
    assert "no section 'Huge' in results/made_up.md" in warned
    assert "'Small'; 'Large'; 'Claims'" in warned


def test_without_the_file(built):
    text = PAGE.format(options="").replace("made_up.md", "nothing.md")
    pages, warned = built(page=text)
    assert not warned
    assert "No figures are kept here yet" in pages["page"]
    assert "python -m benchmarks.made_up" in pages["page"]


def test_printed_tables(built):
    """The content is Markdown as a command prints it, and becomes the same table."""
    table = "| layer | GFlop |\n|-------|-------|\n| 3->8  | 0.56  |\n"
    content = "".join(f"   {line}\n" for line in table.splitlines())
    pages, warned = built(page=f"Page\n====\n\n.. convinv-printed::\n\n{content}")
    assert not warned
    cells = re.findall(r"<t[hd](.*?)><p>(.*?)</p>", pages["page"])
    assert [text for _, text in cells] == ["layer", "GFlop", "3-&gt;8", "0.56"]
    assert ["measured-number" in kind for kind, _ in cells] == 2 * [False, True]


def test_shown_files_have_no_warnings(built):
    """Every file that a page shows becomes tables; no row of them is left as text."""
    assert len(SHOWN) > 30
    shown = {f"p{n}": name for n, name in enumerate(sorted(SHOWN))}
    pages, warned = built(
        **{
            name: PAGE.format(options="").replace("results/made_up.md", path)
            for name, path in shown.items()
        }
    )
    assert not warned
    for name, path in shown.items():
        html, text = pages[name], (ROOT / path).read_text(encoding="utf-8")
        assert html.count("<table") == len(re.findall(r"^\|-", text, re.MULTILINE))
        assert not re.search(r"\|-{3,}", html), path
