"""Inverse: chains of modules whose input is known."""

import copy
import io
import math
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.autograd import gradcheck, gradgradcheck  # noqa: E402

from convinv import ConvergenceError, ConvergenceWarning  # noqa: E402
from convinv.interop.torch import Inverse, ResidualBlock  # noqa: E402
from support.torch_chains import random_chain  # noqa: E402


def relative_errors(found, x):
    """Of each item."""
    rows = (found - x).flatten(1), x.flatten(1)
    return torch.linalg.vector_norm(rows[0], dim=1) / torch.linalg.vector_norm(
        rows[1], dim=1
    )


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def tall(axes=2, **options):
    """A redundant layer."""
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
    return kind(2, 6, 2, **options)


def prelu(*slopes):
    layer = nn.PReLU(len(slopes))
    layer.weight.data.copy_(torch.tensor(slopes))
    return layer


def trained(norm):
    """Batch norm with statistics of its own."""
    for tensor in (norm.weight, norm.running_var):
        nn.init.uniform_(tensor, 0.5, 2)
    for tensor in (norm.bias, norm.running_mean):
        nn.init.normal_(tensor)
    return norm


def block(channels=2, gain=0.3, activation=nn.ELU):
    conv = nn.Conv2d(channels, channels, 3, padding=1)
    conv.weight.data.mul_(gain)
    return ResidualBlock(nn.Sequential(conv, activation()))


SHAPE = (2, 6, 8)
STAGES = {
    "Conv1d": lambda: (tall(1), (2, 9)),
    "Conv2d": lambda: (tall(), SHAPE),
    "Conv3d": lambda: (tall(3), (2, 4, 5, 3)),
    "strided": lambda: (nn.Conv2d(2, 12, 3, stride=2, padding=1), SHAPE),
    "circular": lambda: (tall(padding="same", padding_mode="circular"), SHAPE),
    "reflect": lambda: (nn.Conv2d(2, 6, 3, padding=1, padding_mode="reflect"), SHAPE),
    "groups": lambda: (nn.Conv2d(4, 12, 3, groups=2, bias=False), (4, 6, 8)),
    "ConvTranspose1d": lambda: (nn.ConvTranspose1d(2, 3, 4, stride=2), (2, 9)),
    "ConvTranspose2d": lambda: (
        nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1),
        (4, 4, 5),
    ),
    "ConvTranspose3d": lambda: (nn.ConvTranspose3d(2, 2, 2, stride=2), (2, 3, 3, 2)),
    "Linear": lambda: (nn.Linear(6, 9), (6,)),
    "Linear, rows": lambda: (nn.Linear(6, 9, bias=False), (3, 6)),
    "spectral norm": lambda: (nn.utils.parametrizations.spectral_norm(tall()), SHAPE),
    "BatchNorm1d": lambda: (trained(nn.BatchNorm1d(2)), (2, 9)),
    "BatchNorm1d, rows": lambda: (trained(nn.BatchNorm1d(7)), (7,)),
    "BatchNorm2d": lambda: (trained(nn.BatchNorm2d(2)), SHAPE),
    "BatchNorm3d": lambda: (nn.BatchNorm3d(2, affine=False), (2, 4, 5, 3)),
    "LeakyReLU": lambda: (nn.LeakyReLU(0.1), SHAPE),
    "PReLU": lambda: (nn.PReLU(), SHAPE),
    "PReLU, channels": lambda: (prelu(0.3, 1.4), SHAPE),
    "RReLU": lambda: (nn.RReLU(), SHAPE),
    "Tanh": lambda: (nn.Tanh(), SHAPE),
    "Sigmoid": lambda: (nn.Sigmoid(), SHAPE),
    "LogSigmoid": lambda: (nn.LogSigmoid(), SHAPE),
    "Softsign": lambda: (nn.Softsign(), SHAPE),
    "Softplus": lambda: (nn.Softplus(), SHAPE),
    "Softplus, linear": lambda: (nn.Softplus(beta=8, threshold=12), SHAPE),
    "ELU": lambda: (nn.ELU(1.7), SHAPE),
    "CELU": lambda: (nn.CELU(0.6), SHAPE),
    "SELU": lambda: (nn.SELU(), SHAPE),
    "Identity": lambda: (nn.Identity(), SHAPE),
    "Dropout": lambda: (nn.Dropout(0.9), SHAPE),
    "Dropout2d": lambda: (nn.Dropout2d(), SHAPE),
    "Flatten": lambda: (nn.Flatten(), SHAPE),
    "Flatten, some": lambda: (nn.Flatten(2), SHAPE),
    "Unflatten": lambda: (nn.Unflatten(2, (2, 3)), SHAPE),
    "PixelShuffle": lambda: (nn.PixelShuffle(2), (8, 3, 5)),
    "PixelUnshuffle": lambda: (nn.PixelUnshuffle(2), SHAPE),
    "ChannelShuffle": lambda: (nn.ChannelShuffle(2), (6, 3, 4)),
    "ZeroPad2d": lambda: (nn.ZeroPad2d((1, 2, 0, 3)), SHAPE),
    "ConstantPad1d": lambda: (nn.ConstantPad1d((2, 1), 5.0), (2, 9)),
    "CircularPad3d": lambda: (nn.CircularPad3d((1, 0, 2, 1, 1, 1)), (2, 4, 5, 3)),
    "ReflectionPad2d": lambda: (nn.ReflectionPad2d((1, 2, 0, 3)), SHAPE),
    "ReplicationPad1d": lambda: (nn.ReplicationPad1d((3, 1)), (2, 9)),
    "ResidualBlock": lambda: (block(), SHAPE),
    "nested": lambda: (nn.Sequential(nn.Sequential(tall()), nn.ELU()), SHAPE),
}


