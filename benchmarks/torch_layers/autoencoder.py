"""An encoder's true inverse as its decoder, beside decoders that are trained."""

import time
from typing import NamedTuple

import torch
from skimage.metrics import structural_similarity
from torch import nn
from torch.nn import functional

from convinv.interop.torch import ConvInverse, Inverse

from ..support.outcome import Claim, Outcome, Table
from ..support.quality import psnr
from ..support.threads import one_torch_thread
from .figures import pictures
from .images import SETS

STRIDE, SLOPE = 2, 0.2
STEPS, FEW, BATCH, RATE = 800, 200, 50, 3e-3  # few, where a step inverts a layer
BAR = 10.0  # dB over a trained transposed convolution
EXACT = "exact inverse"
SAME, LARGER = "transposed", "10 x parameters"


class Row(NamedTuple):
    """What a decoder is worth on the pictures of the tests."""

    images: str
    encoder: str
    decoder: str
    parameters: int
    steps: int
    seconds: float
    psnr: float
    ssim: float
    ripple: float


def run(quick, folders=None):
    """Tables of injective encoders and of bottlenecks, and their pictures."""
    rows, shown = [], {}
    with one_torch_thread():
        for name in ["digits"] if quick else SETS:
            images = SETS[name]()
            for encoder, models in (
                ("injective", injective(images)),
                ("bottleneck", bottleneck(images)),
            ):
                for decoder, model, size, steps in models:
                    steps = min(steps, 3) if quick else steps
                    seconds = train(model, images, steps) if steps else 0.0
                    found = measured(model, images)
                    head = images.name, encoder, decoder, size, steps, seconds
                    rows.append(Row(*head, *found))
                    shown[head[:3]] = restored(model, images.test[:4])
                shown[images.name, encoder, "original"] = images.test[:4]
    figures = {
        f"autoencoder-{encoder}": drawn(shown, encoder)
        for encoder in ("injective", "bottleneck")
    }
    return Outcome([table(rows)], claims(rows, quick), [], figures)


def injective(images):
    """``(decoder, model, parameters, steps)`` with more features than pixels."""
    channels = images.shape[0]
    features = 8 * channels
    front = nn.Sequential(encoder(channels, features), nn.LeakyReLU(SLOPE))
    yield EXACT, nn.Sequential(front, Inverse(front, images.shape)), 0, 0
    for name, decoder in trained_decoders(features, channels):
        front = encoder(channels, features), nn.LeakyReLU(SLOPE)
        yield name, nn.Sequential(*front, decoder), count(decoder), STEPS


def bottleneck(images):
    """The same with half as many features as pixels, and no activation."""
    channels = images.shape[0]
    features = 2 * channels
    layer = encoder(channels, features)
    exact = nn.Sequential(layer, ConvInverse(layer, images.shape))
    yield EXACT, exact, 0, FEW
    for name, decoder in trained_decoders(features, channels):
        front = encoder(channels, features)
        yield name, nn.Sequential(front, decoder), count(decoder), STEPS


def encoder(channels, features):
    torch.manual_seed(1)
    return nn.Conv2d(channels, features, 3, stride=STRIDE, padding=1)


def trained_decoders(features, channels):
    """One with the encoder's number of weights, and one with ten times as many."""
    torch.manual_seed(2)
    up = nn.ConvTranspose2d(features, channels, 3, STRIDE, 1, output_padding=1)
    yield SAME, up
    weights = 10 * 9 * features * channels
    hidden = round(weights / (16 * features + 9 * channels))
    yield LARGER, nn.Sequential(
        nn.ConvTranspose2d(features, hidden, 4, STRIDE, 1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(hidden, channels, 3, padding=1),
    )


def count(module):
    return sum(p.numel() for p in module.parameters())


def train(model, images, steps):
    """Seconds of so many steps of Adam on the mean square error."""
    generator = torch.Generator().manual_seed(3)
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    start = time.perf_counter()
    for _ in range(steps):
        chosen = torch.randint(len(images.train), (BATCH,), generator=generator)
        x = images.train[chosen]
        loss = functional.mse_loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
    return time.perf_counter() - start


def restored(model, x):
    with torch.no_grad():
        return model(x)


def measured(model, images):
    """PSNR, mean SSIM and ripple."""
    found, x = restored(model, images.test), images.test
    similar = [
        structural_similarity(a.numpy(), b.numpy(), data_range=1, channel_axis=0)
        for a, b in zip(x, found)
    ]
    level = psnr(found.double(), x.double())
    return level, sum(similar) / len(similar), ripple(model, images.shape)


def ripple(model, shape):
    """The checkerboard in a flat gray picture, over its gray.

    The root mean square of the part with the period of the stride, away from the
    border: of what the discrete Fourier transform has at the frequencies 0 and 1/2
    along each axis, without that at 0 along both.
    """
    flat = restored(model, torch.full((1, *shape), 0.5))[0, :, 4:-4, 4:-4].double()
    means = torch.stack(
        [flat[:, i::STRIDE, j::STRIDE].mean((1, 2)) for i in (0, 1) for j in (0, 1)]
    )
    return float((means - means.mean(0)).square().mean().sqrt() / 0.5)


def drawn(shown, kind):
    """A line of pictures for every decoder."""
    lines = []
    for decoder in ("original", EXACT, SAME, LARGER):
        found = [x for (_, k, d), x in shown.items() if (k, d) == (kind, decoder)]
        lines.append((decoder, [x[i] for x in found for i in range(2)]))
    return pictures(lines)


def table(rows):
    text = (
        f"Encoder: a convolution 3x3 with stride {STRIDE}, 8 features for a channel "
        "(twice as many as pixels) and LeakyReLU, or 2 features and no activation "
        "(bottleneck, half as many). Exact inverse: Inverse or ConvInverse, tied to "
        f"it; the others are trained with it, by steps of Adam on {BATCH} pictures "
        "each. Parameters: the "
        "decoder's own; PSNR and SSIM on pictures that no training saw; ripple: of a "
        "flat gray picture, with the period of the stride, over its gray"
    )
    head = "pictures,encoder,decoder,parameters,steps,training s,PSNR dB,SSIM,ripple"
    cells = [
        [
            *row[:5],
            f"{row.seconds:.0f}",
            f"{row.psnr:.1f}",
            f"{row.ssim:.4f}",
            f"{row.ripple:.1e}",
        ]
        for row in rows
    ]
    return Table("Decoders", text, head, cells)


def claims(rows, quick):
    if quick:
        return []
    level = {row[:3]: row.psnr for row in rows}
    ahead = {
        name: level[name, "injective", EXACT] - level[name, "injective", LARGER]
        for name in SETS
    }
    worst = min(ahead, key=ahead.get)
    return [
        Claim(
            f"a decoder without parameters is {BAR:g} dB above trained ones",
            f"{ahead[worst]:.1f} dB above the larger one on {worst}",
            ahead[worst] >= BAR,
        ),
    ]
