"""Norms, determinants and clipped weights of layers against PyTorch's dense algebra."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.autograd import gradcheck  # noqa: E402
from torch.nn.utils import parametrize  # noqa: E402

from convinv.interop.torch import (  # noqa: E402
    ResidualBlock,
    SpectralNormalized,
    clip_singular_values,
    clip_singular_values_,
    lipschitz,
    logabsdet,
    orthogonalize,
    orthogonalize_,
    spectral_norm,
)

REAL, COMPLEX = torch.float64, torch.complex128
CONVOLUTIONS = nn.Conv1d, nn.Conv2d, nn.Conv3d
TRANSPOSED = nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d


def made(kind, *arguments, seed=0, **options):
    """A layer in double precision, without a bias."""
    torch.manual_seed(seed)
    return kind(*arguments, bias=False, dtype=options.pop("dtype", REAL), **options)


def dense(module, shape, dtype=REAL):
    """The matrix of a module, by applying it to the identity."""
    size = int(np.prod(shape))
    inputs = torch.eye(size, dtype=dtype).reshape(size, *shape)
    return module(inputs).reshape(size, -1).T


def norm_of(module, shape):
    """The norm of a module's matrix."""
    parameter = next(module.parameters(), torch.empty(0, dtype=REAL))
    with torch.no_grad():
        return float(torch.linalg.matrix_norm(dense(module, shape, parameter.dtype), 2))


def conv(*arguments, **options):
    axes = options.pop("axes", 2)
    return made(CONVOLUTIONS[axes - 1], *arguments, **options)


def transposed(*arguments, **options):
    axes = options.pop("axes", 2)
    return made(TRANSPOSED[axes - 1], *arguments, **options)


MODES = ("zeros", "circular", "reflect", "replicate")
# name: (make, shape of an input); all of them square
SQUARE = {
    **{
        f"{mode}{' complex' * (dtype is COMPLEX)}": (
            lambda mode=mode, dtype=dtype: conv(
                2, 2, 3, padding=1, padding_mode=mode, dtype=dtype
            ),
            (2, 4, 5),
        )
        for mode in MODES
        for dtype in (REAL, COMPLEX)
    },
    "1-D": (lambda: conv(3, 3, 3, axes=1, padding=1), (3, 7)),
    "3-D": (lambda: conv(2, 2, (1, 3, 3), axes=3, padding="same"), (2, 2, 3, 2)),
    "1 x 1": (lambda: conv(3, 3, 1), (3, 4, 3)),
    "groups": (lambda: conv(4, 4, 3, padding=1, groups=2), (4, 3, 4)),
    "depthwise": (lambda: conv(3, 3, 3, padding=1, groups=3), (3, 4, 3)),
    "dilation": (lambda: conv(2, 2, 3, padding=2, dilation=2), (2, 5, 4)),
    "stride": (lambda: conv(1, 4, 3, stride=2, padding=1), (1, 6, 4)),
    "patches": (lambda: conv(2, 8, 2, stride=2), (2, 4, 6)),
    "same": (lambda: conv(2, 2, 5, padding="same"), (2, 5, 5)),
    "transposed": (lambda: transposed(2, 2, 3, padding=1), (2, 4, 5)),
    "transposed complex": (
        lambda: transposed(2, 2, 3, padding=1, dtype=COMPLEX),
        (2, 4, 3),
    ),
    "transposed stride": (lambda: transposed(8, 2, 2, stride=2), (8, 3, 2)),
    "linear": (lambda: made(nn.Linear, 5, 5), (5,)),
    "linear complex": (lambda: made(nn.Linear, 4, 4, dtype=COMPLEX), (4,)),
}
ANY = {
    **SQUARE,
    "tall": (lambda: conv(2, 5, 3), (2, 6, 5)),
    "wide": (lambda: conv(4, 2, 3), (4, 6, 5)),
    "strided": (lambda: conv(3, 4, 3, stride=2, padding=1), (3, 7, 6)),
    "strided ring": (
        lambda: conv(3, 4, 3, stride=2, padding=1, padding_mode="circular"),
        (3, 6, 8),
    ),
    "1-D groups": (lambda: conv(4, 6, 4, axes=1, groups=2, stride=3), (4, 17)),
    "3-D reflect": (
        lambda: conv(2, 3, 3, axes=3, padding=1, padding_mode="reflect"),
        (2, 3, 2, 3),
    ),
    "output_padding": (
        lambda: transposed(3, 2, 3, stride=2, padding=1, output_padding=1),
        (3, 4, 3),
    ),
    "transposed groups": (lambda: transposed(4, 6, 3, groups=2, dilation=2), (4, 3, 4)),
    "transposed 1-D": (lambda: transposed(2, 3, 4, axes=1, stride=2), (2, 6)),
    "a linear map": (lambda: made(nn.Linear, 6, 4), (6,)),
}


