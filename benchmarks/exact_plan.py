"""What an application of the exact inverse costs at least, per pixel.

Run from the repository's root::

    python -m benchmarks.exact_plan

The numbers are counted from the sizes of the engine's arrays; nothing is timed.
"""

import math

from convinv import ConvLinearOperator, gallery
from convinv._inverse.border_correction import BorderCorrectedCirculant
from convinv._inverse.gram_inverse import gram_of, side_of

from .support.tables import table

CASES = (
    ("3->8, 64x64, batch 200", 8, 64, 200),
    ("3->8, 256x256, batch 20", 8, 256, 20),
    ("3->8, 1024x1024, batch 1", 8, 1024, 1),
)
SINGLE, DOUBLE = 4, 8  # bytes
PARTS = ("FFT pair", "C x C", "lines", "patches", "check")


def main():
    print("\n".join(table(",".join(["problem", "depth", *PARTS, "sum"]), rows())))


def rows():
    """Operations and bytes of each part, per pixel and item."""
    for name, filters, size, batch in CASES:
        op = ConvLinearOperator(gallery.conv_layer(3, filters, rng=0), (3, size, size))
        tori = inverse(op)
        found = [costs(op, tori, batch)[part] for part in PARTS]
        whole = tuple(map(sum, zip(*found)))
        depth = "-" if tori.exact else " x ".join(map(str, tori.depth[1:]))
        yield (name, depth, *(f"{f:.0f}, {b:.0f}" for f, b in (*found, whole)))


def inverse(op):
    """That of the normal equations, in single precision."""
    return BorderCorrectedCirculant(gram_of(op, side_of(op)), dtype="float32")


def costs(op, tori, batch):
    """``{part: (flop, bytes)}`` per pixel of an item."""
    taps = math.prod(op.kernel.shape)  # multiply-adds of a product, per pixel
    cells = math.prod(tori.gram.grid)
    total = dict.fromkeys(PARTS, (0.0, 0.0))

    def add(part, flop, moved):
        before = total[part]
        total[part] = before[0] + flop / cells, before[1] + moved / cells

    # A^H b, A x and A^H r in double precision: reads b; x and r; r, writes A^H r
    moved = 3 * (op.output_shape[0] + tori.gram.channels) * DOUBLE
    add("check", 6 * taps * cells, moved * cells)
    visit(tori, batch, taps, add)
    return total


def visit(tori, batch, taps, add):
    """Add what an application of `schwarz` costs."""
    if tori.exact is not None:
        factor = tori.exact
        numbers = (2 * factor.band + 1) * factor.width**2
        # matrices once for the batch, the data four times
        moved = factor.nbytes / batch + 4 * SINGLE * factor.width * factor.count
        add("lines", 2 * numbers * factor.count, moved)
        return
    short = [n for axis, n in enumerate(tori.size) if axis not in tori.long]
    block = tori.gram.channels * math.prod(short)
    points = math.prod(tori.torus.torus)
    whole = points * math.prod(tori.torus.tiles or [1])  # halos included
    fft = 2 * 2.5 * block * whole * math.log2(points)
    add("FFT pair", fft, 4 * SINGLE * block * whole)
    # half of the frequencies, and 8 operations in a complex multiply-add
    moved = 2 * SINGLE * block * whole + tori.torus.nbytes / batch
    add("C x C", 4 * block**2 * whole, moved)
    for face in tori.faces:
        patch = math.prod(face.patch.grid)
        add("patches", 4 * taps * patch, 4 * SINGLE * tori.gram.channels * patch)
        visit(face.solver, batch, taps, add)


if __name__ == "__main__":
    main()
