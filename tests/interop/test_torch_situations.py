"""What users of PyTorch have asked for in public threads, solved and reported on."""

import numpy as np
import pytest
from scipy import signal

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

from convinv import ConvLinearOperator, project_nullspace, solve  # noqa: E402
from convinv.interop.torch import operator, spectrum  # noqa: E402
from support.torch_layers import dense  # noqa: E402

REAL = torch.float64


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def error(found, wanted):
    found, wanted = np.asarray(found), np.asarray(wanted)
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def apply(layer, x):
    with torch.no_grad():
        return layer(x)


def test_no_checkerboard():
    """The transposed convolution makes ripples of a constant, the inverse none."""
    layer = nn.Conv2d(1, 8, 3, stride=2, bias=False, dtype=REAL)
    ones = torch.ones(1, 33, 33, dtype=REAL)
    op, y = operator(layer, ones.shape), apply(layer, ones)
    back = op.adjoint(y)[0, 4:-4, 4:-4]
    assert back.std() / back.mean() > 0.1
    assert solve(op, y, rtol=1e-14).x.std() < 1e-12


def test_a_kernel_of_size_one():
    layer = nn.Conv2d(3, 3, 1, dtype=REAL)
    x = torch.rand(5, 3, 8, 8, dtype=REAL)
    found = solve(layer, apply(layer, x))
    condition = np.linalg.cond(layer.weight.detach().numpy()[:, :, 0, 0])
    assert found.method == "spectral"
    assert error(found.x, x) < 1e-15 * max(condition**2, 1000)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_3_d(mode):
    options = {"padding": 1, "padding_mode": mode, "dtype": REAL}
    layer = nn.Conv3d(1, 4, 3, **options)
    x = torch.rand(1, 6, 5, 7, dtype=REAL)
    assert error(solve(layer, apply(layer, x), rtol=1e-12).x, x) < 1e-10


def test_the_inverse_of_a_circular_transposed_convolution():
    layer = nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular", dtype=REAL)
    op = operator(layer, (4, 8, 8)).H
    x = torch.rand(op.input_shape, dtype=REAL)
    found = solve(op, op.forward(x), rtol=1e-12)
    assert found.method == "spectral" and error(found.x, x) < 1e-10


def test_output_padding():
    """An input has one output size for each, and what no input reaches is refused."""
    for extra in (0, 1):
        options = {"stride": 2, "padding": 1, "output_padding": extra}
        layer = nn.ConvTranspose2d(2, 4, 3, **options, dtype=REAL)
        x = torch.rand(2, 7, 7, dtype=REAL)
        assert error(solve(layer, apply(layer, x), rtol=1e-12).x, x) < 1e-10
    layer = nn.ConvTranspose1d(1, 1, 2, dilation=3, output_padding=2)
    with pytest.raises(ValueError, match="output_padding 2 is larger than padding 0"):
        operator(layer, (1, 8))


@pytest.mark.parametrize(
    "options",
    [
        {"padding_mode": "circular", "padding": 1},
        {"padding_mode": "circular", "padding": 1, "stride": 2},
        {"padding": 1, "stride": 2, "groups": 2},
    ],
)
def test_singular_values(options):
    layer = nn.Conv2d(2, 4, 3, **options, dtype=REAL)
    found = spectrum(layer, (2, 8, 8))
    values = np.linalg.svd(dense(layer, (2, 8, 8)), compute_uv=False)
    assert float(found.largest) == pytest.approx(values[0], rel=1e-12)
    assert float(found.smallest) == pytest.approx(values[-1], rel=1e-9)


