"""The two products of layers: beside cuDNN, and beside the ceilings."""

import math

from ..support.layers import Layer, operations, traffic
from ..support.outcome import ABSENT, Claim, Outcome, Table
from ..support.quality import largest_error
from . import arrays, cudnn
from .timing import milliseconds, timed

DTYPE = "float32"
THIN, THICK, OTHER = "thin", "thick", "other"
# With a batch of 0, which stands for one that fills the memory that is allowed.
LAYERS = (
    (THIN, Layer(1, 1, 3, 512, 0)),
    (THIN, Layer(3, 8, 3, 256, 0)),
    (THIN, Layer(8, 3, 3, 256, 0)),
    (OTHER, Layer(3, 8, 3, 256, 0, stride=2)),
    (OTHER, Layer(3, 8, 3, 256, 0, padding=1, boundary="periodic")),
    (OTHER, Layer(3, 8, 5, 256, 0)),
    (OTHER, Layer(3, 8, 7, 256, 0)),
    (THICK, Layer(64, 64, 3, 64, 0)),
)
PRODUCTS = ("forward", "adjoint")
COPY_BAR, CUDNN_BARS = 0.6, {THIN: 1.5, THICK: 0.6}
AGREE = 1e-4  # of two computations in single precision, of sums of up to 576 terms
COLUMNS = (
    "layer,product,least ms,median ms,GB/s,of a copy,TFlop/s,of a matrix product,"
    "cuDNN least ms,cuDNN median ms,cuDNN / convinv,differ"
)
TEXT = (
    f"{DTYPE}; bytes: input and output, each moved once; of a copy and of a matrix "
    "product: fractions of the measured rates, by medians; cuDNN: conv2d and "
    "conv_transpose2d of torch without TF32, on the same arrays; above 1 convinv is "
    "faster"
)


def filled(layer, nbytes):
    """The layer with a batch whose input and output take so many bytes."""
    one = traffic(layer._replace(batch=1), layer.operator(DTYPE))
    return layer._replace(batch=max(int(nbytes) // one, 1))


def run(session, part):
    rows, claims = [], []
    torch, note = cudnn.load()
    if note:
        part.notes.append(note)
    free = session.xp.cuda.runtime.memGetInfo()[0]
    nbytes = min(session.settings.array_bytes, free / 8)
    with part.case("ceilings"):
        session.ceilings
    for kind, layer in LAYERS:
        layer = filled(layer, nbytes)
        if part.late(str(layer)):
            continue
        with part.case(str(layer)):
            measured(session, torch, kind, layer, rows, claims)
    return Outcome([Table("Products", TEXT, COLUMNS, rows)], claims, [], {})


def measured(session, torch, kind, layer, rows, claims):
    """Rows and claims of both products of a layer."""
    xp = session.xp
    op = layer.operator(DTYPE, xp)
    x, y = (
        arrays.noise(xp, (layer.batch, *shape), DTYPE)
        for shape in (op.input_shape, op.output_shape)
    )
    peers = cudnn.products(torch, layer, op, x, y) if torch else {}
    for name, call in zip(PRODUCTS, (lambda: op.forward(x), lambda: op.adjoint(y))):
        calls, differ = {"convinv": call}, None
        if name in peers:
            calls["cuDNN"] = peers[name]
            differ = largest_error(call(), cudnn.array(xp, peers[name]()))
            agree = Claim(
                f"{layer}, {name}: cuDNN's result",
                f"relative difference {differ:.1e}",
                differ <= AGREE,
            )
            claims.append(agree)
        times = timed(session, calls)
        add(session, kind, layer, op, name, times, differ, rows, claims)


def add(session, kind, layer, op, name, times, differ, rows, claims):
    own, peer = times["convinv"], times.get("cuDNN")
    moved, work = traffic(layer, op), operations(layer, op)
    copy, product = (session.ceilings[key] for key in ("copy", DTYPE))
    of_copy = moved / own.median / copy
    ratio = peer.over(own) if peer else (math.nan, math.nan)
    rows.append(
        (str(layer), name, *milliseconds(own), moved / own.median / 1e9, of_copy,
         work / own.median / 1e12, work / own.median / product,
         *(milliseconds(peer) if peer else (ABSENT, ABSENT)),
         ratio[1] if peer else ABSENT, ABSENT if differ is None else differ)
    )  # fmt: skip
    if kind == THIN:
        text = f"{layer}, {name}: at least {COPY_BAR:.0%} of a copy's rate"
        claims.append(Claim(text, f"{of_copy:.0%}", of_copy >= COPY_BAR, soft=True))
    bar = CUDNN_BARS.get(kind)
    if bar and peer:
        claims.append(
            Claim(
                f"{layer}, {name}: at least {bar:g} times cuDNN's speed",
                f"{ratio[0]:.2f} ({ratio[1]:.2f} by medians)",
                min(ratio) >= bar,
                soft=True,
            )
        )