@pytest.mark.parametrize("name", STAGES)
def test_single_stages(name):
    """In double precision with numbers of both signs and some that are large."""
    module, shape = STAGES[name]()
    module = module.double().eval()
    x = 2 * torch.randn(3, *shape, dtype=torch.float64)
    with torch.no_grad():
        y = module(x)
        inverse = Inverse(module, shape)
        found = inverse(y)
        assert relative_errors(found, x).max() < 1e-9
        one = inverse(y[1])
    assert one.shape == shape and inverse.output_shape == y.shape[1:]
    torch.testing.assert_close(one, x[1], rtol=0, atol=1e-8)
    assert inverse.unsupported == [] and inverse.last.success
    assert inverse.last.error < 1e-8 and inverse.last.x is None
    first = inverse.last.stages[0]
    assert first.path == ("net.0.0" if name == "nested" else "net")
    assert first.residual < 1e-10
    assert inverse.input_shape == shape and "success: True" in repr(inverse.last)


DIFFERENTIATED = {
    "activations": lambda: nn.Sequential(
        tall(), nn.LeakyReLU(0.3), nn.BatchNorm2d(6), nn.Sigmoid(), nn.Flatten()
    ),
    "layers": lambda: nn.Sequential(
        nn.Conv2d(2, 5, 2),
        nn.ELU(1.3),
        nn.ConvTranspose2d(5, 2, 3, stride=2, output_padding=1),
        nn.PReLU(2),
    ),
    "linear": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(24, 30), nn.Softplus(), nn.Unflatten(1, (5, 6))
    ),
    "square": lambda: nn.Sequential(nn.Conv2d(2, 2, 1), nn.Tanh(), nn.PixelShuffle(1)),
    "residual block": lambda: nn.Sequential(block(gain=0.5), nn.CELU(), nn.Softsign()),
    "some channels": lambda: nn.Sequential(
        nn.Conv2d(2, 6, 2), prelu(0.3, -0.5, 0.2, 1.2, -0.1, 0.6)
    ),
}


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_gradients(name):
    """By y and by all parameters, to second order."""
    net = DIFFERENTIATED[name]().double().eval()
    shape = (2, 4, 3)
    # data that are changed have no exact inverse
    inverse = Inverse(net, shape, rtol=1e-10, on_failure="ignore")
    names = [n for n, _ in net.named_parameters()]
    values = [p.detach().clone().requires_grad_() for p in net.parameters()]
    with torch.no_grad():
        y = net(torch.rand(2, *shape, dtype=torch.float64))
    y.requires_grad_()

    def function(y, *values):
        state = {f"module.{n}": v for n, v in zip(names, values)}
        return torch.func.functional_call(inverse, state, (y,))

    assert gradcheck(function, (y, *values), fast_mode=True, atol=1e-5)
    assert gradgradcheck(function, (y, *values), fast_mode=True, atol=1e-4)


