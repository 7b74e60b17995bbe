"""The STRIP paper's experiments: their data, what they measure, their tables."""

import gzip
import itertools
import struct
import types

import numpy as np
import pytest

from convinv import ConvLinearOperator, gallery
from support.columns import column

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("sklearn")


# The data


def test_photographs(load):
    source = load("strip.data").Photographs(32, ["astronaut", "camera"])
    x, labels = source.labeled(40, np.random.default_rng(0))
    assert x.shape == (40, 3, 32, 32) and x.dtype == np.float32
    assert -1 <= x.min() < -0.5 < 0.5 < x.max() <= 1
    assert set(labels) == {0, 1} and source.classes == 2
    gray = np.ptp(x, axis=1).max(axis=(1, 2)) == 0
    np.testing.assert_array_equal(gray, labels == 1)
    again = source.batch(40, np.random.default_rng(0))
    np.testing.assert_array_equal(x, again)
    assert len(np.unique(x.reshape(40, -1), axis=0)) > 30  # some are whole ones


def test_a_square_is_part_of_its_photograph(load):
    source = load("strip.data").Photographs(512, ["astronaut"])
    x = source.batch(1, np.random.default_rng(0))[0]
    whole = 2 * gallery.image("astronaut", dtype=np.float32) - 1
    assert any(np.array_equal(x, y) for y in (whole, whole[:, :, ::-1]))


def test_small_digits(load):
    source = load("strip.data").SmallDigits()
    x, labels = source.labeled(50, np.random.default_rng(0))
    assert x.shape == (50, 1, 28, 28) and set(labels) <= set(range(10))
    np.testing.assert_array_equal(x[:, :, :4], -1)
    assert x[:, :, 4:24, 4:24].max() > 0.9


def mnist(path, count=7, announced=None, side=28):
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side), np.uint8)
    head = struct.pack(">4i", 2051, announced or count, side, side)
    with (gzip.open if path.suffix == ".gz" else open)(path, "wb") as file:
        file.write(head + pixels.tobytes())
    return pixels


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_mnist_folder(load, tmp_path, suffix):
    pixels = mnist(tmp_path / f"train-images-idx3-ubyte{suffix}")
    source = load("strip.data").source(28, {"mnist": tmp_path, "celeba": None})
    x = source.batch(7, np.random.default_rng(0))
    assert x.shape == (7, 1, 28, 28) and x.dtype == np.float32
    order = np.lexsort(np.round((x + 1) * 127.5).reshape(7, -1).T)
    expected = pixels.reshape(7, -1)[np.lexsort(pixels.reshape(7, -1).T)]
    found = (x[order].reshape(7, -1) + 1) * 127.5
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert source.batch(20, np.random.default_rng(0)).shape == (20, 1, 28, 28)


def test_bad_mnist_folders(load, tmp_path):
    data, name = load("strip.data"), "train-images-idx3-ubyte"
    with pytest.raises(FileNotFoundError, match=name):
        data.Digits(tmp_path)
    for options, error in (({"announced": 8}, "cut off"), ({"side": 9}, "no file of")):
        mnist(tmp_path / name, **options)
        with pytest.raises(ValueError, match=error):
            data.Digits(tmp_path)
    (tmp_path / name).write_bytes(b"short")
    with pytest.raises(ValueError, match="no file of"):
        data.Digits(tmp_path)


def test_celeba_folder(load, tmp_path):
    data, folders = load("strip.data"), {"mnist": None, "celeba": tmp_path}
    with pytest.raises(FileNotFoundError, match="no pictures"):
        data.source(64, folders)
    (tmp_path / "part").mkdir()
    tones = (0, 102, 255)
    for tone in tones:
        picture = np.full((218, 178, 3), tone, np.uint8)
        Image.fromarray(picture).save(tmp_path / "part" / f"{tone}.png")
    source = data.source(64, folders)
    x = source.batch(3, np.random.default_rng(0))
    assert x.shape == (3, 3, 64, 64)
    np.testing.assert_allclose(sorted(x.mean(axis=(1, 2, 3))), [-1, -0.2, 1], atol=1e-6)
    assert isinstance(data.source(28, folders), data.SmallDigits)


