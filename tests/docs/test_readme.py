"""README.rst says what is true; its example runs in test_doctests.py."""

import configparser
import re
import subprocess
import sys
import textwrap

import pytest

import convinv
from convinv.cli.demo import METHODS
from support.paths import PACKAGE

ROOT = PACKAGE.parent

if not (ROOT / "README.rst").is_file():
    pytest.skip("an installed package has no README", allow_module_level=True)
TEXT = (ROOT / "README.rst").read_text(encoding="utf-8")
PICTURE = "gallery/deblur/plot_color_photograph.html"  # whose figure leads


def table(first):
    """The cells of the rows of the simple table whose header starts with a word."""
    pattern = rf"^((?:=+ +)+=+)\n{first}\b(?:.*\n)+?\1\n((?:.+\n)+?)\1$"
    ruler, body = re.search(pattern, TEXT, re.MULTILINE).groups()
    edges = [(m.start(), m.end()) for m in re.finditer("=+", ruler)]
    edges[-1] = (edges[-1][0], None)
    return [[line[a:b].strip() for a, b in edges] for line in body.splitlines()]


def test_methods():
    listed = {name: needs for name, needs, _ in table("name")}
    known = {}
    for method in convinv.methods():
        known[method.name] = ", ".join(method.needs)
    assert len(listed) > 10 and listed.items() <= known.items()


def test_demo_table():
    assert tuple(row[0] for row in table("method")) == METHODS


def test_extras():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = {name.strip("`") for name, _ in table("extra")}
    assert listed == set(config["options.extras_require"])


def test_example_for_pytorch():
    pytest.importorskip("torch")
    found = re.findall(r"code-block:: python\n\n((?:    .*\n|\n)+)", TEXT)
    (example,) = (textwrap.dedent(block) for block in found)
    assert "assert" in example
    exec(compile(example, "README.rst", "exec"), {})


def test_links():
    """An index page shows them: absolute, and to pages and files that there are."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    site = f"{config['metadata']['project_urls'].split()[2]}/en/latest/"
    files = f"{config['metadata']['url']}/blob/main/"
    targets = re.findall(
        r"(?:<|\.\. _[^:]+: |:target: )(\S+?)(?:>`_)?$", TEXT, re.MULTILINE
    )
    assert len(targets) > 10 and not re.search(r"<[^<>`\n]+>`_", TEXT)
    for target in targets:
        if target.startswith(site):
            page = target.removeprefix(site)
            assert source(page).is_file(), target
        else:
            assert (ROOT / target.removeprefix(files)).is_file(), target
    assert f"image:: {site}_images/sphx_glr_{source(PICTURE).stem}_001.png" in TEXT


def source(page):
    """The file that a page of the documentation is made of."""
    name = page.removesuffix(".html")
    if name == "gallery/index":
        return ROOT / "docs/examples/GALLERY_HEADER.rst"
    if name.startswith("gallery/"):
        return ROOT / f"docs/examples/{name.removeprefix('gallery/')}.py"
    return ROOT / f"docs/{name}.rst"


@pytest.mark.parametrize(
    ("which", "last"), [("main", "convinv demo"), ("tests", "python -m pytest -n 2")]
)
def test_commands(which, last):
    script = ROOT / ".ci" / "readme_command.py"
    command = [sys.executable, str(script), which]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[:2] == ["python3 -m venv .venv", ". .venv/bin/activate"]
    assert lines[2].startswith("python -m pip install ") and lines[3:] == [last]
