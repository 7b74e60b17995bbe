"""The cases of the benchmark of the default call, a fixed list and a short one.

The cross product of all sizes, boundaries, dampings and dtypes would take days; every
value of a factor comes up several times, beside different values of the others.
"""

from .cases import Case

LAYERS = (  # kind, side, batch, dtype, damp
    ("1->8", 28, 1, "float32", 0),
    ("1->8", 28, 100, "float64", 0),
    ("1->8", 64, 8, "float32", 1e-3),
    ("1->8", 64, 100, "float32", 0),
    ("1->8", 224, 1, "float64", 0),
    ("1->8", 224, 8, "float32", 1e-1),
    ("1->8", 512, 1, "float32", 0),
    ("1->8", 512, 1, "float64", 1e-3),
    ("3->8", 28, 1, "float64", 0),
    ("3->8", 28, 8, "float64", 1e-1),
    ("3->8", 28, 100, "float32", 0),
    ("3->8", 64, 1, "float32", 0),
    ("3->8", 64, 1, "float64", 1e-3),
    ("3->8", 64, 8, "float64", 0),
    ("3->8", 64, 100, "float32", 1e-1),
    ("3->8", 224, 1, "float32", 0),
    ("3->8", 224, 8, "float32", 1e-1),
    ("3->8", 224, 8, "float64", 0),
    ("3->8", 512, 1, "float32", 0),
    ("3->8", 512, 1, "float64", 1e-3),
    ("3->3 same", 28, 1, "float64", 0),
    ("3->3 same", 28, 8, "float32", 1e-1),
    ("3->3 same", 64, 1, "float32", 0),
    ("3->3 same", 64, 100, "float64", 1e-1),
    ("3->3 same", 224, 1, "float64", 0),
    ("3->3 same", 224, 1, "float32", 1e-3),
    ("3->3 same", 512, 1, "float32", 1e-1),
    ("16->64", 28, 1, "float32", 0),
    ("16->64", 28, 8, "float64", 1e-3),
    ("16->64", 28, 100, "float32", 0),
    ("16->64", 64, 1, "float64", 0),
    ("16->64", 64, 8, "float32", 1e-1),
    ("16->64", 224, 1, "float32", 0),
    ("16->64", 512, 1, "float32", 1e-1),
    ("32->32", 28, 1, "float64", 0),
    ("32->32", 28, 8, "float32", 1e-1),
    ("32->32", 64, 1, "float32", 0),
    ("32->32", 64, 1, "float64", 1e-3),
    ("32->32", 64, 8, "float32", 1e-1),
    ("32->32", 224, 1, "float32", 1e-1),
    ("3->64 7x7 stride 2", 224, 1, "float32", 0),
    ("3->64 7x7 stride 2", 224, 1, "float64", 1e-3),
    ("3->64 7x7 stride 2", 224, 8, "float32", 1e-1),
    ("patches 3->192 8x8", 224, 1, "float32", 0),
    ("patches 3->192 8x8", 224, 1, "float64", 1e-1),
    ("patches 3->192 8x8", 224, 8, "float64", 0),
    ("patches 3->192 8x8", 224, 100, "float32", 1e-3),
    ("depthwise 32", 28, 1, "float32", 1e-1),
    ("depthwise 32", 28, 100, "float64", 1e-1),
    ("depthwise 32", 64, 8, "float32", 1e-3),
    ("depthwise 32", 224, 1, "float32", 1e-1),
    ("depthwise 32", 64, 1, "float64", 0),
)
SIGNALS = (  # filter banks: samples, batch, dtype, damp
    (1024, 1, "float32", 0),
    (1024, 8, "float64", 1e-1),
    (1024, 100, "float32", 1e-3),
    (16000, 1, "float32", 0),
    (16000, 1, "float64", 1e-3),
    (16000, 8, "float32", 1e-1),
)
BLURS = (  # kind, taps, side, boundary or "valid", damp, penalty, batch, dtype
    ("gaussian", 9, 256, "zero", 1e-3, 0, 1, "float64"),
    ("gaussian", 9, 256, "periodic", 1e-3, 0, 8, "float32"),
    ("gaussian", 9, 256, "symmetric", 0, 0, 1, "float64"),
    ("gaussian", 9, 256, "zero", 0, 1e-2, 8, "float32"),
    ("gaussian", 9, 512, "reflect", 1e-1, 0, 1, "float32"),
    ("gaussian", 15, 256, "replicate", 1e-1, 0, 8, "float32"),
    ("gaussian", 15, 512, "symmetric", 1e-3, 0, 1, "float64"),
    ("gaussian", 15, 1024, "zero", 1e-1, 0, 1, "float32"),
    ("gaussian", 31, 256, "valid", 1e-1, 0, 1, "float64"),
    ("gaussian", 31, 512, "periodic", 1e-1, 1e-2, 1, "float32"),
    ("gaussian", 31, 512, "symmetric", 1e-3, 0, 8, "float32"),
    ("gaussian", 63, 256, "replicate", 1e-1, 1e-1, 1, "float32"),
    ("gaussian", 63, 512, "zero", 1e-3, 0, 1, "float64"),
    ("gaussian", 63, 1024, "reflect", 1e-1, 0, 1, "float32"),
    ("gaussian", 127, 256, "periodic", 1e-3, 0, 8, "float32"),
    ("gaussian", 127, 512, "zero", 1e-1, 0, 1, "float64"),
    ("gaussian", 127, 1024, "symmetric", 1e-3, 0, 1, "float32"),
    ("disc", 9, 256, "zero", 0, 0, 1, "float64"),
    ("disc", 9, 256, "periodic", 0, 0, 1, "float32"),
    ("disc", 9, 256, "symmetric", 1e-3, 0, 8, "float64"),
    ("disc", 9, 512, "replicate", 1e-1, 0, 1, "float32"),
    ("disc", 15, 256, "zero", 0, 1e-1, 8, "float32"),
    ("disc", 15, 256, "reflect", 1e-1, 0, 1, "float64"),
    ("disc", 15, 256, "valid", 1e-1, 0, 1, "float32"),
    ("disc", 15, 512, "zero", 1e-1, 0, 1, "float32"),
    ("disc", 31, 256, "zero", 1e-1, 1e-2, 1, "float64"),
    ("disc", 31, 256, "periodic", 1e-1, 0, 8, "float32"),
    ("disc", 31, 512, "symmetric", 1e-3, 0, 1, "float64"),
    ("disc", 63, 256, "reflect", 1e-1, 1e-1, 1, "float32"),
    ("disc", 63, 512, "zero", 1e-1, 0, 1, "float32"),
    ("disc", 63, 1024, "symmetric", 1e-1, 0, 1, "float32"),
    ("disc", 127, 256, "replicate", 1e-1, 0, 1, "float32"),
    ("disc", 127, 1024, "periodic", 1e-1, 0, 1, "float32"),
    ("motion", 9, 256, "zero", 1e-3, 0, 1, "float32"),
    ("motion", 9, 256, "symmetric", 1e-1, 0, 8, "float64"),
    ("motion", 9, 512, "reflect", 0, 1e-1, 1, "float32"),
    ("motion", 9, 256, "periodic", 0, 0, 8, "float64"),
    ("motion", 15, 256, "zero", 1e-1, 0, 100, "float32"),
    ("motion", 15, 256, "valid", 0, 0, 1, "float64"),
    ("motion", 15, 256, "replicate", 1e-1, 1e-2, 8, "float32"),
    ("motion", 15, 1024, "zero", 1e-1, 0, 1, "float32"),
    ("motion", 31, 256, "zero", 0, 1e-1, 1, "float32"),
    ("motion", 31, 256, "periodic", 1e-3, 0, 8, "float32"),
    ("motion", 31, 512, "symmetric", 1e-1, 0, 1, "float64"),
    ("motion", 31, 512, "valid", 1e-1, 0, 1, "float32"),
    ("motion", 63, 512, "replicate", 1e-1, 0, 1, "float32"),
    ("motion", 63, 1024, "zero", 1e-1, 0, 1, "float32"),
    ("motion", 127, 256, "valid", 1e-1, 0, 1, "float32"),
    ("motion", 127, 512, "reflect", 1e-1, 1e-1, 1, "float32"),
    ("motion", 127, 1024, "periodic", 1e-3, 0, 1, "float64"),
)
SMALL, MIDDLE, LARGE = (
    ((5, 5, 5), (16, 48, 48)),
    ((9, 15, 15), (32, 64, 64)),
    ((15, 25, 25), (48, 128, 128)),
)
STACKS = (  # kind, (taps, size), boundary or "valid", damp, penalty, batch, dtype
    ("gaussian", SMALL, "zero", 1e-1, 0, 8, "float32"),
    ("gaussian", SMALL, "symmetric", 1e-3, 0, 1, "float64"),
    ("gaussian", MIDDLE, "periodic", 1e-3, 0, 1, "float32"),
    ("gaussian", MIDDLE, "reflect", 1e-1, 1e-2, 1, "float64"),
    ("gaussian", LARGE, "zero", 1e-1, 0, 1, "float32"),
    ("gaussian", LARGE, "replicate", 1e-3, 0, 1, "float32"),
    ("disc", SMALL, "valid", 0, 0, 1, "float64"),
    ("disc", SMALL, "replicate", 0, 1e-1, 8, "float32"),
    ("disc", MIDDLE, "symmetric", 1e-1, 0, 1, "float32"),
    ("disc", MIDDLE, "zero", 1e-1, 0, 1, "float32"),
    ("disc", LARGE, "periodic", 1e-1, 0, 1, "float32"),
    ("disc", LARGE, "zero", 1e-1, 1e-2, 1, "float32"),
)
QUICK = (
    Case("1->8", (28, 28), 8, "float32"),
    Case("3->8", (28, 28), 1, "float64"),
    Case("3->8", (64, 64), 1, "float32"),
    Case("3->3 same", (28, 28), 8, "float64", 1e-1),
    Case("16->64", (28, 28), 1, "float32"),
    Case("patches 3->192 8x8", (32, 32), 1, "float64"),
    Case("depthwise 32", (28, 28), 1, "float32", 1e-1),
    Case("filters 1->128 512", (1024,), 1, "float32"),
    Case("gaussian", (64, 64), 1, "float64", 1e-3, (9, 9), "symmetric"),
    Case("disc", (64, 64), 8, "float32", 1e-1, (9, 9), "zero"),
    Case("motion", (64, 64), 1, "float32", 0.0, (9, 9), "reflect", penalty=1e-1),
    Case("gaussian", (8, 24, 24), 1, "float64", 1e-1, (3, 5, 5), "periodic"),
)


def cases():
    """The whole list."""
    layers = [
        Case(kind, (side, side), batch, dtype, float(damp))
        for kind, side, batch, dtype, damp in LAYERS
    ]
    signals = [
        Case("filters 1->128 512", (samples,), batch, dtype, float(damp))
        for samples, batch, dtype, damp in SIGNALS
    ]
    blurs = [
        _blur(kind, (taps, taps), (side, side), *rest)
        for kind, taps, side, *rest in BLURS
    ]
    stacks = [_blur(kind, *sizes, *rest) for kind, sizes, *rest in STACKS]
    return [*layers, *signals, *blurs, *stacks]


def _blur(kind, taps, size, boundary, damp, penalty, batch, dtype):
    valid = boundary == "valid"
    return Case(
        kind,
        size,
        batch,
        dtype,
        float(damp),
        taps,
        boundary="zero" if valid else boundary,
        padding="valid" if valid else "same",
        penalty=float(penalty),
    )
