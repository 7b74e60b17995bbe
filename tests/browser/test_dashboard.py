"""The dashboard in a browser: what asv and its scripts draw, without a network."""

import pytest

from support import dashboard_history
from support.browser import served
from support.paths import ROOT

pytest.importorskip("asv", reason="asv is missing")
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("no benchmarks beside the tests", allow_module_level=True)

from benchmarks.dashboard.publish import publish  # noqa: E402

RATIOS = (1.0, 1.02, 0.98, 1.0, 1.01, 2.0, 2.05, 1.98, 2.01, 2.0)
# pixels of a canvas that are not transparent, and how many colors they have
PAINTED = """(canvas) => {
    const context = canvas.getContext("2d");
    const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
    const colors = new Set();
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3]) {
            count += 1;
            colors.add(data.slice(i, i + 3).join());
        }
    }
    return [count, colors.size];
}"""


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Ten commits, of which the sixth made a ratio twice as large, and their pages."""
    folder = tmp_path_factory.mktemp("history")
    config, results, hashes = dashboard_history.make(folder, RATIOS)
    publish(folder / "site", config, results)
    with served(folder / "site") as address:
        yield address, hashes


@pytest.fixture
def page(visits, history):
    """Opens a part of the page, which its scripts make after it has been loaded."""
    visit = visits(history[0])

    def show(part=""):
        visit.open(f"index.html{part}")
        return visit.page

    return show


def painted(locator):
    locator.wait_for()
    return locator.evaluate(PAINTED)


def test_the_grid_has_a_curve_for_each_benchmark(page):
    shown = page()
    grid = shown.locator("#summarygrid-display")
    canvas = grid.locator("canvas.flot-base")
    canvas.nth(1).wait_for()
    assert canvas.count() == 2
    assert "Made.track_ratio" in grid.inner_text()
    assert "Made.time_call" in grid.inner_text()
    assert painted(canvas.first)[0] > 100


def test_a_click_on_the_grid_draws_the_graph(page):
    shown = page()
    shown.get_by_text("Made.track_ratio").click()
    graph = shown.locator("#main-graph canvas.flot-base")
    count, colors = painted(graph)
    assert count > 1000 and colors > 2
    assert "track_ratio" in shown.locator("#title").inner_text()
    for size in dashboard_history.SIZES:
        assert f"size-{size}" in shown.locator("#main-graph .legend").inner_text()


def test_settings_of_the_graph_draw_it_again(page):
    shown = page(f"#{dashboard_history.RATIO}")
    graph = shown.locator("#main-graph canvas.flot-base")
    painted(graph)
    before = graph.evaluate("(canvas) => canvas.toDataURL()")
    shown.locator("#log-scale").click()
    shown.wait_for_function(
        """(before) => {
            const canvas = document.querySelector("#main-graph canvas.flot-base");
            return canvas && canvas.toDataURL() !== before;
        }""",
        arg=before,
    )


def test_the_regression_is_listed_with_its_commit(page, history):
    shown = page()
    shown.get_by_role("link", name="Regressions", exact=True).click()
    row = shown.locator("#regressions-body tbody tr").first
    row.wait_for()
    assert shown.locator("#regressions-body tbody tr").count() == 1
    text = row.inner_text()
    assert f"{dashboard_history.RATIO}(64)" in text
    assert history[1][5][:8] in text
    assert "2.00x" in text


def test_the_list_sorts_by_a_column(page):
    """With the later version of the script that sorts tables."""
    shown = page("#/summarylist")
    cells = shown.locator("#summarylist-body tbody td:first-child")
    cells.nth(3).wait_for()
    names = cells.all_inner_texts()
    assert len(names) == 4 and names == sorted(names)
    shown.locator("#summarylist-body th", has_text="Benchmark").click()
    shown.wait_for_function(
        """(last) => document.querySelector("#summarylist-body tbody td").innerText
            === last""",
        arg=names[-1],
    )
    assert cells.all_inner_texts() == names[::-1]
