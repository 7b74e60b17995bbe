"""The cases of the grid, and a few small ones for a quick run."""

from ..support.inversions import BLURS, LAYERS, Inversion
from ..support.layers import DTYPES

SIZES = {28: 200, 64: 200, 256: 20, 1024: 1}  # of layers, and the batch
BLUR_SIZES = (512, 2048)
DAMP = 1e-2
QUICK = (
    Inversion("3to8", 28, 20, "float32"),
    Inversion("3to8", 64, 4, "float64"),
    Inversion("8to3", 28, 4, "float64"),
    Inversion("gaussian", 64, 1, "float32", "reflect", DAMP),
)


def grid():
    """All cases: small ones first."""
    layers = [
        Inversion(name, size, batch, dtype)
        for size, batch in SIZES.items()
        for name in LAYERS
        for dtype in DTYPES
    ]
    blurs = [
        Inversion(name, size, 1, dtype, boundary, DAMP)
        for size in BLUR_SIZES
        for name in BLURS
        for boundary in ("zero", "reflect")
        for dtype in DTYPES
    ]
    return layers + blurs