def test_gradients_of_modules():
    """They reach the chain's own weights, and those of what made y."""
    encoder, net = nn.Linear(5, 24), nn.Sequential(tall(), nn.Tanh())
    y = torch.tanh(encoder(torch.rand(4, 5)))
    inverse = Inverse(net, (2, 3, 4), on_failure="ignore")
    net(inverse(0.3 * net(y.reshape(4, 2, 3, 4)))).sum().backward()
    for p in (*encoder.parameters(), *net.parameters()):
        assert p.grad.isfinite().all() and p.grad.abs().sum() > 0


REFUSED = {
    "maps all negative numbers to 0": nn.ReLU(),
    "not invertible: keeps one number of each window": nn.MaxPool2d(2),
    "not monotonic": nn.SiLU(),
    "the mean and the deviation of each item": nn.GroupNorm(1, 2),
    "scales by the statistics of the batch: call .eval()": nn.BatchNorm2d(2),
    "since it keeps none": nn.BatchNorm2d(2, track_running_stats=False).eval(),
    "drops numbers at random: call .eval()": nn.Dropout(0.2),
    "draws its slopes at random: call .eval()": nn.RReLU(),
    "maps all numbers beyond its ends to these": nn.Hardtanh(),
    "an alpha of -1.0, which must be above 0": nn.ELU(-1.0),
    "a negative_slope of 0, which must be above 0": nn.LeakyReLU(0),
    "its threshold of 1 is below 10": nn.Softplus(1, 1),
    "no kind of module that Inverse knows": nn.Bilinear(2, 2, 2),
    "it does not map items of a batch to items": nn.Flatten(0),
    "input_shape has 2 channels": nn.Conv2d(3, 4, 2),
    "it takes 7 numbers": nn.Linear(7, 9),
    "has no shape yet: apply the layer once": nn.LazyConv2d(3, 3),
    "a negative padding": nn.ZeroPad2d((1, -1, 0, 0)),
    "is 14.*: below 1 the block is certainly invertible": block(gain=30),
    "no Lipschitz bound of its body is known: 1 Softmax: no": (
        block(activation=lambda: nn.Softmax(1))
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refuses(reason):
    torch.manual_seed(0)
    module = copy.deepcopy(REFUSED[reason])
    chain = nn.Sequential(module, nn.GELU())
    inverse = Inverse(chain, SHAPE)
    kind = type(module).__name__
    first, last = inverse.unsupported
    assert first.startswith(f"net.0 {kind}: ")
    if "14.*" not in reason:
        assert reason in first
    else:
        assert "below 1 the block is certainly invertible" in first
    assert last == "net.1 GELU: not monotonic"
    with pytest.raises(ValueError, match=rf"2 of 2 modules have no .*net.0 {kind}: "):
        inverse(torch.rand(1, *SHAPE))


def test_refuses_a_forward_of_its_own():
    class Causal(nn.Conv1d):
        def forward(self, x):
            return super().forward(nn.functional.pad(x, (2, 0)))

    inverse = Inverse(nn.Sequential(Causal(2, 4, 3)), (2, 9))
    assert inverse.unsupported == [
        "net.0 Causal: a Conv1d with a forward of its own, of which Inverse knows "
        "nothing"
    ]


def test_modes_and_parameters_count_as_they_are():
    net = nn.Sequential(tall(), nn.BatchNorm2d(6), nn.Dropout(), nn.LeakyReLU())
    inverse = Inverse(net, SHAPE)
    assert len(inverse.unsupported) == 2
    assert inverse.eval().unsupported == []
    net[1].weight.data[3] = 0
    assert inverse.unsupported == [
        "net.1 BatchNorm2d: maps its channels 3 to one number"
    ]


def test_arguments():
    net = nn.Sequential(tall(), nn.Tanh())
    with pytest.raises(TypeError, match="module must be an nn.Module, got list"):
        Inverse([net], SHAPE)
    with pytest.raises(ValueError, match="damp must be"):
        Inverse(net, SHAPE, damp=-1)
    with pytest.raises(ValueError, match="on_failure must be"):
        Inverse(net, SHAPE, on_failure="stop")
    with pytest.raises(ValueError, match=r"y must have shape \(N, 6, 5, 7\)"):
        Inverse(net, SHAPE)(torch.rand(1, 6, 5, 8))
    with pytest.raises(TypeError, match="y must be a tensor of dtype"):
        Inverse(net, SHAPE)(torch.ones(6, 5, 7, dtype=torch.int32))
    with pytest.raises(TypeError, match="net.1 Tanh does not take complex numbers"):
        Inverse(net, SHAPE)(torch.ones(6, 5, 7, dtype=torch.complex64))


def test_channels_that_a_prelu_loses():
    """They are left out where the others determine the input."""
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, groups=1),
        trained(nn.BatchNorm2d(8)),
        prelu(0.2, -0.3, 0.5, 0.1, 0.0, -1.5, 0.7, 0.4),
    ).eval()
    x = torch.rand(3, 1, 9, 8)
    inverse = Inverse(net, x.shape[1:])
    with torch.no_grad():
        assert relative_errors(inverse(net(x)), x).max() < 1e-3
    assert inverse.last.success
    lost = "channels 1, 4, 5, of which net.2 PReLU has lost the sign, were left out"
    assert lost in inverse.last.message and lost in inverse.last.stages[0].message
    # those that are left have less numbers than the input
    net[2].weight.data[1:] = -0.5
    (trouble,) = inverse.unsupported
    assert trouble.startswith("net.0 Conv2d: its channels 1, 2, 3, 4, 5, 6, 7 are not")
    assert "slopes of net.2 PReLU are not positive" in trouble
    # enough of them, but all see the same
    net[2].weight.data.copy_(torch.tensor([0.2] * 3 + [-0.3] * 5))
    net[0].weight.data[1:3] = net[0].weight.data[:1]
    assert "do not determine its input" in inverse.unsupported[0]


