"""asv's page with scripts and styles of its own folder, so that it needs no network."""

import re
import shutil

from .vendored import COPIES, FOLDER

# tags that load something by an address with a host
LOADS = re.compile(
    r"""<(script|link)\b[^>]*?\b(?:src|href)=["']((?:https?:)?//[^"']+)["'][^>]*>"""
)


class UnknownScript(ValueError):
    """The page loads something of which there is no copy."""


def make_offline(folder):
    """Rewrite the pages that asv has published in a folder, and copy what they need."""
    for page in folder.glob("*.html"):
        page.write_text(rewritten(page.read_text("utf-8")), "utf-8")
    for copy in COPIES:
        copy.verify()
    shutil.copytree(FOLDER, folder / "vendor", dirs_exist_ok=True)


def rewritten(html):
    """A page whose scripts and styles come from the folder ``vendor`` beside it."""
    return LOADS.sub(local_tag, html)


def local_tag(match):
    kind, url = match.groups()
    files = {copy.url: copy.file for copy in COPIES}
    if url not in files:
        raise UnknownScript(
            f"asv's page loads {url}, of which benchmarks/dashboard/vendor has no "
            "copy: add it there and to benchmarks/dashboard/vendored.py"
        )
    if kind == "script":
        return f'<script src="vendor/{files[url]}">'
    return f'<link rel="stylesheet" href="vendor/{files[url]}">'


def loaded_from_elsewhere(html):
    """Addresses on other hosts that a page would load scripts or styles from."""
    return [url for _, url in LOADS.findall(html)]
