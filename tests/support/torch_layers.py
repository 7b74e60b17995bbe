"""Random layers of PyTorch, and the matrices of layers by applying them."""

import warnings

import numpy as np
import torch
from torch import nn

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
SIZES = {1: (5, 14), 2: (4, 7), 3: (3, 4)}  # of images, by their number of axes
MODES = ("zeros", "zeros", "circular", "reflect", "replicate")
NORMS = (
    nn.utils.spectral_norm,
    nn.utils.weight_norm,
    nn.utils.parametrizations.spectral_norm,
    nn.utils.parametrizations.weight_norm,
)


class Doubled(nn.Module):
    """A parametrization."""

    def forward(self, weight):
        return 2 * weight


def random_layer(seed):
    """A layer in evaluation mode and the shape of one input."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    dtype = torch.complex128 if rng.random() < 0.15 else torch.float64
    draw = rng.random()
    if draw < 0.06:
        n, m = rng.integers(1, 9, 2)
        layer, shape = nn.Linear(n, m, dtype=dtype), (int(n),)
    elif draw < 0.35:
        layer, shape = _transposed(rng, dtype)
    else:
        layer, shape = _convolution(rng, dtype)
    if dtype == torch.float64 and rng.random() < 0.25:
        layer = _normalized(rng, layer)
    return layer.eval(), shape


def _per_axis(rng, axes, choices):
    return tuple(int(rng.choice(choices)) for _ in range(axes))


def _common(rng):
    axes = int(rng.choice([1, 2, 2, 3]))
    groups = int(rng.choice([1, 1, 2]))
    channels = rng.integers(1, 4 if groups == 1 else 3, 2) * groups
    size = [int(rng.integers(*SIZES[axes], endpoint=True)) for _ in range(axes)]
    taps = _per_axis(rng, axes, [1, 2, 3] if axes < 3 else [1, 2])
    return axes, groups, [int(c) for c in channels], size, taps


def _convolution(rng, dtype):
    axes, groups, (c_in, c_out), size, taps = _common(rng)
    dilation = _per_axis(rng, axes, [1, 1, 2])
    mode = str(rng.choice(MODES))
    stride = _per_axis(rng, axes, [1, 1, 2, 3])
    spans = [d * (k - 1) for d, k in zip(dilation, taps)]
    draw = rng.random()
    if draw < 0.25:
        stride, padding = (1,) * axes, "same"
    elif draw < 0.35:
        padding = "valid"
    else:
        padding = tuple(int(rng.integers(0, 3)) for _ in range(axes))
    size = [max(n, s + 1, 3) for n, s in zip(size, spans)]  # also reflections fit
    layer = CONV[axes](
        c_in,
        c_out,
        taps,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bool(rng.random() < 0.5),
        padding_mode=mode,
        dtype=dtype,
    )
    return layer, (c_in, *size)


def _transposed(rng, dtype):
    axes, groups, (c_in, c_out), size, taps = _common(rng)
    stride = _per_axis(rng, axes, [1, 2, 3])
    dilation = _per_axis(rng, axes, [1, 1, 2, 3])
    padding, extra = [], []
    for s, d, k in zip(stride, dilation, taps):
        p = int(rng.integers(0, 2))
        most = max(s, d) if p else s  # torch takes more, of outputs without an input
        e = int(rng.integers(0, most))
        padding.append(p)
        extra.append(min(e, p) if e >= s else e)
    size = [max(2, n // 2) for n in size]
    layer = TRANSPOSED[axes](
        c_in,
        c_out,
        taps,
        stride=stride,
        padding=tuple(padding),
        output_padding=tuple(extra),
        dilation=dilation,
        groups=groups,
        bias=bool(rng.random() < 0.5),
        dtype=dtype,
    )
    return layer, (c_in, *(n + 2 for n in size))


def _normalized(rng, layer):
    """The layer with a weight that is computed whenever it is applied."""
    number = int(rng.integers(0, len(NORMS) + 1))
    if number == len(NORMS):
        nn.utils.parametrize.register_parametrization(layer, "weight", Doubled())
        return layer
    with warnings.catch_warnings():  # of older functions that they are older
        warnings.simplefilter("ignore", FutureWarning)
        layer = NORMS[number](layer)
    with torch.no_grad():
        for parameter in layer.parameters():  # as a step of training does
            parameter.mul_(1.3)
    return layer


def linear_part(layer, x):
    """The layer without its bias."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel")
        return layer(x) - layer(torch.zeros_like(x))


def dense(layer, shape):
    """The matrix of the layer's linear part, one column for each unknown."""
    size, dtype = int(np.prod(shape)), layer.weight.dtype
    columns = linear_part(layer, torch.eye(size, dtype=dtype).reshape(size, *shape))
    return columns.reshape(size, -1).T.numpy()