@pytest.mark.parametrize("kind", ["transposed", "groups", "linear"])
def test_lost_channels_of_other_layers(kind):
    if kind == "linear":
        layer, shape, count = nn.Linear(5, 12), (5,), 12
    elif kind == "groups":
        layer, shape, count = nn.Conv1d(2, 8, 3, groups=2), (2, 9), 8
    else:
        layer = nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2)
        shape, count = (4, 3, 4), 6
    slopes = [0.3] * count
    slopes[1] = -0.5
    net = nn.Sequential(layer, prelu(*slopes)).double()
    x = torch.randn(2, *shape, dtype=torch.float64)
    inverse = Inverse(net, shape)
    with torch.no_grad():
        assert relative_errors(inverse(net(x)), x).max() < 1e-9
    assert inverse.last.success and "channels 1," in inverse.last.message


def test_lost_channels_without_a_layer():
    for net in (
        nn.Sequential(prelu(0.3, -0.3)),
        nn.Sequential(tall(), nn.Tanh(), prelu(*[0.3] * 5, -0.3)),
    ):
        (trouble,) = Inverse(net, SHAPE).unsupported
        assert "are not positive, and there is no layer before it" in trouble


RANGES = {
    "Tanh": (nn.Tanh(), 1.5),
    "Sigmoid": (nn.Sigmoid(), -0.1),
    "Softplus": (nn.Softplus(2), 0.0),
    "ELU": (nn.ELU(0.7), -0.7),
    "SELU": (nn.SELU(), -5.0),
    "CELU": (nn.CELU(1.5), -1.6),
    "LogSigmoid": (nn.LogSigmoid(), 0.0),
    "Softsign": (nn.Softsign(), -1.0),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", RANGES)
def test_outside_the_range(name, dtype):
    """Told with stage and count; moved to the ends, and never NaN."""
    activation, value = RANGES[name]
    net = nn.Sequential(tall(), activation).to(dtype)
    x = torch.rand(2, *SHAPE, dtype=dtype)
    with torch.no_grad():
        y = net(x)
        y[0, 0, :2, :3] = value
        with pytest.warns(ConvergenceWarning, match=f"net.1 {name}: 6 of 420 numbers"):
            found = Inverse(net, SHAPE)(y)
        assert found.isfinite().all()
        strict = Inverse(net, SHAPE, on_failure="raise")
        with pytest.raises(ConvergenceError, match="were moved to its ends"):
            strict(y)
        assert not strict.last.success
        assert not strict.last.stages[1].success
        saturated = net(1e4 * x)
        quiet = Inverse(net, SHAPE, on_failure="ignore")
        errors = relative_errors(quiet(saturated), 1e4 * x)
        assert quiet(saturated).isfinite().all()
        assert not quiet.last.success or errors.max() < 1e-2


def test_singular_stage():
    """A square strided stage is numerically singular; no precision hides it."""
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.LeakyReLU(0.1),
        nn.Conv2d(6, 24, 3, stride=2, padding=1),
        nn.BatchNorm2d(24),
        nn.LeakyReLU(0.1),
    ).eval()
    x = torch.rand(2, 3, 16, 16)
    for dtype in (torch.float32, torch.float64):
        net.to(dtype)
        inverse = Inverse(net, (3, 16, 16), on_failure="ignore")
        with torch.no_grad():
            found = inverse(net(x.to(dtype)))
        far = relative_errors(found, x.to(dtype)).max()
        assert not inverse.last.success or far < 1e-2
        if dtype == torch.float32:
            assert far > 1e-2 and "net.3 Conv2d" in inverse.last.message