def test_trained_layer_tells_digits_apart(load):
    pytest.importorskip("torch")
    data, layers = load("strip.data"), load("strip.layers")
    trained = layers.Trained(data.SmallDigits(), 8, steps=60)
    assert trained.kernel.shape == (8, 1, 3, 3)
    assert trained.accuracy > 0.5  # one in ten by chance


# The measures


def test_measures(load):
    measures, psnr = load("strip.measures"), load("strip.tables").psnr
    x = np.zeros((3, 1, 8, 8), np.float32)
    assert psnr(x, x) == np.inf
    assert psnr(x, x + 0.1) == pytest.approx(20, abs=1e-4)
    noise = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    assert measures.ssim(noise, noise) == pytest.approx(1)
    assert abs(measures.ssim(noise, noise[::-1])) < 0.4
    assert measures.spread([1.0, 2.0]) == "1.50 ± 0.50"
    assert measures.spread([1.0, None], 1) == "1.0" and measures.spread([]) == "-"
    assert measures.seconds([0.01234]) == "0.0123"
    assert measures.seconds([12.3]) == "12.3"


def test_products_are_counted(load):
    measures, case = load("strip.measures"), load("strip.problems").Case(12, 4)
    op, quietly = case.operator(), load("strip.problems").quietly
    b = op.forward(np.random.default_rng(0).random((4, 1, 12, 12), np.float32))
    counts = [
        measures.measured(lambda n=n: quietly(op, b, "cgls", rtol=0, maxiter=n), op, 4)[
            1
        ].products
        for n in (1, 4)
    ]
    assert np.diff(counts) == pytest.approx(2 * 3)
    assert not {"apply", "apply_adjoint"} & set(vars(op))


def test_peak_memory(load):
    measures, op = load("strip.measures"), load("strip.problems").Case(12).operator()
    cost = measures.measured(lambda: np.ones(20_000_000).sum(), op, 1)[1]
    if cost.peak is None:
        pytest.skip("the system does not tell")
    assert 150 < cost.peak < 250  # 160 MB, though none is left


# The tables


def test_problem(load):
    problems = load("strip.problems")
    op = problems.Case(16, 5).operator()
    x = np.random.default_rng(0).random((5, 1, 16, 16), np.float32)
    made = problems.problem(op, x, 0.1, 1)
    A = op.tosparse().toarray().astype(float)
    expected = np.linalg.lstsq(A, made.b.reshape(5, -1).T.astype(float))[0].T
    np.testing.assert_allclose(made.pinv.reshape(5, -1), expected, atol=1e-6)
    noise = made.b - op.forward(x)
    np.testing.assert_allclose(
        noise.std(axis=(1, 2, 3)), 0.1 * x.std(axis=(1, 2, 3)), rtol=0.1
    )


@pytest.mark.parametrize("name", ["table1", "table4"])
def test_one_iteration(load, name):
    tables, problems = load("strip.tables"), load("strip.problems")
    found = tables.outcome(name, [problems.Case(28, 3)], 2, {})
    assert not found.failed and set(found.figures) == {f"{name}-28"}
    table = found.tables[0]
    methods = column(table, "method")
    assert methods == list(tables.NAMES)
    pinv = dict(zip(methods, column(table, "PSNR to PINV")))
    levels = {method: float(text.split()[0]) for method, text in pinv.items()}
    assert levels["auto"] > 100 > 60 > levels["STRIP"] > 20 > levels["CG"]
    assert "±" in pinv["CG"]
    paper = dict(zip(methods, column(table, "paper's")))
    assert paper["STRIP"] == {"table1": "42.776", "table4": "23.046"}[name]
    assert paper["GBK"] is None
    products = dict(zip(methods, column(table, "products")))
    assert products["CG"] == "5" and int(products["GBK"]) > 5
    matrix = dict(zip(methods, column(table, "with a matrix")))
    assert matrix["STRIP"] == "-" and float(matrix["CG"]) > 0


