"""ConvInverse: what a decoder has to be for those who train models."""

import copy
import io
import warnings

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from convinv.interop.torch import ConvInverse  # noqa: E402
from support.torch_versions import COMPILES  # noqa: E402


class Autoencoder(nn.Module):
    def __init__(self, tied=True, **options):
        super().__init__()
        self.encoder = nn.Conv2d(1, 8, 3)
        self.decoder = ConvInverse(self.encoder, tied=tied, **options)

    def forward(self, x):
        return self.decoder(self.encoder(x))


def near(found, wanted):
    """Equal in single precision, whichever way to solve was taken."""
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(3, 1, 9, 9)


def spectral(layer):
    return nn.utils.parametrizations.spectral_norm(layer)


def old_spectral(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is deprecated
        return nn.utils.spectral_norm(layer)


LAYERS = {
    "1-D": lambda: (nn.Conv1d(2, 6, 5), (2, 20)),
    "2-D, stride": lambda: (nn.Conv2d(3, 16, 3, stride=2, padding=1), (3, 12, 13)),
    "3-D": lambda: (nn.Conv3d(1, 4, 2), (1, 5, 6, 5)),
    "same": lambda: (nn.Conv2d(2, 6, 3, padding="same"), (2, 9, 8)),
    "circular": lambda: (
        nn.Conv2d(2, 6, 3, padding=1, padding_mode="circular"),
        (2, 9, 8),
    ),
    "groups": lambda: (nn.Conv2d(4, 12, 3, groups=2, bias=False), (4, 9, 8)),
    "transposed": lambda: (
        nn.ConvTranspose2d(4, 3, 3, stride=2, output_padding=1),
        (4, 5, 6),
    ),
    "spectral": lambda: (spectral(nn.Conv2d(2, 6, 3)), (2, 9, 8)),
    "old spectral": lambda: (old_spectral(nn.Conv2d(2, 6, 3)), (2, 9, 8)),
    "linear": lambda: (nn.Linear(5, 9), (5,)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("given", [True, False])
def test_layers(name, given):
    torch.manual_seed(1)
    layer, shape = LAYERS[name]()
    x = torch.rand(2, *shape)
    y = layer(x)
    decoder = ConvInverse(layer, shape if given and name != "linear" else None)
    size = None if given or name != "2-D, stride" else shape[1:]
    found = decoder(y, output_size=size)
    torch.testing.assert_close(found, x, rtol=0, atol=1e-4)
    one = decoder(y[0], output_size=size)
    torch.testing.assert_close(one, x[0], rtol=0, atol=1e-4)
    assert decoder.last.success and decoder.last.x is None


def test_sizes():
    layer = nn.Conv2d(1, 8, 3, stride=2)
    y = layer(torch.rand(1, 1, 11, 12))
    decoder = ConvInverse(layer)
    with pytest.raises(ValueError, match=r"\(11, 11\), \(11, 12\), \(12, 11\)"):
        decoder(y)
    assert decoder(y, output_size=(11, 12)).shape == (1, 1, 11, 12)
    assert decoder(y, output_size=(1, 1, 12, 11)).shape == (1, 1, 12, 11)
    with pytest.raises(ValueError, match="output_size must be of size 11-12 x 11-12"):
        decoder(y, output_size=(13, 11))
    up = nn.ConvTranspose2d(2, 8, 3, stride=2)
    with pytest.raises(ValueError, match="smaller than any output"):
        ConvInverse(up)(torch.rand(1, 8, 2, 2))
    for size in ((11, 12), (12, 11)):  # one input for each output
        x = torch.rand(1, 2, 5, 5)
        z = up(x, output_size=size)
        torch.testing.assert_close(ConvInverse(up)(z), x, rtol=0, atol=1e-4)


def test_tied_weights(images):
    model = Autoencoder()
    assert sum(p.numel() for p in model.parameters()) == 80  # those of the encoder
    model(images).square().sum().backward()
    assert model.encoder.weight.grad.abs().sum() > 0
    twin = copy.deepcopy(model)
    assert twin.decoder.layer is twin.encoder
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = Autoencoder()
    other.load_state_dict(torch.load(file, weights_only=True))
    near(other(images), model(images))
    double = model.double()
    assert double(images.double()).dtype == torch.float64


def test_weights_of_its_own(images):
    model = Autoencoder(tied=False, damp=0.1, learn_damp=True)
    names = dict(model.named_parameters())
    assert len(names) == 5 and "decoder.damp" in names
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    with torch.no_grad():
        model.encoder.weight.add_(0.1 * torch.randn_like(model.encoder.weight))
    for _ in range(25):
        loss = (model(images) - images).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    assert abs(float(model.decoder.damp.detach()) - 0.1) > 1e-3
    assert "damp=0." in repr(model) and "learned" in repr(model)


def test_half_precision_and_autocast(images):
    model = Autoencoder()
    half = Autoencoder().bfloat16()
    assert half(images.bfloat16()).dtype == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model.encoder(images)
        x = model.decoder(y)
    assert y.dtype == x.dtype == torch.bfloat16
    x.float().sum().backward()
    assert model.encoder.weight.grad.isfinite().all()


def test_data_parallel(images):
    model = Autoencoder()
    wrapped = nn.DataParallel(model)
    near(wrapped(images), model(images))


def test_threads(images):
    """The replicas of DataParallel run in threads that share set-ups."""
    from concurrent.futures import ThreadPoolExecutor

    models = [Autoencoder() for _ in range(4)]
    wanted = [m(images).detach() for m in models]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            found = list(pool.map(lambda m: m(images).detach(), models * 2))
            for mine, theirs in zip(found, wanted * 2):
                near(mine, theirs)


@COMPILES
@pytest.mark.filterwarnings("ignore:The given buffer is not writable")
@pytest.mark.parametrize("strict", [True, False])
def test_export(images, strict):
    model = Autoencoder(damp=0.1, learn_damp=True)
    program = torch.export.export(model, (images,), strict=strict)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    torch.testing.assert_close(loaded(images), model(images), rtol=0, atol=1e-4)


@COMPILES
def test_compiled(images):
    torch._dynamo.reset()
    model, images = Autoencoder(damp=0.1).double(), images.double()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    compiled(images).square().sum().backward()
    found = model.encoder.weight.grad.clone()
    model.encoder.weight.grad = None
    model(images).square().sum().backward()
    torch.testing.assert_close(found, model.encoder.weight.grad)


def test_refuses():
    with pytest.raises(TypeError, match="layer must be an nn.Conv1d.*got ReLU"):
        ConvInverse(nn.ReLU())
    with pytest.raises(ValueError, match="has no shape yet: apply the layer once"):
        ConvInverse(nn.LazyConv2d(3, 3))
    with pytest.raises(ValueError, match="learn_damp needs a damp above 0"):
        ConvInverse(nn.Conv2d(1, 2, 3), learn_damp=True)
    with pytest.raises(ValueError, match="input_shape has 3 channels"):
        ConvInverse(nn.Conv2d(1, 2, 3), (3, 9, 9))
    with pytest.raises(ValueError, match=r"y must have shape \(N, 2, 7, 7\)"):
        ConvInverse(nn.Conv2d(1, 2, 3), (1, 9, 9))(torch.rand(1, 2, 8, 8))
    with pytest.raises(ValueError, match="y must have 2 spatial axes"):
        ConvInverse(nn.Conv2d(1, 2, 3))(torch.rand(5))
    with pytest.raises(ValueError, match=r"y must have shape \(..., 9\)"):
        ConvInverse(nn.Linear(5, 9))(torch.rand(3, 8))
    with pytest.raises(ValueError, match="damp must be"):
        ConvInverse(nn.Conv2d(1, 2, 3), damp=-1)
