"""Type checkers accept the examples of the documentation."""

import doctest
import json
import pathlib
import subprocess
import sys

import pytest

from support.pages import written
from support.paths import PACKAGE

ROOT = PACKAGE.parent
PAGES = [ROOT / "README.rst", *written()]
if not PAGES[0].is_file():
    pytest.skip("an installed package has no pages", allow_module_level=True)


def code(page):
    """The examples of a page as one script, on the lines that they have there."""
    lines = []
    text = page.read_text(encoding="utf-8")
    for example in doctest.DocTestParser().get_examples(text, page.name):
        lines += [""] * (example.lineno - len(lines))
        lines += example.source.splitlines()
    return "\n".join(lines)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """A script for every page that has examples."""
    folder = tmp_path_factory.mktemp("pages")
    found = []
    for page in PAGES:
        if source := code(page):
            name = "_".join(page.relative_to(ROOT).with_suffix("").parts).lower()
            script = folder / f"{name}_page.py"
            script.write_text(source, encoding="utf-8")
            found.append(str(script))
    assert len(found) > 8
    return found


@pytest.fixture(scope="module")
def wrong(scripts):
    """A script with one wrong argument, on its second line, beside the others."""
    path = pathlib.Path(scripts[0]).with_name("wrong.py")
    path.write_text(
        "import convinv\nconvinv.solve([[1.0]], [1.0], rtol='small')\n",
        encoding="utf-8",
    )
    return str(path)


class TestMypy:
    @staticmethod
    def errors(files, tmp_path, monkeypatch):
        """The errors in some scripts, for all that import the package of this run."""
        api = pytest.importorskip("mypy.api")
        monkeypatch.setenv("MYPYPATH", str(ROOT))
        # of PyTorch, where it is installed, the types ask an example to test for None
        config = tmp_path / "mypy.ini"
        config.write_text("[mypy]\n[mypy-torch.*]\nfollow_imports = skip\n", "utf-8")
        options = ["--config-file", str(config), "--ignore-missing-imports"]
        # a page may use a name again; errors of the package are found elsewhere
        options += ["--allow-redefinition", "--follow-imports", "silent"]
        options += ["--warn-unused-ignores", "--no-error-summary"]
        cache = ["--cache-dir", str(tmp_path / "cache")]
        said, failed, _ = api.run([*options, *cache, *files])
        assert not failed
        return [line for line in said.splitlines() if ": error: " in line]

    @pytest.mark.slow
    def test_pages(self, scripts, wrong, tmp_path, monkeypatch):
        found = self.errors([*scripts, wrong], tmp_path, monkeypatch)
        assert [line for line in found if not line.startswith(wrong)] == []
        assert len(found) == 1 and f"{wrong}:2: " in found[0]


class TestPyright:
    def test_pages(self, scripts, wrong):
        pytest.importorskip("pyright", reason="pyright is not installed")
        project = {
            "extraPaths": [str(ROOT)],
            "reportMissingImports": False,
            "reportMissingModuleSource": False,
            "reportUnnecessaryTypeIgnoreComment": True,
        }
        path = pathlib.Path(wrong).with_name("pyrightconfig.json")
        path.write_text(json.dumps(project), encoding="utf-8")
        command = [sys.executable, "-m", "pyright", "--outputjson", "-p", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        said = json.loads(done.stdout)
        assert said["summary"]["filesAnalyzed"] == len(scripts) + 1
        found = [
            (d["file"], d["range"]["start"]["line"] + 1, d["message"])
            for d in said["generalDiagnostics"]
            if d["severity"] == "error"
        ]
        assert [f for f in found if f[0] != wrong] == []
        assert [f[1] for f in found] == [2]
