"""The pages of the documentation that are written by hand."""

from .paths import ROOT

DOCS = ROOT / "docs"
# made by a build, or, in the folder of the papers, tested beside their experiments
LEFT_OUT = {"_build", "_templates", "gallery", "generated", "papers", "examples"}
LEFT_OUT |= {"sg_execution_times.rst"}


def written():
    """The pages in the folders of docs/, in their order; none without docs/."""
    paths = sorted(DOCS.rglob("*.rst"))
    return [p for p in paths if LEFT_OUT.isdisjoint(p.relative_to(DOCS).parts)]


def docname(page):
    """What Sphinx calls a page: ``guide/torch``."""
    return page.relative_to(DOCS).with_suffix("").as_posix()


def read(name):
    """The text of a page: ``read("guide/torch")``."""
    return (DOCS / f"{name}.rst").read_text(encoding="utf-8")
