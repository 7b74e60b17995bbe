"""STRIP against transposed convolutions, and against its listing in torch."""

import numpy as np
import pytest

from convinv import ConvLinearOperator, gallery
from support.columns import column
from support.strip_layers import strip_rows

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("sklearn")


# UPCONV


def test_a_transposed_convolution_with_the_layer_s_weights_is_its_adjoint(load):
    torch = pytest.importorskip("torch")
    network = load("strip.transposed").network(torch, 3, 8, (3, 3))
    op = load("strip.problems").Case(29, 2).operator()
    b = np.random.default_rng(0).standard_normal((2, 8, 27, 27), dtype=np.float32)
    with torch.no_grad():
        network[0].weight[:] = torch.from_numpy(np.array(op.kernel))
        network[0].bias[:] = 0
        x = network(torch.from_numpy(b)).numpy()
    np.testing.assert_allclose(x, op.adjoint(b), atol=1e-5)


def test_squares_for_training(load):
    data, transposed = load("strip.data"), load("strip.transposed")
    source = data.Photographs(128, ["astronaut"])
    x = transposed.squares(source, np.random.default_rng(0))
    assert x.shape == (transposed.BATCH, 3, transposed.SQUARE, transposed.SQUARE)
    images = source.batch(transposed.BATCH // transposed.CUTS, np.random.default_rng(0))
    for number, square in enumerate(x):
        image = images[number // transposed.CUTS]
        windows = np.lib.stride_tricks.sliding_window_view(image, square.shape)[0]
        assert (windows[:, :, :, 0, 0] == square[:, 0, 0]).all(2).any()
        top, left = np.argwhere((windows[:, :, :, 0] == square[:, 0]).all((2, 3)))[0]
        np.testing.assert_array_equal(windows[top, left], square)


class WhiteNoise:
    def batch(self, count, rng):
        return rng.standard_normal((count, 3, 64, 64), dtype=np.float32)


def test_training_finds_a_known_answer(load):
    """A layer that copies its three channels is undone by three taps."""
    pytest.importorskip("torch")
    transposed = load("strip.transposed")
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    kernel[range(3), range(3), 1, 1] = 1
    op = ConvLinearOperator(kernel, (3, 64, 64))
    net = transposed.Transposed(op, WhiteNoise(), 0, 60, 0.1, 0.0)
    weights = net.network[0].weight.detach().numpy()
    np.testing.assert_allclose(weights, kernel.transpose(1, 0, 2, 3), atol=0.1)
    assert net.parameters == 84 and net.seconds > 0
    x = WhiteNoise().batch(2, np.random.default_rng(5))
    inside = (..., slice(1, -1), slice(1, -1))
    assert np.mean((net(op.forward(x))[inside] - x[inside]) ** 2) < 0.01


def test_strip_beats_transposed_convolutions(load, monkeypatch):
    pytest.importorskip("torch")
    upconv = load("strip.upconv")
    names = ["astronaut", "camera", "coffee"]
    monkeypatch.setattr(gallery, "images", lambda: names)
    steps = {name: 20 for name in upconv.STEPS}
    outcome = upconv.outcome({}, steps, 2, 2, size=64)
    (table,) = outcome.tables
    assert column(table, "method") == ["STRIP", "auto", *upconv.STEPS]
    mse = [float(cell) for cell in column(table, "MSE")]
    psnr = [float(cell.split()[0]) for cell in column(table, "PSNR dB")]
    np.testing.assert_allclose(-10 * np.log10(mse), psnr, atol=1)
    assert mse[1] < mse[0] < min(mse[2:]) / 10
    assert len(outcome.claims) == 4 and all(claim.holds for claim in outcome.claims)
    assert set(outcome.figures) == {"upconv-smiley", "upconv-photograph"}
    assert outcome.notes[0] == "trained on camera, coffee; tested with astronaut"
    assert "219 parameters" in outcome.notes[1] and "20 steps" in outcome.notes[2]


def test_quality_away_from_the_borders(load):
    quality = load("strip.upconv").quality
    x = np.zeros((3, 3, 32, 32), np.float32)
    answer = x.copy()
    answer[..., :4, :] = 0.5
    found = quality(answer, x, 1.0)
    assert found.psnr == pytest.approx(-10 * np.log10(0.25 / 8))
    assert found.inner == np.inf and found.seconds == 1


def test_training_pictures_are_not_tested(load, tmp_path):
    upconv, rng = load("strip.upconv"), np.random.default_rng(0)
    for number in range(6):
        pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    training, test, words = upconv.sources(64, {"celeba": tmp_path})
    assert len(training.files) == 5 and len(test.files) == 1
    assert not set(training.files) & set(test.files)
    assert words == "trained on 5 pictures, tested with 1 others"
    training, test, words = upconv.sources(64, {})
    trained, tested = words.removeprefix("trained on ").split("; tested with ")
    trained, tested = trained.split(", "), tested.split(", ")
    assert sorted(trained + tested) == sorted(gallery.images())
    assert (training.classes, test.classes) == (len(trained), len(tested))


def test_the_smiley_has_sharp_edges(load):
    image = load("strip.upconv").smiley(64)
    assert image.shape == (3, 64, 64) and image.dtype == np.float32
    np.testing.assert_array_equal(image, image[:, :, ::-1])
    assert len(np.unique(image.reshape(3, -1), axis=1).T) == 3
    assert image.min() == -1 and image.max() == 1


def test_where_an_edge_is(load):
    upconv = load("strip.upconv")
    image = np.zeros((3, 90, 100))
    image[:, :, 60:] = 1
    top, left = upconv.edge(image)
    assert left + upconv.ZOOM // 2 in (59, 60) and 0 <= top <= 90 - upconv.ZOOM


# The listing and the speed of a sweep


def listing_case(filters=6, channels=2, size=(8, 8)):
    rng = np.random.default_rng(1)
    kernel = rng.standard_normal((filters, channels, 3, 3))
    op = ConvLinearOperator(kernel, (channels, *size))
    b = rng.standard_normal((3, *op.output_shape))  # not consistent
    return op, b, op @ np.eye(op.shape[1])


@pytest.mark.parametrize(
    ("filters", "h_b", "sweeps"),
    [(6, 12, 1), (6, 36, 1), (6, 6, 2), (3, 6, 2), (2, 3, 3), (2, 1, 1)],
)
def test_the_listing_solves_window_after_window(load, filters, h_b, sweeps):
    """Block Kaczmarz with dense pseudoinverses; tall strips, wide ones, and all."""
    torch = pytest.importorskip("torch")
    transcription = load("strip.transcription")
    op, b, A = listing_case(filters)
    y = b.reshape(3, -1).T
    expected = np.zeros((op.shape[1], 3))
    for _ in range(sweeps):
        for rows in strip_rows(op, h_b):
            rest = y[rows] - A[rows] @ expected
            expected += np.linalg.lstsq(A[rows], rest, rcond=1e-12)[0]
    kernel, right = (torch.from_numpy(a.astype("f4")) for a in (op.kernel, b))
    x = transcription.invert(kernel, right, op.input_shape[1:], h_b, sweeps)
    expected = expected.T.reshape(x.shape)
    difference = np.linalg.norm(x.numpy() - expected) / np.linalg.norm(expected)
    assert difference < 2e-4


def test_the_listing_s_trimmed_matrix(load):
    torch = pytest.importorskip("torch")
    op, _, A = listing_case()
    rows = strip_rows(op, 12)[0]
    active = A[rows].any(axis=0)
    kernel = torch.from_numpy(np.array(op.kernel))
    trimmed = load("strip.transcription").trimmed(kernel.float(), (4, 8))
    np.testing.assert_allclose(trimmed, A[rows][:, active], atol=1e-6)


def test_sweep_and_listing_agree(load):
    pytest.importorskip("torch")
    sweep = load("strip.sweep")
    outcome = sweep.outcome((28, 40), {}, batch=3, rounds={28: (0, 2), 40: (0, 2)})
    (table,) = outcome.tables
    assert column(table, "images") == ["28 x 28 x 1", "40 x 40 x 3"]
    assert column(table, "a strip's matrix") == ["416 x 112", "608 x 480"]
    assert max(column(table, "differ")) < 2e-5
    assert [claim.soft for claim in outcome.claims] == [True, False] * 2
    assert not outcome.failed
    whole = [float(cell.split(" / ")[0]) for cell in column(table, "s")]
    inside = [float(cell) for cell in column(table, "in the method s")]
    assert all(0 < a < b for a, b in zip(inside, whole))
    for cells in zip(*(column(table, name) for name in ("listing s", "s", "ratio"))):
        theirs, own, ratio = (float(cell.split(" / ")[0]) for cell in cells)
        assert ratio == pytest.approx(theirs / own, rel=0.02, abs=0.006)


def test_the_noise_of_a_sweep_s_data(load):
    sweep = load("strip.sweep")
    op = load("strip.problems").Case(40, 2).operator()
    images = np.random.default_rng(0).standard_normal((2, 3, 40, 40), dtype="f4")
    images[1] *= 5
    b = sweep.noisy(op, images, np.random.default_rng(1))
    assert b.dtype == np.float32
    error = (b - op.forward(images)).std(axis=(1, 2, 3))
    np.testing.assert_allclose(error, 0.01 * images.std(axis=(1, 2, 3)), rtol=0.03)


def test_the_time_within_a_method_leaves_no_trace(load):
    from convinv.solvers import METHODS

    sweep, before = load("strip.sweep"), METHODS["strip"]

    def fails():
        raise ZeroDivisionError

    assert sweep.within(lambda: None) == 0
    with pytest.raises(ZeroDivisionError):
        sweep.within(fails)
    assert METHODS["strip"] is before