def test_redundant_chain_of_detectors():
    """Convolution, batch norm and LeakyReLU three times, as in object detectors."""
    stages = []
    for c, k in ((3, 2), (12, 2), (48, 1)):
        stages += [
            nn.Conv2d(c, 4 * c, k, bias=False),
            trained(nn.BatchNorm2d(4 * c)),
            nn.LeakyReLU(0.1),
        ]
    net = nn.Sequential(*stages).eval()
    x = torch.rand(2, 3, 10, 10)
    for dtype, limit in ((torch.float32, 1e-3), (torch.float64, 1e-7)):
        net.to(dtype)
        inverse = Inverse(net, (3, 10, 10))
        with torch.no_grad():
            assert relative_errors(inverse(net(x.to(dtype))), x.to(dtype)).max() < limit
        assert inverse.last.success and len(inverse.last.stages) == 9


@pytest.mark.parametrize("gain", [0.2, 0.6])
def test_residual_blocks(gain):
    """The certified error is one."""
    for activation in (nn.ELU, nn.ReLU, nn.SiLU):
        net = nn.Sequential(block(3, gain, activation), block(3, gain)).double()
        x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
        inverse = Inverse(net, (3, 8, 8), rtol=1e-8)
        with torch.no_grad():
            error = relative_errors(inverse(net(x)), x).max()
        assert error < 1e-7 and inverse.last.success
        assert error <= inverse.last.error
        assert "certified error" in inverse.last.message


def test_lipschitz_bounds():
    """The bound is at least what a dense matrix of the body gives."""
    for padding_mode in ("zeros", "circular", "replicate"):
        conv = nn.Conv2d(2, 2, 3, padding=1, padding_mode=padding_mode).double()
        conv.bias.data.zero_()
        size = 2 * 5 * 4
        units = torch.eye(size, dtype=torch.float64).reshape(size, 2, 5, 4)
        norm = torch.linalg.matrix_norm(conv(units).reshape(size, size), 2).item()
        conv.weight.data.div_(norm)
        # exactly 1, which no bound can call less
        message = Inverse(ResidualBlock(conv), (2, 5, 4)).unsupported[0]
        bound = float(message.split("body is ")[1].split(":")[0])
        assert 1 <= bound <= 3


def test_underdetermined():
    """x is that of least norm, and no success."""
    net = nn.Sequential(nn.Conv2d(4, 3, 3), nn.Tanh()).double()
    x = torch.rand(2, 4, 6, 6, dtype=torch.float64)
    inverse = Inverse(net, (4, 6, 6))
    with torch.no_grad(), pytest.warns(ConvergenceWarning, match="48 outputs do not"):
        found = inverse(net(x))
    rows = nn.functional.unfold(found, 6) - nn.functional.unfold(x, 6)
    assert relative_errors(net(found), net(x)).max() < 1e-9
    units = torch.eye(144, dtype=torch.float64).reshape(144, 4, 6, 6)
    matrix = nn.functional.conv2d(units, net[0].weight).reshape(144, -1).T
    projected = torch.linalg.pinv(matrix) @ matrix @ x.reshape(2, 144).T
    torch.testing.assert_close(found.reshape(2, 144), projected.T)
    assert rows.abs().max() > 0.01 and not inverse.last.success


