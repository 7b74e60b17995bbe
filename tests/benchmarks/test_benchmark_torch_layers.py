"""The experiments on layers of PyTorch: what they measure, and what pages show."""

import importlib
import re

import numpy as np
import pytest

from support.measured import measured
from support.pages import read
from support.paths import ROOT

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

RESULTS = "benchmarks/results/torch_layers/"


@pytest.fixture
def load(load):
    """Of this benchmark; skips where there is none beside the tests."""
    return lambda name: importlib.import_module(f"benchmarks.torch_layers.{name}")


def test_unrolled_steps_reach_the_solution(load):
    torch.manual_seed(0)
    weight = torch.randn(8, 3, 3, 3, dtype=torch.float64)
    x = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    y = F.conv2d(x, weight)
    found = load("unrolled").unrolled(y, weight, 0.0, 190)
    torch.testing.assert_close(found, x, rtol=0, atol=1e-4)
    A = F.conv2d(torch.eye(192, dtype=x.dtype).reshape(192, 3, 8, 8), weight)
    A = A.reshape(192, -1).T
    damped = torch.linalg.solve(
        A.T @ A + 0.25 * torch.eye(192), A.T @ y.reshape(2, -1).T
    )
    found = load("unrolled").unrolled(y, weight, 0.5, 190)
    torch.testing.assert_close(found.reshape(2, -1).T, damped, rtol=0, atol=1e-8)


def test_saved_bytes_are_those_of_the_steps(load):
    """At least the image of every step; and the gradients are those of a dense one."""
    gradients = load("gradients")
    problem = gradients.Problem(12, 2, 0.1)
    found = gradients.measured(problem, 0.0)
    image = 4 * 2 * 3 * 12**2
    saved = found.saved
    assert saved[gradients.UNROLLED] > gradients.STEPS * image > saved[gradients.OURS]
    assert max(found.errors[gradients.OURS]) < 1e-4


def test_ripple(load):
    """That of a known checkerboard; a slope and a constant have none."""
    ripple = load("autoencoder").ripple

    def add(pattern):
        return lambda x: x + pattern

    rows, columns = torch.meshgrid(torch.arange(24), torch.arange(24), indexing="ij")
    board = 0.1 * (-1.0) ** (rows + columns)
    assert ripple(add(board), (1, 24, 24)) == pytest.approx(0.2, rel=1e-5)
    assert ripple(add(0.3), (1, 24, 24)) < 1e-6
    transposed = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1, output_padding=1)
    nn.init.ones_(transposed.weight)
    uneven = nn.Sequential(nn.AvgPool2d(2), transposed)
    assert ripple(uneven, (1, 24, 24)) > 0.5  # 1, 2 and 4 taps under a pixel


def test_decoders_have_the_parameters_that_they_are_named_for(load):
    autoencoder = load("autoencoder")
    for channels in (1, 3):
        weights = 9 * 8 * channels * channels
        same, larger = autoencoder.trained_decoders(8 * channels, channels)
        assert same[1].weight.numel() == weights
        assert autoencoder.count(larger[1]) == pytest.approx(10 * weights, rel=0.1)


def test_patches_of_tests_are_of_other_photographs(load, monkeypatch):
    images = load("images")
    names = []

    def cut(chosen, size, count, rng):
        names.append(set(chosen))
        return torch.zeros(count, 3, size, size)

    monkeypatch.setattr(images, "_cut", cut)
    found = images.patches(8, 12)
    assert found.shape == (3, 8, 8) and names[0] and names[1]
    assert not names[0] & names[1]


def test_rounding_to_levels(load, monkeypatch):
    features = load("features")
    monkeypatch.setattr(features, "BITS", 2)
    y = torch.tensor([[[0.0, 0.9, 1.6, 3.0]], [[10.0, 10.0, 10.4, 13.0]]])
    expected = torch.tensor([[[0.0, 1.0, 2.0, 3.0]], [[10.0, 10.0, 10.0, 13.0]]])
    torch.testing.assert_close(features.rounded(y), expected)


def test_what_a_relu_cut_off_is_filled_in(load):
    torch.manual_seed(0)
    x = torch.rand(3, 12, 12)
    layer = nn.Conv2d(3, 32, 3, padding=1).requires_grad_(False)
    first, found = load("features").without_negatives(layer, x)
    assert (found - x).norm() < 0.01 * (first - x).norm()


def test_layers_of_wheels(load, tmp_path):
    """A state dict in a wheel, with its bias and options."""
    import io
    import zipfile

    wheels = load("wheels")
    layer = nn.Conv1d(1, 4, 8, stride=2, padding=3)
    data = io.BytesIO()
    state = {"a.weight": layer.weight.detach()[..., None], "a.bias": layer.bias}
    torch.save(state, data)
    with zipfile.ZipFile(tmp_path / "made_up-1.0-py3-none-any.whl", "w") as file:
        file.writestr("made_up/net.pt", data.getvalue())
    trained = wheels.Trained(
        "", "made_up", "made_up/net.pt", "a.weight", {"stride": 2, "padding": 3}
    )
    found, x = trained.layer(tmp_path), torch.rand(1, 40)
    torch.testing.assert_close(found(x), layer(x))
    with pytest.raises(FileNotFoundError, match="no wheel other-"):
        trained._replace(wheel="other").layer(tmp_path)
    assert np.all(np.isfinite(wheels.sound(1000)))


@pytest.mark.parametrize("page", ["torch", "torch_autoencoder", "torch_features"])
def test_what_the_pages_show_exists(load, page):
    """The tables and figures of the command, small enough."""
    command = load("__main__").COMMAND
    text = read(f"guide/{page}")
    drawn = re.findall(r"figure:: \.\./\.\./(\S+\.png)", text)
    tables = measured(text)
    assert tables and all(path.startswith(RESULTS) for path in drawn)
    for path, line in tables:
        words = line.split()
        assert words[0] == "benchmarks.torch_layers"
        assert f"{RESULTS}{words[2]}.md" == path and words[2] in command.experiments
    for path in drawn + [path for path, _ in tables]:
        assert 0 < (ROOT / path).stat().st_size <= 100_000, path