def test_a_lipschitz_constant_is_no_smaller_than_the_norm():
    """Which replicated edges make larger than that of the torus."""
    options = {"padding": 1, "padding_mode": "replicate", "bias": False}
    layer = nn.Conv1d(1, 1, 3, **options)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[3.0, 0, 0]]]))
    found = spectrum(layer, (1, 10))
    norm = np.linalg.norm(dense(layer, (1, 10)), 2)
    assert norm == pytest.approx(np.sqrt(18)) and found.norm_bound >= norm * (1 - 1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_autoregressive_layers(seed):
    """Of conditions from 1e4 to 1e17: where x is not found, the message tells why."""
    torch.manual_seed(seed)
    weight = torch.randn(1, 1, 3, 3, dtype=REAL)
    weight *= torch.tensor([[1.0, 1, 1], [1, 1, 0], [0, 0, 0]], dtype=REAL)
    op = ConvLinearOperator(weight, (1, 16, 16), padding=1)
    x = torch.rand(1, 16, 16, dtype=REAL)
    found = solve(op, op.forward(x), on_failure="ignore")
    if error(found.x, x) > 1e-3:
        assert "singular" in found.message or "ill-conditioned" in found.message
    if np.linalg.cond(op.todense()) < 1e7:
        assert error(found.x, x) <= found.error_bound < 0.5


def test_complex_layers():
    """`F.conv_transpose2d` is the transpose, not the adjoint."""
    layer = nn.Conv2d(2, 5, 3, bias=False, dtype=torch.complex128)
    x = torch.randn(2, 8, 7, dtype=torch.complex128)
    op, y = operator(layer, x.shape), apply(layer, x)
    assert error(solve(op, y, rtol=1e-13).x, x) < 1e-11
    with torch.no_grad():
        theirs = F.conv_transpose2d(y, layer.weight).ravel()
    assert error(op.T @ y.ravel(), theirs) < 1e-14
    assert error(op.H @ y.ravel(), theirs) > 0.1


def test_causal_layers_are_filters():
    weight = torch.tensor([[[0.3, -0.5, 1.0]]], dtype=REAL)  # the latest sample last
    for dilation in (1, 2):
        padding = ((2 * dilation, 0),)
        op = ConvLinearOperator(weight, (1, 50), padding=padding, dilation=dilation)
        x = torch.randn(1, 50, dtype=REAL)
        taps = np.zeros(2 * dilation + 1)
        taps[::dilation] = weight.numpy()[0, 0, ::-1]
        y = op.forward(x)
        assert error(y, signal.lfilter(taps, 1, x.numpy())) < 1e-14
        wanted = signal.lfilter([1], taps, y.numpy())
        assert error(solve(op, y, rtol=1e-13).x, wanted) < 1e-10


def test_pixels_that_no_tap_sees():
    """A stride larger than the kernel: they are 0, and span the null space."""
    layer = nn.Conv1d(1, 4, 2, stride=3, dtype=REAL)
    x = torch.rand(1, 17, dtype=REAL)
    unseen = torch.arange(17) % 3 == 2
    op = operator(layer, (1, 17))
    b = apply(layer, x) - layer.bias.detach()[:, None]
    found = solve(op, b, rtol=1e-13).x
    assert (found[0, unseen] == 0).all() and error(found[0, ~unseen], x[0, ~unseen])
    np.testing.assert_allclose(project_nullspace(op, x), x * unseen, atol=1e-12)
    assert spectrum(layer, (1, 17)).nullity == 5


def test_patch_embeddings():
    """One pseudoinverse for all patches."""
    layer = nn.Conv2d(3, 60, 4, stride=4, dtype=REAL)
    x = torch.rand(3, 32, 32, dtype=REAL)
    op = operator(layer, x.shape)
    found = solve(op, op.forward(x))
    assert found.method == "spectral" and found.nit == 1 and error(found.x, x) < 1e-12
    assert "one small matrix for all" in found.message


def test_windowed_fourier_transforms():
    """In single precision; only the sample whose window is 0 is lost."""
    window = torch.hann_window(32)
    frequencies = torch.fft.rfft(torch.eye(32)).T * window
    kernel = torch.cat([frequencies.real, frequencies.imag[1:-1]])[:, None]
    op = ConvLinearOperator(kernel, (1, 160), stride=8)
    x = torch.randn(1, 160)
    found = solve(op, op.forward(x))
    assert found.success and found.x[0, 0].abs() < 1e-5
    assert error(found.x[0, 1:], x[0, 1:]) < max(1e-3, found.error_bound)


def test_weights_gradients_are_convolutions():
    """Gradient inversion: dL/dW is the input under a convolution by dL/dz."""
    layer = nn.Conv2d(1, 8, 5, bias=False, dtype=REAL)
    x = torch.rand(1, 1, 6, 6, dtype=REAL)
    z = layer(x)
    g = torch.randn_like(z)
    (gradient,) = torch.autograd.grad(z, layer.weight, g)
    op = ConvLinearOperator(g[0][:, None], (1, 6, 6))
    assert error(op.forward(x[0]), gradient[:, 0]) < 1e-13
    assert error(solve(op, gradient[:, 0], rtol=1e-13).x, x[0]) < 1e-10


def test_analysis_layers_need_no_planning():
    """Of many long filters: iterations that cost less than a look at the inverse."""
    layer = nn.Conv1d(1, 32, 128, stride=4, padding=62, dtype=REAL)
    op = operator(layer, (1, 256))
    x = torch.rand(1, 256, dtype=REAL)
    found = solve(op, op.forward(x))
    assert found.success and error(found.x, x) < 1e-4
    assert found.method == "cgls" and not any("direct" in k for k in op.cached_keys)


@pytest.mark.parametrize("dtype", [torch.float32, REAL])
def test_square_layers_of_every_precision(dtype):
    """As `nn.Conv2d` draws them, of condition 1e4: the dense solve is no better."""
    layer = nn.Conv2d(3, 3, 3, padding=1, dtype=dtype)
    x = torch.rand(3, 20, 20, dtype=dtype)
    op = operator(layer, x.shape)
    b = op.forward(x)
    found = solve(op, b)
    direct = torch.linalg.solve(torch.tensor(op.todense()), b.ravel())
    limit = 10 * error(direct, x.ravel()) + 1e-6
    assert found.success and error(found.x, x) < max(limit, found.error_bound)


def test_channels_last():
    layer = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
    x = torch.rand(2, 3, 9, 8).to(memory_format=torch.channels_last)
    y = apply(layer, x)
    assert not y.is_contiguous() and error(solve(layer, y).x, x) < 1e-5


def test_half_precision():
    layer = nn.Conv2d(3, 16, 3).half()
    x = torch.rand(2, 3, 9, 8)
    wide = nn.Conv2d(3, 16, 3)
    wide.load_state_dict(layer.state_dict())
    y = apply(wide, x)
    assert error(solve(layer, y).x, x) < 1e-5  # -100 dB
    found = solve(layer, y.half())
    assert found.x.dtype == torch.float16 and error(found.x.float(), x) < 1e-2


class TestWeightsThatAreComputed:
    """By hooks or parametrizations, before every forward pass."""

    OLD = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprec")
    NORMS = pytest.mark.parametrize(
        "norm",
        [
            nn.utils.spectral_norm,
            nn.utils.weight_norm,
            nn.utils.parametrizations.spectral_norm,
            nn.utils.parametrizations.weight_norm,
            lambda layer: prune.random_unstructured(layer, "weight", 0.5),
        ],
        ids=["spectral_norm", "weight_norm", "new spectral", "new weight", "pruned"],
    )

    @OLD
    @NORMS
    def test_after_a_step_of_training(self, norm):
        """The operator is that of the next pass, not of the weight left over."""
        layer = norm(nn.Conv2d(2, 4, 3, bias=False, dtype=REAL))
        x = torch.rand(2, 6, 6, dtype=REAL)
        layer(x).sum().backward()
        torch.optim.SGD(layer.parameters(), lr=0.1).step()
        layer.eval()
        op = operator(layer, x.shape)
        assert error(op.forward(x), apply(layer, x)) < 1e-13
        assert error(ConvLinearOperator(layer, x.shape).kernel, op.kernel) == 0

    @OLD
    @NORMS
    def test_reading_changes_nothing(self, norm):
        layer = norm(nn.Conv2d(2, 4, 3, bias=False, dtype=REAL)).train()
        x = torch.rand(2, 6, 6, dtype=REAL)
        y = apply(layer, x)
        before = {name: t.clone() for name, t in layer.state_dict().items()}
        op = operator(layer, x.shape)
        after = layer.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert layer.training and error(op.forward(x), y) < 1e-13
