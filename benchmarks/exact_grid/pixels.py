"""Times of a pixel by the size of the image."""

from ..support.inversions import Inversion
from ..support.measure import fresh_rounds
from .calls import first_and_second, warm
from .reference import RTOLS


def pixel_times(quick):
    """Times of `schwarz` by image size, one image and as many pixels in a batch."""
    small, large = (64, 128) if quick else (256, 2048)
    many = (large // small) ** 2
    cases = [
        Inversion("3to8", small, 1, "float32"),
        Inversion("3to8", small, many, "float32"),
        Inversion("3to8", large, 1, "float32"),
    ]
    calls = {}
    for case in cases:
        warm(case)
        _, b = case.data()
        calls[case] = first_and_second(case, b, "schwarz", {"rtol": RTOLS[0]})
    times, _ = fresh_rounds(calls, 0.5 if quick else 10.0, 2 if quick else 5)
    return {
        "pixels": "3->8, float32, method schwarz",
        "sizes": [
            {"size": c.size, "batch": c.batch, "first": times[c][0],
             "second": times[c][1]}
            for c in cases
        ],
    }  # fmt: skip
