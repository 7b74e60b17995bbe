"""A photograph from the features of a network that was trained on photographs."""

import torch
from torch import nn
from torch.nn import functional

from convinv import gallery
from convinv.interop.torch import ConvInverse, Inverse

from ..support.outcome import Claim, Outcome, Table
from ..support.quality import psnr
from ..support.threads import one_torch_thread
from .figures import pictures
from .images import labeled_patches

CHANNELS = 3, 12, 20, 28
SLOPE = 0.2
STEPS, BATCH, RATE = 200, 32, 3e-3
SIZE = 48
BITS = 8
DAMPS = (0.03, 0.1, 0.3, 1.0)
FILLINGS = 100
BAR = 60.0  # dB in float32, of each depth


def run(quick, folders=None):
    """A table by depth, and pictures."""
    with one_torch_thread():
        network, right = trained(3 if quick else STEPS)
        x = torch.from_numpy(gallery.image("astronaut", 24 if quick else SIZE))
        told, rows, lines = (
            [],
            [],
            {
                "features": [],
                f"{BITS} bits": [],
                f"{BITS} bits and damp": [],
            },
        )
        for depth in range(1, len(CHANNELS)):
            chain = network[: 2 * depth]
            found, row, failures = inverted(chain, x)
            rows.append([depth, *row])
            told += [f"Not called a success: {depth} layers, {f}." for f in failures]
            for line, picture in zip(lines.values(), found):
                line.append(picture)
        rectified = without_negatives(network[0], x)
    titles = [f"from layer {d}" for d in range(1, len(CHANNELS))]
    shown = [(name, [x, *line]) for name, line in lines.items()]
    names = "photograph", "zeros as they are", "filled in"
    figures = {
        "features-depth": pictures(shown, ["photograph", *titles], 1.7),
        "features-relu": pictures([("ReLU", [x, *rectified])], names, 1.9),
    }
    notes = [
        f"The network tells {right:.0%} of patches that it has not seen from each "
        "other.",
        "ReLU after the first layer: "
        f"{psnr(rectified[0].double(), x.double()):.1f} dB with its zeros as they are, "
        f"{psnr(rectified[1].double(), x.double()):.1f} dB where {FILLINGS} steps fill "
        "in what it has cut off.",
        *told,
    ]
    return Outcome([table(rows)], [] if quick else claims(rows), notes, figures)


def trained(steps):
    """Layers that tell photographs apart by patches, and how often they are right."""
    (patches, labels), (others, theirs) = labeled_patches()
    torch.manual_seed(0)
    layers = []
    for a, b in zip(CHANNELS, CHANNELS[1:]):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.LeakyReLU(SLOPE)]
    head = nn.Linear(CHANNELS[-1], int(labels.max()) + 1)
    network = nn.Sequential(*layers)
    parameters = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, RATE)
    for _ in range(steps):
        chosen = torch.randint(len(patches), (BATCH,))
        scores = head(network(patches[chosen]).mean((2, 3)))
        loss = functional.cross_entropy(scores, labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        told = head(network(others).mean((2, 3))).argmax(1)
    return network.requires_grad_(False), float((told == theirs).double().mean())


def inverted(chain, x):
    """Pictures from features as they are, from 8 bits, and with damp; their dB."""
    levels, successes, failures = [], [], []
    for dtype in (torch.float32, torch.float64):
        chain, x = chain.to(dtype), x.to(dtype)
        inverse = Inverse(chain, tuple(x.shape), on_failure="ignore")
        picture = inverse(chain(x))
        levels.append(psnr(picture.double(), x.double()))
        successes.append("yes" if inverse.last.success else "no")
        if not inverse.last.success:
            failures.append(f"{dtype}: {inverse.last.message}")
        if dtype == torch.float32:
            single = picture
    y = rounded(chain(x))
    plain = Inverse(chain, tuple(x.shape), check=False, on_failure="ignore")(y)
    best, damp = damped(chain, x, y)
    chain.float()
    dB = [f"{psnr(p, x):.1f}" for p in (plain, best)]
    row = [
        f"{levels[0]:.1f}",
        successes[0],
        f"{levels[1]:.1f}",
        successes[1],
        *dB,
        damp,
    ]
    return (single, plain.float(), best.float()), row, failures


def rounded(y):
    """To whole steps of the range of every feature."""
    low, high = y.amin((1, 2), keepdim=True), y.amax((1, 2), keepdim=True)
    step = (high - low) / (2**BITS - 1)
    return low + step * torch.round((y - low) / step)


def damped(chain, x, y):
    """The best of several damps for this picture."""
    found = []
    for damp in DAMPS:
        options = {"damp": float(damp), "check": False, "on_failure": "ignore"}
        picture = Inverse(chain, tuple(x.shape), **options)(y)
        found.append((psnr(picture, x), float(damp), picture))
    _, damp, picture = max(found, key=lambda one: one[0])
    return picture, damp


def without_negatives(layer, x):
    """From ReLU of a layer: its zeros as they are, and filled in step by step."""
    layer = layer.float()
    x = x.float()
    y = functional.relu(layer(x))
    inverse = ConvInverse(layer, tuple(x.shape), on_failure="ignore")
    found = first = inverse(y)
    for _ in range(FILLINGS):
        negative = layer(found).clamp(max=0)  # what the layer has below 0
        found = inverse(torch.where(y > 0, y, negative))
    return first, found


def table(rows):
    widths = " -> ".join(map(str, CHANNELS))
    text = (
        f"Convolutions 3x3, padding 1, channels {widths}, each with LeakyReLU "
        f"{SLOPE:g}; dB of a photograph of {SIZE}x{SIZE} pixels, from features as they "
        f"are and from features of {BITS} bits without damp and with the one that is "
        "best for it"
    )
    head = (
        f"layers,float32 dB,success,float64 dB,success,{BITS} bits dB,with damp dB,damp"
    )
    return Table("Depth", text, head, rows)


def claims(rows):
    worst = min(float(row[1]) for row in rows if row[2] == "yes")
    return [
        Claim(
            f"at least {BAR:g} dB in float32 wherever the inverse calls it a success",
            f"{worst:.1f} dB",
            worst >= BAR,
        )
    ]