def case(name):
    make, shape = ANY[name]
    layer = make()
    return layer, shape, dense(layer, shape, layer.weight.dtype)


def changed(layer):
    """The options of the layer, for its weight alone."""
    if isinstance(layer, nn.Linear):
        return {}
    names = "stride", "padding", "dilation", "groups", "padding_mode"
    found = {name: getattr(layer, name) for name in names}
    if isinstance(layer, TRANSPOSED):
        found.update(transposed=True, output_padding=layer.output_padding)
    return found


@pytest.mark.parametrize("name", SQUARE)
def test_logabsdet(name):
    layer, shape, matrix = case(name)
    truth = torch.linalg.slogdet(matrix)[1]
    (expected,) = torch.autograd.grad(truth, layer.weight)
    value = logabsdet(layer, shape)
    value.backward()
    assert value.shape == () and value.dtype == REAL
    torch.testing.assert_close(value, truth, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(layer.weight.grad, expected, rtol=1e-8, atol=1e-8)
    # of the weight alone
    weight = layer.weight.detach().requires_grad_()
    again = logabsdet(weight, shape, **changed(layer))
    again.backward()
    assert again == value and torch.equal(weight.grad, layer.weight.grad)


@pytest.mark.parametrize("name", ["zeros", "circular complex", "transposed", "linear"])
def test_gradcheck_of_logabsdet(name):
    layer, shape, _ = case(name)
    options = changed(layer)
    weight = layer.weight.detach().requires_grad_()
    assert gradcheck(lambda w: logabsdet(w, shape, **options), weight)


def test_masked_layers():
    mask = torch.ones(3, 3, 3, 3, dtype=REAL)
    mask[:, :, 2] = mask[:, :, 1, 2] = 0
    mask[:, :, 1, 1] = torch.tril(mask[:, :, 1, 1])
    torch.manual_seed(0)
    start = torch.randn(3, 3, 3, 3, dtype=REAL) / 10
    start[:, :, 1, 1] += torch.eye(3, dtype=REAL)
    weights = [start.clone().requires_grad_() for _ in range(2)]
    for weight, fixed in zip(weights, (False, True)):
        value = logabsdet(weight * mask, (3, 5, 5), padding=1, fixed_zeros=fixed)
        value.backward()
    diagonal = torch.diagonal(start[:, :, 1, 1]).abs().log().sum() * 25
    torch.testing.assert_close(value, diagonal)
    torch.testing.assert_close(*(weight.grad for weight in weights))


@pytest.mark.parametrize("name", ANY)
def test_spectral_norm(name):
    layer, shape, matrix = case(name)
    truth = torch.linalg.matrix_norm(matrix, 2)
    (expected,) = torch.autograd.grad(truth, layer.weight)
    value = spectral_norm(layer, shape, rtol=1e-11)
    value.backward()
    assert value.shape == () and value.dtype == REAL
    torch.testing.assert_close(value, truth, rtol=1e-11, atol=0)
    gradient = layer.weight.grad
    repeated = torch.linalg.svdvals(matrix)[:2].diff().abs() < 1e-9
    if not repeated:
        torch.testing.assert_close(gradient, expected, rtol=1e-7, atol=1e-7)
    # the value is homogeneous: true of every subgradient
    inner = torch.vdot(gradient.flatten(), layer.weight.detach().flatten()).real
    torch.testing.assert_close(inner, value.detach())
    weight = layer.weight.detach().requires_grad_()
    again = spectral_norm(weight, shape, rtol=1e-11, **changed(layer))
    again.backward()
    torch.testing.assert_close(again, value)


@pytest.mark.parametrize("name", ["zeros", "strided", "circular", "zeros complex"])
def test_gradcheck_of_spectral_norm(name):
    layer, shape, _ = case(name)
    options = changed(layer)
    weight = layer.weight.detach().requires_grad_()

    def norm(w):
        return spectral_norm(w, shape, rtol=1e-12, **options)

    assert gradcheck(norm, weight)


FUNCTIONS = [spectral_norm, logabsdet]


@pytest.mark.parametrize("function", FUNCTIONS)
class TestBoth:
    def test_transforms(self, function):
        layer, shape, _ = case("zeros")
        weight = layer.weight.detach()
        found = torch.func.grad(lambda w: 2 * function(w, shape, padding=1))(weight)
        value = 2 * function(layer, shape)
        value.backward()
        torch.testing.assert_close(found, layer.weight.grad)

    def test_without_gradients(self, function):
        layer, shape, _ = case("zeros")
        with torch.no_grad():
            assert not function(layer, shape).requires_grad
        assert not function(layer.weight.detach(), shape, padding=1).requires_grad

    def test_the_gradient_again(self, function):
        layer, shape, _ = case("zeros")
        value = function(layer, shape)
        (gradient,) = torch.autograd.grad(value, layer.weight, create_graph=True)
        with pytest.raises(RuntimeError, match=f"{function.__name__} cannot be diff"):
            gradient.sum().backward()

    @pytest.mark.parametrize("dtype", ["float32", "complex64", "bfloat16"])
    def test_dtypes(self, function, dtype):
        layer, shape, _ = case("zeros")
        dtype = getattr(torch, dtype)
        layer.weight = nn.Parameter(layer.weight.detach().to(dtype))
        value = function(layer, shape)
        value.backward()
        assert value.dtype == torch.float32 and layer.weight.grad.dtype == dtype
        wide = COMPLEX if dtype.is_complex else REAL
        again = function(layer.weight.to(wide), shape, padding=1)
        torch.testing.assert_close(value, again.to(torch.float32))

    def test_a_chain_rule(self, function):
        layer, shape, _ = case("circular")
        loss = function(layer.weight * 3, shape, padding=1, padding_mode="circular")
        loss.square().backward()
        plain = function(layer.weight.detach() * 3, shape, **changed(layer))
        assert torch.allclose(loss, plain) and layer.weight.grad.abs().sum() > 0

    def test_what_is_refused(self, function):
        layer, shape, _ = case("zeros")
        with pytest.raises(TypeError, match="layer_or_weight must be a layer.*ReLU"):
            function(nn.ReLU(), shape)
        with pytest.raises(TypeError, match="padding: options are for a weight alone"):
            function(layer, shape, padding=1)
        with pytest.raises(TypeError, match="a weight of two axes.*got padding"):
            function(torch.eye(3), (3,), padding=1)
        with pytest.raises(ValueError, match="input_shape has 4 channels"):
            function(layer, (4, 5, 5))


def test_a_singular_layer():
    weight = torch.ones(1, 1, 2, requires_grad=True)
    value = logabsdet(weight, (1, 8), padding="same", padding_mode="circular")
    assert value == -torch.inf
    with pytest.raises(RuntimeError, match="singular to working precision: logabsdet"):
        value.backward()
    with pytest.raises(ValueError, match="must be square"):
        logabsdet(torch.ones(2, 1, 3), (1, 8))


class TestLipschitz:
    @pytest.mark.parametrize("name", ANY)
    def test_layers(self, name):
        layer, shape, _ = case(name)
        truth = norm_of(layer, shape)
        lower, upper = lipschitz(layer, shape)
        assert lower <= truth <= upper and upper - lower < 1e-9 * truth

    def test_a_large_layer(self):
        layer = conv(3, 4, 3, padding=1, dtype=torch.float32)
        lower, upper = lipschitz(layer, (3, 20, 20))
        truth = norm_of(layer.double(), (3, 20, 20))
        assert truth * (1 - 1e-5) < lower <= truth < upper < 1.05 * truth

    def test_a_chain(self):
        torch.manual_seed(0)
        norm = nn.BatchNorm2d(4)
        with torch.no_grad():
            norm.running_var.uniform_(0.5, 2)
            norm.weight.uniform_(-2, 2)
        net = nn.Sequential(
            nn.Sequential(conv(2, 4, 3, padding=1), norm, nn.LeakyReLU(-3.0)),
            nn.MaxPool2d(3, stride=2),
            nn.Dropout(),
            nn.Flatten(),
            nn.Sigmoid(),
            made(nn.Linear, 36, 5),
            nn.ReLU(inplace=True),
        ).double()
        net.eval()
        lower, upper = lipschitz(net, (2, 7, 7))
        first, _ = lipschitz(net[0][0], (2, 7, 7))
        last, _ = lipschitz(net[5], (36,))
        gamma = norm.weight.abs() * torch.rsqrt(norm.running_var + norm.eps)
        product = first * float(gamma.max().detach()) * 3 * 2 / 4 * last
        assert np.isclose(upper, product) and 0 < lower <= upper
        for _ in range(20):  # no pair of points is further apart
            x, y = torch.randn(2, 1, 2, 7, 7, dtype=REAL)
            distance = torch.dist(net(x), net(y)) / torch.dist(x, y)
            assert float(distance.detach()) <= upper

    def test_linear_chains_are_nearly_known(self):
        net = nn.Sequential(
            conv(2, 3, 3), conv(3, 2, 3, padding=1), nn.Flatten(), nn.Identity()
        )
        lower, upper = lipschitz(net, (2, 6, 6))
        truth = norm_of(net, (2, 6, 6))
        assert 0.9 * truth < lower <= truth <= upper

    ACTIVATIONS = [
        nn.ReLU(),
        nn.ReLU6(),
        nn.Hardtanh(),
        nn.Tanh(),
        nn.Softplus(beta=3),
        nn.Softsign(),
        nn.LogSigmoid(),
        nn.Softshrink(),
        nn.Tanhshrink(),
        nn.Sigmoid(),
        nn.Hardsigmoid(),
        nn.Hardswish(),
        nn.SiLU(),
        nn.GELU(),
        nn.GELU("tanh"),
        nn.Mish(),
        nn.SELU(),
        nn.ELU(),
        nn.ELU(2.5),
        nn.CELU(0.3),
        nn.LeakyReLU(0.1),
        nn.LeakyReLU(-1.5),
        nn.PReLU(init=1.7, dtype=REAL),
    ]

    @pytest.mark.parametrize("module", ACTIVATIONS, ids=repr)
    def test_activations(self, module):
        """By their slopes on a fine grid: below the constant, and near it."""
        x = torch.linspace(-30, 30, 600_001, dtype=REAL, requires_grad=True)
        (slope,) = torch.autograd.grad(module(x).sum(), x)
        steepest = float(slope.abs().max())
        upper = lipschitz(module, (1, 5))[1]
        assert steepest <= upper <= 1.001 * steepest

    POOLS = [
        (nn.AvgPool2d(2), (1, 6, 6)),
        (nn.AvgPool2d(3, stride=1, padding=1), (1, 5, 6)),
        (nn.AvgPool1d(4, stride=2), (1, 9)),
        (nn.AvgPool2d(2, divisor_override=1), (1, 6, 6)),
        (nn.AdaptiveAvgPool2d(1), (1, 4, 5)),
        (nn.AdaptiveAvgPool2d((2, 3)), (1, 4, 6)),
        (nn.PixelShuffle(2), (4, 3, 3)),
    ]

    @pytest.mark.parametrize(("module", "shape"), POOLS, ids=repr)
    def test_pools_that_are_linear(self, module, shape):
        truth = norm_of(module, shape)
        assert np.isclose(lipschitz(module, shape)[1], truth)

    def test_residual_blocks(self):
        layer, shape, matrix = case("zeros")
        found = lipschitz(ResidualBlock(layer), shape)
        eye = torch.eye(len(matrix), dtype=REAL)
        truth = float(torch.linalg.matrix_norm(matrix.detach() + eye, 2))
        assert found[0] <= truth <= found[1]
        assert np.isclose(found[1], 1 + norm_of(layer, shape))

    def test_overlapping_maxima(self):
        """One sample that is the largest of all its windows."""
        pool = nn.MaxPool1d(3, stride=1)
        x = torch.tensor([[[0.0, 0, 1, 0, 0]]])
        gain = float(pool(x).norm() / x.norm())
        assert gain <= lipschitz(pool, (1, 5))[1] + 1e-6 and gain > 1.7
        assert lipschitz(nn.MaxPool2d(2), (1, 4, 4))[1] == 1

    def test_what_is_refused(self):
        net = nn.Sequential(conv(2, 2, 3), nn.Sequential(nn.ReLU(), nn.Softmax(1)))
        with pytest.raises(TypeError, match="1.1 Softmax: no Lipschitz constant is"):
            lipschitz(net, (2, 5, 5))
        for module in (nn.BatchNorm2d(2), nn.Dropout()):
            name = type(module).__name__
            with pytest.raises(ValueError, match=rf"0 {name}: .* call eval\(\)"):
                lipschitz(nn.Sequential(module), (2, 5, 5))
        with pytest.raises(ValueError, match="0 Linear: the last axis .* 7 samples"):
            lipschitz(nn.Sequential(nn.Linear(7, 2)), (5,))
        with pytest.raises(TypeError, match="0 AvgPool2d: .* ceil_mode=False"):
            lipschitz(nn.Sequential(nn.AvgPool2d(2, ceil_mode=True)), (1, 5, 5))


class TestSpectralNormalized:
    def test_the_norm_holds_and_gradients_pass(self):
        layer, shape, _ = case("zeros")
        with torch.no_grad():
            layer.weight *= 5
        options = {"padding": 1, "rtol": 1e-11}
        weight = layer.weight.detach().requires_grad_()
        normalized = SpectralNormalized(shape, 0.7, **options)
        parametrize.register_parametrization(layer, "weight", normalized)
        matrix = dense(layer, shape)
        norm = torch.linalg.matrix_norm(matrix, 2)
        torch.testing.assert_close(norm, torch.tensor(0.7, dtype=REAL))
        assert gradcheck(SpectralNormalized(shape, 0.7, **options), weight)
        assert "bound=0.7" in repr(layer)

    def test_smaller_layers_stay_as_they_are(self):
        layer, shape, _ = case("zeros")
        bound = 2 * norm_of(layer, shape)
        normalized = SpectralNormalized(shape, bound, padding=1)
        assert torch.equal(normalized(layer.weight), layer.weight)

    def test_linear_layers_and_training(self):
        torch.manual_seed(0)
        layer = nn.Linear(6, 4)
        parametrize.register_parametrization(
            layer, "weight", SpectralNormalized((6,), 0.5)
        )
        descent = torch.optim.SGD(layer.parameters(), 0.1)
        for _ in range(5):
            descent.zero_grad()
            (-layer(torch.ones(1, 6)).sum()).backward()
            descent.step()
            assert torch.linalg.matrix_norm(layer.weight, 2) <= 0.5 + 1e-5
        assert set(layer.state_dict()) == {"bias", "parametrizations.weight.original"}


class TestClip:
    @pytest.mark.parametrize("name", ANY)
    def test_layers(self, name):
        layer, shape, _ = case(name)
        before = norm_of(layer, shape)
        hi = 0.6 * before
        weight = clip_singular_values(layer, shape, hi=hi)
        again = clip_singular_values(
            layer.weight.detach(), shape, hi=hi, **changed(layer)
        )
        found = clip_singular_values_(layer, shape, hi=hi)
        assert torch.equal(weight, layer.weight) and torch.equal(again, weight)
        after = norm_of(layer, shape)
        assert np.isclose(found.before, before, rtol=1e-5)
        assert np.isclose(found.largest, after, rtol=1e-5) and after <= hi + 1e-9
        assert layer.weight.requires_grad and not weight.requires_grad

    @pytest.mark.parametrize(
        "name", ["1 x 1", "patches", "linear", "transposed stride"]
    )
    def test_orthogonal_layers(self, name):
        layer, shape, _ = case(name)
        weight = orthogonalize(layer, shape, 2.0)
        found = orthogonalize_(layer, shape, 2.0)
        assert torch.equal(weight, layer.weight) and found.deviation < 1e-9
        s = torch.linalg.svdvals(dense(layer, shape))
        torch.testing.assert_close(s, torch.full_like(s, 2.0))

    def test_what_is_refused(self):
        with pytest.raises(TypeError, match="layer must be an nn.Conv1d.*got Tensor"):
            clip_singular_values_(torch.ones(1, 1, 3), (1, 5))
        layer = nn.utils.parametrizations.weight_norm(conv(2, 2, 3))
        with pytest.raises(ValueError, match="parametrized and cannot be changed in"):
            orthogonalize_(layer, (2, 5, 5))
