"""The dashboard: which commits, what is published, which ratios became worse."""

import json
import math
import pathlib
import re

import pytest

from support import dashboard_history

ROOT = pathlib.Path(__file__).parents[2]

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("no benchmarks beside the tests", allow_module_level=True)

from benchmarks.dashboard import (  # noqa: E402
    __main__ as command,
    check,
    commits,
    defaults,
    machine,
    measure,
    offline,
    publish,
    vendored,
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A repository of six commits whose ratio is twice as large from the fourth on."""
    folder = tmp_path_factory.mktemp("project")
    return folder, *dashboard_history.make(folder, [1.0, 1.02, 0.98, 2.0, 2.04, 1.96])


def git(folder, *arguments):
    return dashboard_history.run(folder, *arguments)


# Commits


def test_the_last_commits(project):
    folder, _, _, hashes = project
    assert commits.last(2, folder) == hashes[:-3:-1]
    assert commits.last(100, folder) == hashes[::-1]


def test_ranges_leave_out_their_start(project):
    folder, _, _, hashes = project
    text = f"{hashes[1]}..{hashes[4]}"
    assert commits.between(text, folder) == hashes[4:1:-1]
    assert commits.between(f"{hashes[4]}..{hashes[4]}", folder) == []


def test_a_range_needs_two_ends(project):
    with pytest.raises(commits.NoCommit, match=r"A\.\.B, got 'HEAD'"):
        commits.between("HEAD", project[0])


def test_names_are_put_in_the_order_of_history(project):
    folder, _, _, hashes = project
    names = ["HEAD~3", hashes[5], hashes[0], "HEAD"]
    assert commits.named(names, folder) == [hashes[5], hashes[2], hashes[0]]


def test_unknown_names_are_refused(project):
    with pytest.raises(commits.NoCommit, match="nowhere"):
        commits.named(["nowhere"], project[0])


def test_tags_count_where_the_branch_has_them(tmp_path):
    hashes = dashboard_history.commits(tmp_path, 4)
    git(tmp_path, "tag", "v1", hashes[1])
    git(tmp_path, "tag", "-a", "-m", "two", "v2", hashes[2])  # an object of its own
    git(tmp_path, "tag", "later", hashes[3])
    git(tmp_path, "checkout", "-q", hashes[2])
    assert commits.tagged(tmp_path) == [hashes[2], hashes[1]]


def test_commits_of_merged_branches_are_left_out(tmp_path):
    first, _ = dashboard_history.commits(tmp_path, 2)
    git(tmp_path, "checkout", "-q", "-b", "side", first)
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "aside")
    aside = git(tmp_path, "rev-parse", "HEAD").strip()
    git(tmp_path, "checkout", "-q", "main")
    git(tmp_path, "merge", "-q", "--no-ff", "-m", "merge", "side")
    assert len(commits.last(10, tmp_path)) == 3
    assert aside not in commits.last(10, tmp_path)
    assert aside in commits.history(tmp_path)


# The rule


def test_the_last_two_values_are_compared():
    order = ["new", "middle", "old"]
    values = {("a", "old"): 9.0, ("a", "middle"): 1.0, ("a", "new"): 1.5}
    (change,) = check.changes(values, order)
    assert change.factor == 1.5
    assert change.commits == ("middle", "new")


def test_what_has_no_value_is_passed_over():
    order = ["new", "middle", "old"]
    values = {("a", "old"): 2.0, ("a", "middle"): math.nan, ("a", "new"): 1.0}
    values |= {("b", "old"): None, ("b", "new"): 1.0}
    values |= {("c", "elsewhere"): 1.0, ("c", "new"): 5.0}
    (change,) = check.changes(values, order)
    assert (change.name, change.factor) == ("a", 0.5)


@pytest.fixture
def at_commit(project, monkeypatch):
    """Let the check see the made project with its first commits only."""
    folder, _, results, hashes = project

    def go_back(count):
        shown = commits.history(folder)[-count:]
        monkeypatch.setattr(check, "history", lambda: shown)
        return results

    return go_back


@pytest.mark.parametrize(
    "count, factor, worse", [(4, 1.3, 1), (4, 2.1, 0), (6, 1.3, 0)]
)
def test_a_ratio_that_doubled_is_worse(at_commit, capsys, count, factor, worse):
    pytest.importorskip("asv")
    results = at_commit(count)
    assert check.check(dashboard_history.MACHINE, factor, results) == worse
    printed = capsys.readouterr().out
    assert f"2 ratios at two commits, {worse} worse by over {factor:g}" in printed
    assert (f"{dashboard_history.RATIO}(64): 0.98" in printed) == bool(worse)


def test_times_are_no_ratios(project):
    pytest.importorskip("asv")
    found = check.ratios(dashboard_history.MACHINE, project[2])
    assert {name for name, _ in found} == {
        f"{dashboard_history.RATIO}({size})" for size in dashboard_history.SIZES
    }
    assert len(found) == 12


def test_nothing_to_compare_is_no_success(project, at_commit):
    pytest.importorskip("asv")
    known = dashboard_history.MACHINE
    with pytest.raises(check.NothingToCompare, match=f"elsewhere.*results of: {known}"):
        check.check("elsewhere", 1.3, at_commit(6))
    with pytest.raises(check.NothingToCompare):
        check.check(known, 1.3, at_commit(1))


# Pages


@pytest.fixture(scope="module")
def pages(project, tmp_path_factory):
    pytest.importorskip("asv")
    _, config, results, _ = project
    output = tmp_path_factory.mktemp("pages") / "site"
    assert publish.publish(output, config, results) == output / "index.html"
    return output


def test_nothing_is_loaded_from_elsewhere(pages):
    """Looked for in all tags, by another expression than the one that rewrites."""
    for page in pages.glob("*.html"):
        html = page.read_text()
        for tag in re.findall(r"<(?:script|link|img|iframe)[^>]*>", html):
            assert "//" not in tag, tag
        for file in re.findall(r'(?:src|href)="(vendor/[^"]+)"', html):
            assert (pages / file).stat().st_size > 1000


def test_styles_and_scripts_load_no_more(pages):
    """No import of styles; fonts are named by the style, but of no element here."""
    styles = "".join(file.read_text() for file in pages.rglob("*.css"))
    assert "@import" not in styles
    assert not re.search(r"url\(['\"]?(https?:)?//", styles)
    assert "glyphicon" not in (pages / "index.html").read_text()


def test_regressions_are_listed(pages, project):
    listed = json.loads((pages / "regressions.json").read_text())["regressions"]
    ((name, _, _, _, last, best, _),) = listed
    assert name == f"{dashboard_history.RATIO}(64)"
    assert last / best == pytest.approx(2, rel=0.05)


def test_benchmarks_without_results_are_not_shown(pages):
    index = json.loads((pages / "index.json").read_text())
    assert set(index["benchmarks"]) == {dashboard_history.RATIO, dashboard_history.TIME}


def test_commits_of_merged_branches_are_drawn(tmp_path):
    """The last parent of a merge is shown, whichever it is called."""
    pytest.importorskip("asv")
    first, second = dashboard_history.commits(tmp_path, 2)
    git(tmp_path, "checkout", "-q", "-b", "side", first)
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "aside")
    aside = git(tmp_path, "rev-parse", "HEAD").strip()
    git(tmp_path, "checkout", "-q", "main")
    git(tmp_path, "merge", "-q", "--no-ff", "-m", "merge", "side")
    hashes, ratios = [first, second, aside], [1.0, 2.0, 3.0]
    config, results, _ = dashboard_history.write_results(tmp_path, hashes, ratios)
    publish.publish(tmp_path / "site", config, results)
    curve = tmp_path.glob(f"site/graphs/arch*/**/{dashboard_history.RATIO}.json")
    drawn = sorted(values[0] for _, values in json.loads(next(curve).read_text()))
    assert drawn == ratios


def test_the_dashboard_may_be_published_again(pages, project):
    _, config, results, _ = project
    publish.publish(pages, config, results)
    assert (pages / "vendor" / "LICENSES.txt").is_file()


def test_no_other_folder_is_emptied(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(publish.NotPublishable, match="holds other files"):
        publish.publish(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_paths_of_interpreters_are_not_published(tmp_path):
    _, results, _ = dashboard_history.make(tmp_path, [1.0], python="/home/me/python")
    with pytest.raises(publish.NotPublishable, match="/home/me/python"):
        publish.refuse_paths(results)


def test_unknown_scripts_are_refused():
    tag = '<script src="https://example.org/new.js" onerror="f()"></script>'
    with pytest.raises(offline.UnknownScript, match="example.org/new.js"):
        offline.rewritten(tag)


def test_scripts_of_the_page_itself_stay():
    own = '<script src="asv.js"></script><link href="asv.css" rel="stylesheet"/>'
    assert offline.rewritten(own) == own


@pytest.mark.parametrize("copy", vendored.COPIES, ids=lambda copy: copy.file)
def test_copies_are_unchanged(copy):
    copy.verify()


def test_changed_copies_are_refused(tmp_path, monkeypatch):
    copy = vendored.COPIES[0]
    (tmp_path / copy.file).write_text("changed")
    monkeypatch.setattr(vendored, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=copy.file):
        copy.verify()


def test_integrities_are_those_of_asv():
    asv = pytest.importorskip("asv")
    html = pathlib.Path(asv.__file__).with_name("www").joinpath("index.html")
    asked = dict(
        re.findall(
            r'(?:src|href)="(https:[^"]+)" integrity="([^"]+)"', html.read_text()
        )
    )
    assert set(asked) == {copy.url for copy in vendored.COPIES}
    for copy in vendored.COPIES:
        assert (asked[copy.url] == copy.integrity) == copy.same


def test_each_project_has_its_license():
    text = (vendored.FOLDER / "LICENSES.txt").read_text()
    assert all(copy.file in text for copy in vendored.COPIES)
    shown = {file.name for file in vendored.FOLDER.iterdir()} - {"LICENSES.txt"}
    assert shown == {copy.file for copy in vendored.COPIES}


# Machines


def test_a_new_machine_is_described_without_names(tmp_path):
    pytest.importorskip("asv")
    found = machine.description("lent", tmp_path)
    assert found["machine"] == "lent"
    assert not re.search(r"\d", found["os"])
    assert "GB" in found["ram"] and int(found["num_cpu"]) > 0


def test_a_known_machine_keeps_its_description(project):
    found = machine.description(dashboard_history.MACHINE, project[2])
    assert found == dashboard_history.MACHINE_FIELDS


# The command


def test_measuring_goes_from_the_newest_on(monkeypatch):
    called = []

    def asv(*arguments):
        file = arguments[-1].removeprefix("HASHFILE:")
        called.append((arguments[:-1], pathlib.Path(file).read_text()))
        return 0

    monkeypatch.setattr(measure, "asv", asv)
    monkeypatch.setattr(measure, "register", lambda name: None)
    measure.measure(["b" * 40, "a" * 40], ["one", "-two"], "lent")
    ((arguments, text),) = called
    assert text.split() == ["b" * 40, "a" * 40]
    expected = ("run", "--machine=lent", "--bench=one", "--bench=-two")
    assert arguments == (*expected, "--skip-existing")


@pytest.mark.parametrize("status, kept", [(0, True), (2, True), (1, False)])
def test_some_benchmarks_may_fail(monkeypatch, status, kept):
    monkeypatch.setattr(measure, "asv", lambda *arguments: status)
    monkeypatch.setattr(measure, "register", lambda name: None)
    if kept:
        measure.measure(["a" * 40], ["x"], "lent")
    else:
        with pytest.raises(measure.AsvFailed, match="status 1"):
            measure.measure(["a" * 40], ["x"], "lent")


@pytest.fixture
def steps(monkeypatch):
    """What the command does, instead of doing it."""
    pytest.importorskip("asv")
    done = []
    monkeypatch.setattr(command, "measure", lambda *a: done.append(("measure", *a)))
    monkeypatch.setattr(command, "publish", lambda *a: done.append(("publish", *a)))
    monkeypatch.setattr(command, "check", lambda *a: done.append(("check", *a)) or 2)
    monkeypatch.setattr(commits, "last", lambda count: ["c"] * count)
    monkeypatch.setattr(commits, "between", lambda text: [text][: len(text) - 4])
    return done


def test_without_arguments_the_present_commit_is_measured(steps):
    assert command.main([]) == 0
    name = machine.generic_name()
    assert steps[0] == ("measure", ["c"], defaults.BENCH, name, False)
    assert steps[1:] == [("publish", defaults.OUTPUT)]


def test_commits_and_benchmarks_are_chosen(steps):
    options = ["--commits", "3", "--bench", "x", "--bench", "y", "--machine", "lent"]
    command.main([*options, "--output", "here", "--again"])
    assert steps == [
        ("measure", ["c"] * 3, ["x", "y"], "lent", True),
        ("publish", "here"),
    ]


def test_a_check_alone_only_looks(steps):
    assert command.main(["--check", "--machine", "lent", "--factor", "1.5"]) == 1
    assert steps == [("check", "lent", 1.5)]


def test_a_check_of_commits_measures_first(steps):
    assert command.main(["--commits", "2", "--check"]) == 1
    assert [step[0] for step in steps] == ["measure", "publish", "check"]


def test_publishing_alone_measures_nothing(steps):
    assert command.main(["--publish-only"]) == 0
    assert steps == [("publish", defaults.OUTPUT)]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--commits", "0"], "expected 1 or more, got 0"),
        (["--commits", "many"], "invalid positive value: 'many'"),
        (["--factor", "0.9"], "expected a number above 1, got 0.9"),
        (["--range", "a..b", "--tags"], "not allowed with"),
        (["--range", "a..b"], "no commit has been selected"),
        (["nowhere"], "nowhere"),
        (["--publish-only", "--commits", "2"], "leave the commits out"),
    ],
)
def test_errors_name_the_way_out(steps, capsys, arguments, words):
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err
    assert steps == []


def test_a_missing_asv_is_named(monkeypatch, capsys):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        command.main(["--publish-only"])
    assert 'python -m pip install "convinv[bench]"' in capsys.readouterr().err


# The results that the repository holds

RESULTS = sorted(defaults.RESULTS.glob("*/*-*.json"))


def test_committed_results_are_small():
    assert RESULTS
    size = sum(file.stat().st_size for file in defaults.RESULTS.rglob("*.json"))
    assert size < 1_000_000


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.name[:8])
def test_committed_results_name_no_one(file):
    """No interpreters by path, no hosts; all of a machine that is described there."""
    found = json.loads(file.read_text())
    assert found["python"] == "3.11"
    described = json.loads((file.parent / "machine.json").read_text())
    for key, value in machine.description(file.parent.name).items():
        assert found["params"][key] == described[key] == value
    assert found["params"]["os"] == "Linux"
    assert not re.search(r"/(root|home|tmp|usr)\b", file.read_text())


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.name[:8])
def test_committed_results_are_of_this_history(file):
    if not (ROOT / ".git").exists():
        pytest.skip("no repository, so no history")
    assert json.loads(file.read_text())["commit_hash"] in commits.history()


def test_committed_results_are_of_the_present_benchmarks():
    """asv leaves out those of another version of a benchmark."""
    known = json.loads((defaults.RESULTS / "benchmarks.json").read_text())
    for file in RESULTS:
        for name, values in json.loads(file.read_text())["results"].items():
            assert re.match(defaults.BENCH[0], name)
            assert values[2] == known[name]["version"] == "1"
