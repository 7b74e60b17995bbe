"""The pages of the documentation in a browser, on a desk and on a phone."""

import re

import pytest

from support.browser import PHONE, WIDE, Visit, served
from support.paths import ROOT

SITE = ROOT / "docs" / "_build" / "html"
BUILD = "python -m sphinx -b html docs docs/_build/html"
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
SOURCES = [page for page in PAGES if page.startswith("_modules/")]  # all alike
PAGES = [
    page
    for page in PAGES
    if not page.startswith(("_static/", "dashboard/", "_modules/"))
]
PAGES += SOURCES[::10]
DARK = ("index.html", "guide/methods.html", "reference/generated/convinv.solve.html")

if not PAGES:
    pytest.skip(f"no pages; make them with: {BUILD}", allow_module_level=True)


@pytest.fixture(scope="module")
def address():
    with served(SITE) as found:
        yield found


@pytest.fixture(scope="module")
def visit(browser, address):
    one = Visit(browser, address)
    yield one
    one.close()


@pytest.mark.parametrize("name", PAGES)
def test_page(visit, name):
    """Nothing sticks out, fails or asks another machine; tables scroll on their own."""
    visit.open(name)
    found = {}
    for width in (WIDE, PHONE):
        visit.resize(width)
        found[width] = visit.overflow()
    assert found == {WIDE: [], PHONE: []}
    assert visit.broken_images() == []
    assert visit.troubles == []


def luminance(color):
    """Of ``rgb(r, g, b)``, from 0 to 255."""
    red, green, blue = map(float, re.findall(r"[\d.]+", color)[:3])
    return 0.3 * red + 0.6 * green + 0.1 * blue


@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("name", [name for name in DARK if name in PAGES])
def test_dark(visits, address, name, width):
    """Bright words on a dark ground, if the reader's system is dark."""
    visit = visits(address, width=width, dark=True)
    visit.open(name)
    style = "(e) => [getComputedStyle(document.body).backgroundColor,"
    style += " getComputedStyle(e).color]"
    ground, ink = visit.page.locator(".bd-article p").first.evaluate(style)
    assert luminance(ground) < 60 and luminance(ink) > 150
    assert visit.overflow() == []


def test_theme_switch(visits, address):
    visit = visits(address)
    visit.open("index.html")
    theme = "() => document.documentElement.dataset.theme"
    assert visit.page.evaluate(theme) == "light"
    visit.page.locator("button.theme-switch-button:visible").click()
    dark = visit.page.locator("[data-mode=dark], .dropdown-item[data-theme=dark]")
    dark.locator("visible=true").first.click()
    assert visit.page.evaluate(theme) == "dark"


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_navigation(visits, address, width):
    """From the front page to the guide and its page on methods, by clicks."""
    visit = visits(address, width=width)
    visit.open("index.html")
    page = visit.page

    def click(name):
        if width == PHONE:
            page.locator("button.primary-toggle").click()
        links = page.get_by_role("link", name=name, exact=True)
        links.locator("visible=true").first.click()
        page.wait_for_load_state()

    click("User guide")
    assert page.url.endswith("/guide/index.html")
    click("Methods")
    assert page.url.endswith("/guide/methods.html")
    assert page.locator("h1").inner_text().startswith("Methods")


def test_next_page(visits, address):
    visit = visits(address)
    visit.open("guide/quickstart.html")
    visit.page.locator("a.right-next").click()
    visit.page.wait_for_url("**/guide/imaging.html")


def test_card(visits, address):
    """A task on the front page leads to the page that solves it."""
    visit = visits(address)
    visit.open("index.html")
    visit.page.locator(".sd-card", has_text="Deblur a picture").click()
    visit.page.wait_for_url("**/guide/imaging.html")


@pytest.mark.parametrize(
    ("word", "first"),
    [
        ("deblur", "guide/imaging"),
        ("PSF", "questions/psf_center"),
        ("Wiener", "questions/wiener"),
        ("PyLops", "guide/plugging_in"),
    ],
)
def test_search(visits, address, word, first):
    """What one looks for is among the first three hits."""
    visit = visits(address)
    visit.open(f"search.html?q={word}")
    hits = visit.page.locator("#search-results ul.search li > a")
    hits.first.wait_for()
    found = hits.evaluate_all("all => all.slice(0, 3).map((a) => a.pathname)")
    assert f"/{first}.html" in found
