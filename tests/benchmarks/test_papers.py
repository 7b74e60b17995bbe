"""The experiments of the documents: what they compute, and the tables they write."""

import doctest
import importlib
import pathlib
import re

import numpy as np
import pytest
from scipy.signal import convolve2d
from scipy.sparse import linalg

from convinv import gallery
from support.columns import column
from support.doctests import run
from support.measured import measured
from support.paths import ROOT

PAGES = sorted((ROOT / "docs" / "papers").glob("*.rst"))
FOLDER = ROOT / "benchmarks" / "results" / "papers" / "gmres"


# The problems


def test_the_condition_number_of_the_document(load):
    """The matrix of the blur is that of a line, Kronecker itself."""
    problems, document = load("gmres.problems"), load("gmres.document")
    size = document.CONDITION_SIZE
    t = np.arange(size)
    line = np.exp(-0.5 * (t - t[:, None]) ** 2) * (abs(t - t[:, None]) <= 5)
    line /= line[size // 2].sum()
    A = problems.dense(gallery.gaussian_kernel(11, 1.0), size)
    np.testing.assert_allclose(A, np.kron(line, line), atol=1e-16)
    values = np.linalg.eigvalsh(line)
    condition = (values[-1] / values[0]) ** 2
    assert values[0] > 0 and round(condition) == document.CONDITION
    assert condition == pytest.approx(problems.line_condition(11, 1.0, size) ** 2)


def test_blurs_are_convolutions(load):
    problems = load("gmres.problems")
    blur = problems.motion(24)
    assert blur.kernel.shape == (11, 11)
    assert not np.allclose(blur.kernel, blur.kernel[::-1, ::-1])
    expected = convolve2d(blur.x[0], blur.kernel, mode="same")
    np.testing.assert_allclose(blur.b[0], expected, atol=1e-14)
    blur = problems.gaussian(24)
    t = np.arange(-5, 6)
    for sigma, x, y in (
        (1.0, blur.x, blur.b),
        (1.05, blur.b, blur.op.forward(blur.b)),
    ):
        kernel = np.exp(-(t**2 + t[:, None] ** 2) / (2 * sigma**2))
        expected = convolve2d(x[0], kernel / kernel.sum(), mode="same")
        np.testing.assert_allclose(y[0], expected, atol=1e-14)


def test_the_matrix_of_a_blur(load):
    problems = load("gmres.problems")
    kernel = np.arange(9.0).reshape(3, 3)
    A = problems.dense(kernel, 5)
    for i in range(25):
        expected = convolve2d(np.eye(25)[i].reshape(5, 5), kernel, mode="same")
        np.testing.assert_array_equal(A[:, i], expected.ravel())


def test_the_sparse_matrix_is_the_document_s(load):
    """The published residual of SciPy's GMRES is that of the same matrix."""
    problems, document = load("gmres.problems"), load("gmres.document")
    size = document.SPARSE_SIZE
    A, b = problems.sparse(size)
    assert A.shape == (size, size) and size < A.nnz <= 2 * size
    x = linalg.gmres(A, b, rtol=1e-8, atol=0)[0]
    found = load("gmres.peers").squared_residual(A, x, b)
    assert found == pytest.approx(document.SPARSE["scipy gmres"][0], rel=0.01)


def test_the_matrix_next_to_singular_is_the_document_s(load):
    A, b = load("gmres.problems").near_singular()
    r = b - A @ np.linalg.lstsq(A, b, rcond=None)[0]
    expected = load("gmres.document").SINGULAR["lstsq"][0]
    assert r @ r == pytest.approx(expected, rel=1e-4)
    assert r @ r == pytest.approx(b[0] ** 2, rel=1e-4)


# The pieces


def test_cycles_are_the_same(load):
    peers = load("gmres.peers")
    rng = np.random.default_rng(0)
    A = np.eye(30) + 0.1 * rng.standard_normal((30, 30))
    b, zero = rng.standard_normal(30), np.zeros(30)
    expected = linalg.gmres(A, b, rtol=0, atol=0, restart=8, maxiter=1)[0]
    for x in (
        peers.textbook_cycle(lambda v: A @ v, b, zero, 8),
        peers.convinv_cycle(A, b, 8),
        peers.scipy_cycle(A, b, 8),
    ):
        np.testing.assert_allclose(x, expected, atol=1e-12)
    further = peers.textbook_cycle(lambda v: A @ v, b, expected, 8)
    before, after = (peers.squared_residual(A, x, b) for x in (expected, further))
    assert after < before / 2


def test_textbook_cycle_breaks_down_where_it_is_done(load):
    cycle = load("gmres.peers").textbook_cycle
    b = np.arange(1.0, 5.0)
    np.testing.assert_allclose(cycle(lambda v: 2 * v, b, np.zeros(4), 3), b / 2)
    np.testing.assert_array_equal(cycle(lambda v: 2 * v, b, b / 2, 3), b / 2)


def test_cycles_of_the_table_agree(load):
    """What is timed computes the same, in both precisions."""
    cycle = load("gmres.cycle")
    for dtype in ("float32", "float64"):
        calls, _ = cycle.cycles(16, 5, dtype)
        found = {name: cycle.residual(16, call()) for name, call in calls.items()}
        assert set(cycle.BARS) < set(found)
        assert cycle.same_residuals(found, dtype).holds
        assert not cycle.same_residuals(found | {"other": 1e3}, dtype).holds


def test_compiled_cycles(load):
    pytest.importorskip("jax")
    peers, blur = load("gmres.peers"), load("gmres.problems").gaussian(16)
    expected = peers.convinv_cycle(blur.op, blur.b, 5).ravel()
    found = peers.jax_cycles(blur.kernel, 16, blur.b.ravel(), 5)
    assert set(found) == {"classical", "library"}
    for call in found.values():
        np.testing.assert_allclose(call(), expected, atol=1e-10)


def test_widest_gap(load):
    gap = load("gmres.spectra").widest_gap
    assert gap(np.array([1, 2, 3.0])) == pytest.approx(360)
    assert gap(np.array([1, 1j, -1, -1j])) == pytest.approx(90)
    assert gap(np.array([0, 1, 1j, -1j])) == pytest.approx(180)


def test_psnr(load):
    psnr = load("gmres.motion").psnr
    assert psnr(np.full(4, 0.1), np.zeros(4)) == pytest.approx(20)
    assert psnr(np.zeros(4), np.zeros(4)) == np.inf


# The experiments, in sizes that take no time


def test_gaussian(load):
    gaussian, problems = load("gmres.gaussian"), load("gmres.problems")
    found = gaussian.outcome(16, 60, (10, 30))
    assert not found.failed and set(found.figures) == {
        "gaussian-residuals", "gaussian-pictures"
    }  # fmt: skip
    residuals = column(found.tables[0], "residual^2")
    assert residuals[1] < residuals[0] / 2
    assert column(found.tables[0], "steps") == [60, 60]
    A, blur = problems.dense(problems.gaussian(16).kernel, 16), problems.gaussian(16)
    r = blur.b.ravel() - A @ gaussian.solved(16, 60, 30).x.ravel()
    assert r @ r == pytest.approx(residuals[1], rel=1e-6)


def test_spectra(load):
    found = load("gmres.spectra").outcome(12)
    assert len(found.claims) == 3 and not found.failed
    table = found.tables[0]
    left, gap = column(table, "left %"), column(table, "gap degrees")
    assert left[0] == "0" and float(left[1]) > 10
    assert gap[0] == "360" and float(gap[1]) < 90
    plain, lanczos = column(table, "condition"), column(table, "Lanczos condition")
    assert float(lanczos[0]) == pytest.approx(float(plain[0]), rel=1e-3)


def test_motion(load):
    found = load("gmres.motion").outcome(32, 20, 5, ((20, 60),), (1, 20))
    assert not found.failed
    first, stages = found.tables
    assert column(first, "equations") == ["A x = b", "A^T A x = A^T b"]
    assert column(first, "steps")[1] == 100 and column(first, "steps")[0] <= 60
    assert column(stages, "steps") == [1, 20]
    a, b = map(float, column(stages, "dB"))
    assert a < b <= float(column(first, "dB")[1]) + 0.1


def test_plain_gmres_stands_still(load):
    found = load("gmres.motion").plain(32, 20, 3)
    assert not found.failed
    steps, residuals = zip(*found.tables[0].rows)
    assert steps[:2] == (20, 40) and 0 < residuals[1] <= residuals[0]


def test_matrices(load):
    found = load("gmres.matrices").outcome(60)
    assert not found.failed and len(found.claims) >= 7
    sparse, singular = found.tables
    residuals = dict(zip(column(sparse, "method"), column(sparse, "residual^2")))
    assert residuals["lstsq"] < 1e-20 < 1 < residuals["inv(A) x"]
    assert set(column(sparse, "document residual^2")) == {None}
    assert column(singular, "document residual^2")[0] == 3.6223e2


def test_rivals(load):
    found = load("gmres.rivals").outcome((16, 60, (10,)), (32, 20, 100))
    assert not found.failed and len(found.claims) == 4
    table = found.tables[0]
    methods = [name.split(":")[0] for name in column(table, "method")]
    assert methods == ["cg", "lsmr", "auto", "lsmr", "auto"]
    pairs = zip(column(table, "residual^2"), column(table, "GMRES residual^2"))
    for (residual, target), status in zip(pairs, column(table, "status")):
        assert (residual <= 1.001 * target) == (status == "CONVERGED")


# What is written


def made_up(load, holds=True, soft=False):
    figures = load("gmres.figures")
    report = importlib.import_module("benchmarks.support.outcome")
    table = report.Table("Title", "Text", "a,b,c", [(1, None, 2.0), ("x", 3e-9, 40)])
    claim = report.Claim("it works", "7 for 8", holds, soft)
    drawn = {"spectra-noise": figures.pictures({"noise": np.eye(4)})}
    return report.Outcome([table], [claim], ["a remark"], drawn)


def test_text_of_an_outcome(load):
    report = importlib.import_module("benchmarks.support.outcome")
    text = report.text_of(made_up(load, holds=False))
    lines = text.splitlines()
    assert lines[0] == "## Title" and lines[2] == "Text."
    table = [line.strip("|").split("|") for line in lines if line.startswith("|")]
    cells = [[cell.strip() for cell in row] for row in table if "-" not in row[0]]
    assert cells == [["a", "b", "c"], ["1", "-", "2.00"], ["x", "3.00e-09", "40"]]
    assert "- it works: **missed**, 7 for 8" in lines and "- a remark" in lines


@pytest.mark.parametrize(
    "holds, soft, status", [(True, False, 0), (False, True, 0), (False, False, 1)]
)
def test_command(load, monkeypatch, tmp_path, capsys, holds, soft, status):
    gmres = load("gmres.__main__").COMMAND
    ran = []

    def experiment(quick):
        ran.append(quick)
        return made_up(load, holds, soft)

    monkeypatch.setitem(gmres.experiments, "spectra", ("Spectra", experiment))
    command = ["--quick", "--only", "spectra", "--output", str(tmp_path / "a")]
    assert gmres.main(command) == status and ran == [True]
    text = (tmp_path / "a" / "spectra.md").read_text(encoding="utf-8")
    assert text.startswith("# Spectra\n\n- command: `python -m benchmarks.papers.gmres")
    assert text in capsys.readouterr().out
    index = (tmp_path / "a" / "results.md").read_text(encoding="utf-8")
    assert "[Spectra](spectra.md)" in index and "(spectra-noise.png)" in index
    assert "it works" in index and "motion" not in index
    picture = (tmp_path / "a" / "spectra-noise.png").read_bytes()
    assert picture.startswith(b"\x89PNG")


def test_quick_writes_nothing_unless_asked(load):
    gmres = load("gmres.__main__").COMMAND
    assert gmres.parse(["--quick"]).output is None
    assert gmres.parse([]).output == FOLDER
    assert set(gmres.parse([]).only) == set(gmres.experiments) - {"plain"}


def test_figures_are_small(load, tmp_path):
    figures = load("gmres.figures")
    png = importlib.import_module("benchmarks.support.png")
    noise = np.random.default_rng(0).random((200, 200))
    drawn = figures.pictures({"one": noise, "another": noise.T})
    sizes = []
    for limit in (10**9, 20_000):
        png.save(drawn, tmp_path / "noise.png", limit)
        sizes.append((tmp_path / "noise.png").stat().st_size)
    assert sizes[1] <= 20_000 < sizes[0]


# The pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples(page):
    text, parser = page.read_text(encoding="utf-8"), doctest.DocTestParser()
    run(parser.get_doctest(text, {"__name__": "docs"}, page.name, str(page), 0))


def test_pages_are_in_the_contents():
    if not PAGES:
        pytest.skip("no documentation beside the tests")
    text = (ROOT / "docs" / "papers" / "index.rst").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   (\w+)$", text, re.MULTILINE))
    assert listed == {page.stem for page in PAGES} - {"index"}
    contents = (ROOT / "docs" / "index.rst").read_text(encoding="utf-8")
    assert "   papers/index\n" in contents


@pytest.mark.parametrize("name", ["gmres", "strip", "spectral", "matinv", "svd_inv"])
def test_what_a_page_shows_exists(load, name):
    """Its tables and figures are those that the commands write."""
    pytest.importorskip("sklearn")
    if name in ("matinv", "svd_inv"):
        pytest.importorskip("torch")
    command = load(f"{name}.__main__").COMMAND
    text = (ROOT / "docs" / "papers" / f"{name}.rst").read_text(encoding="utf-8")
    drawn = re.findall(r"figure:: \.\./\.\./(benchmarks/\S+\.png)", text)
    tables = measured(text)
    shown = {pathlib.Path(file).stem: line for file, line in tables}
    assert set(shown) == set(command.experiments)
    for experiment, line in shown.items():
        assert command.parse(line.split()[1:]).only == [experiment]
    files = [ROOT / file for file in drawn + [file for file, _ in tables]]
    for file in files:
        assert file.parent == FOLDER.parent / name and file.is_file(), file
    assert max(file.stat().st_size for file in files) <= 100_000
