"""Figures of an experiment as small PNG files."""

import io

LIMIT = 100_000  # bytes of a figure
COLORS = 64


def save(figure, path, limit=LIMIT):
    """Write a figure as PNG of few colors, and fewer dots where `limit` asks it."""
    from PIL import Image  # comes with what draws the figures

    dpi = 100
    while True:
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=dpi)
        with Image.open(drawn) as image:
            few = image.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
        data = io.BytesIO()
        few.save(data, format="png", optimize=True)
        if data.tell() <= limit or dpi < 30:
            break
        dpi = int(0.9 * dpi)
    path.write_bytes(data.getvalue())