def test_inputs_without_outputs():
    """A stride beyond the kernel skips pixels, however many channels there are."""
    net = nn.Sequential(nn.Conv2d(1, 20, 1, stride=2), nn.Softsign())
    x = torch.rand(1, 1, 8, 8)
    with torch.no_grad(), pytest.warns(ConvergenceWarning, match="net.0 Conv2d: numer"):
        Inverse(net, (1, 8, 8))(net(x))


def test_mean_that_is_lost():
    """A null space of one dimension holds most of a picture."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"))
    net.double()[0].weight.data -= net[0].weight.data.mean(dim=(1, 2, 3), keepdim=True)
    x = 1 + 0.1 * torch.rand(2, 1, 12, 12)
    for dtype in (torch.float64, torch.float32):
        inverse = Inverse(net.to(dtype), (1, 12, 12), on_failure="ignore")
        with torch.no_grad():
            found = inverse(net(x.to(dtype)))
        assert relative_errors(found, x.to(dtype)).min() > 0.5
        assert not inverse.last.success


def test_data_out_of_the_chain():
    net = nn.Sequential(tall(), nn.LeakyReLU(0.2))
    inverse = Inverse(net, SHAPE)
    with torch.no_grad(), pytest.warns(ConvergenceWarning, match="maps x to y with a"):
        inverse(torch.randn(2, 6, 5, 7))
    assert inverse.last.residual > 0.1


def test_damp():
    """Its bias counts as an error, and is not underestimated."""
    net = nn.Sequential(tall(), nn.ELU()).double()
    x = torch.rand(2, *SHAPE, dtype=torch.float64)
    with torch.no_grad():
        y = net(x)
        for damp in (1e-6, 1e-3, 0.03, 0.3):
            inverse = Inverse(net, SHAPE, damp=damp, on_failure="ignore", rtol=1e-6)
            error = relative_errors(inverse(y), x).max()
            assert inverse.last.error > error
            assert inverse.last.success == (damp < 1e-3 or error < 2e-3), error


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_no_success_below_40_decibels(start):
    """On random chains; and most that are as good as that are a success."""
    counts = np.zeros(2, int)
    for seed in range(start, start + 50):
        rng = np.random.default_rng(seed)
        net, shape = random_chain(rng, ResidualBlock)
        dtype = torch.float64 if rng.random() < 0.4 else torch.float32
        inverse = Inverse(net.to(dtype), shape, on_failure="ignore")
        if inverse.unsupported:
            continue
        draw = torch.randn if rng.random() < 0.5 else torch.rand
        x = draw(3, *shape, dtype=dtype)
        with torch.no_grad():
            error = float(relative_errors(inverse(net(x)), x).max())
        last = inverse.last
        assert not last.success or error < 1e-2, (seed, net, last)
        assert not last.success or error < last.error, (seed, net, last)
        counts += last.success, error < 1e-3
    assert counts[0] >= 0.85 * counts[1] > 10


def test_half_precision():
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.LeakyReLU(0.5))
    x = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        exact = net(x)
        inverse = Inverse(net, (1, 8, 8), on_failure="ignore")
        for dtype in (torch.float16, torch.bfloat16):
            found = inverse(exact.to(dtype))
            assert found.dtype == dtype
            error = relative_errors(found.float(), x).max()
            assert error < 0.3 and error < inverse.last.error
        half = copy.deepcopy(net).bfloat16()
        assert Inverse(half, (1, 8, 8), on_failure="ignore")(
            half(x.bfloat16())
        ).dtype == (torch.bfloat16)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = net(x)
            assert y.dtype == torch.bfloat16 and inverse(y).dtype == torch.bfloat16


def test_complex():
    net = nn.Sequential(
        nn.Conv2d(2, 6, 2, dtype=torch.complex128),
        nn.Flatten(2),
        nn.Conv1d(6, 9, 1, dtype=torch.complex128),
        nn.Identity(),
    )
    x = torch.randn(2, *SHAPE, dtype=torch.complex128)
    inverse = Inverse(net, SHAPE)
    with torch.no_grad():
        found = inverse(net(x))
    torch.testing.assert_close(found, x)
    assert inverse.last.success


def test_modules_of_the_chain_are_its_own():
    """Parameters are counted once, saved, moved and copied; nothing is held twice."""
    net = nn.Sequential(tall(), nn.BatchNorm2d(6), nn.Tanh()).eval()
    model = nn.ModuleDict({"net": net, "inverse": Inverse(net, SHAPE)}).eval()
    assert len(list(model.parameters())) == len(list(net.parameters()))
    file = io.BytesIO()
    torch.save(model["inverse"].state_dict(), file)
    file.seek(0)
    other = nn.Sequential(tall(), nn.BatchNorm2d(6), nn.Tanh()).eval()
    inverse = Inverse(other, SHAPE).eval()
    inverse.load_state_dict(torch.load(file, weights_only=True))
    x = torch.rand(2, *SHAPE)
    with torch.no_grad():
        torch.testing.assert_close(inverse(net(x)), x, rtol=0, atol=1e-4)
    twin = copy.deepcopy(model)
    assert twin["inverse"].module is twin["net"]
    double = model.double()
    with torch.no_grad():
        assert double["inverse"](net(x.double())).dtype == torch.float64
        assert nn.DataParallel(inverse)(other(x)).shape == x.shape
    assert "input_shape=(2, 6, 8)" in repr(inverse)


def test_construction_reads_no_numbers():
    """The shapes of a chain that fits no memory; and none is allocated for them."""
    with torch.device("meta"):
        net = nn.Sequential(
            nn.Conv2d(3, 4096, 3, stride=2),
            nn.LeakyReLU(),
            nn.Conv2d(4096, 65536, 9),
            nn.BatchNorm2d(65536),
            nn.Flatten(),
        ).eval()
    assert Inverse(net, (3, 512, 512)).output_shape == (65536 * 247 * 247,)


def test_spectral_norm_in_training_mode_is_left_alone():
    """To invert makes no step of its power iteration."""
    layer = nn.utils.parametrizations.spectral_norm(tall())
    body = nn.utils.parametrizations.spectral_norm(nn.Conv2d(2, 2, 1))
    net = nn.Sequential(ResidualBlock(nn.Sequential(body, nn.Sigmoid())), layer)
    x = torch.rand(2, *SHAPE)
    with torch.no_grad():
        y = net(x)
        state = copy.deepcopy(net.state_dict())
        torch.testing.assert_close(Inverse(net, SHAPE)(y), x, rtol=0, atol=1e-4)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    assert net.training and layer.parametrizations.weight[0].training


def test_without_the_check():
    net = nn.Sequential(tall(), nn.LeakyReLU())
    inverse = Inverse(net, SHAPE, check=False)
    x = torch.rand(2, *SHAPE)
    with torch.no_grad():
        torch.testing.assert_close(inverse(net(x)), x, rtol=0, atol=1e-4)
    assert inverse.last is None


def test_transforms_and_batches():
    net = nn.Sequential(tall(), nn.Tanh()).double()
    inverse = Inverse(net, SHAPE)
    x = torch.rand(3, *SHAPE, dtype=torch.float64)
    with torch.no_grad():
        y = net(x)
        plain = inverse(y)
        mapped = torch.func.vmap(inverse)(y)
        assert inverse(y[:0]).shape == (0, *SHAPE)
    torch.testing.assert_close(mapped, plain)
    jacobian = torch.func.jacrev(inverse)(y[0])
    forward = torch.func.jacrev(net)(x[0])
    product = jacobian.reshape(96, -1) @ forward.reshape(-1, 96)
    torch.testing.assert_close(product, torch.eye(96, dtype=torch.float64))


def test_zeros():
    net = nn.Sequential(tall(bias=False), nn.Tanh())
    inverse = Inverse(net, SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not inverse(net(torch.zeros(2, *SHAPE))).any()
    assert inverse.last.success and math.isfinite(inverse.last.error)