def test_ten_times_the_noise(load):
    pytest.importorskip("torch")
    kernels, problems = load("strip.kernels"), load("strip.problems")
    counts = {"initial": 2, "trained": 1}
    found = kernels.outcome([problems.Case(28, 3)], counts, 5, {})
    assert not found.failed and len(found.tables[0].rows) == 3
    low, high = (column(found.tables[0], f"PSNR {n}%") for n in (1, 10))
    np.testing.assert_allclose(
        np.subtract(np.float64(low), np.float64(high)), 20, atol=0.1
    )
    A = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 4, 28)).tosparse()
    condition = float(column(found.tables[0], "condition of a strip")[0])
    assert condition == pytest.approx(np.linalg.cond(A.toarray()), abs=0.06)


def test_matching(load, monkeypatch):
    matching, problems = load("strip.matching"), load("strip.problems")
    ticks = itertools.count()  # a clock that a busy machine does not change
    clock = types.SimpleNamespace(perf_counter=lambda: 1e-6 * next(ticks))
    monkeypatch.setattr(matching, "time", clock)
    found = matching.outcome({problems.Case(28, 3): 1}, 400e-6, {})
    assert not found.failed
    table = found.tables[0]
    rows = {row[0]: row for row in table.rows}
    target = float(rows["STRIP"][3])
    for name, iterations, _, level, *_ in table.rows:
        assert (float(level) >= target) != str(iterations).startswith("not in"), name
    assert column(table, "paper's")[1] == 22 and int(rows["CG"][1]) > 5
    # one step less would not have done
    case = problems.Case(28, 3)
    rng = np.random.default_rng(0)
    x = load("strip.data").labeled(28).batch(3, rng)
    made = problems.problem(case.operator(), x, 0.01, rng)
    for steps, enough in ((int(rows["CG"][1]), True), (int(rows["CG"][1]) - 1, False)):
        got = problems.quietly(case.operator(), made.b, "cgls", rtol=0, maxiter=steps)
        level = load("strip.tables").psnr(got.x, made.pinv)
        assert (level >= target - 0.01) == enough


def test_a_race_counts_no_time_of_its_own(load):
    race = load("strip.matching").Race(10.0, np.zeros(4), 60.0)

    class State:
        x = np.ones(4)

    assert not race(State) and race.level == 0
    State.x = np.full(4, 0.1)
    assert race(State) and race.reached and 0 < race.own < 1


def test_figure_1(load):
    single, problems = load("strip.single"), load("strip.problems")
    found = single.outcome(problems.Case(40, 1, 16), "astronaut")
    assert not found.failed and set(found.figures) == {"figure1"}
    rows = {row[0]: row for row in found.tables[0].rows}
    assert set(rows) == {*single.SHOWN, "auto"}
    assert rows["CG"][2] > 1 and float(rows["CG"][3]) >= float(rows["STRIP"][1])
    drawn = [ax for ax in found.figures["figure1"].axes if ax.images]
    assert len(drawn) == 2 * len(rows)


def test_numbers_of_the_paper(load):
    paper = load("strip.paper")
    assert paper.printed(paper.PSNR, 64, "RSHK") == 5.417
    assert paper.printed(paper.PSNR, 256, "GS") is None
    assert paper.cell(paper.ITERATIONS, 256, "LSMR") == "555"
    assert paper.cell(paper.ITERATIONS, 28, "GS") is None
    for size in (28, 64, 256):  # ten times the noise
        drop = paper.PSNR[size][0] - paper.NOISY_PSNR[size][0]
        assert drop == pytest.approx(20, abs=0.3)
