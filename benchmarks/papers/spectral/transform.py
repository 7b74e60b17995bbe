"""The operator that the others learn: its singular values, its peer, its speed."""

import numpy as np

from convinv.operators import Radon

from ...support.measure import interleaved
from ...support.outcome import Claim, Outcome, Table
from ...support.radon import ANGLES, Case
from . import problems

BAR_SIZE, BAR, COUNT = 128, 0.01, 45
FASTER = 5
BUMPS = (
    (1.0, 0.3, 0.2, 0.012), (-0.5, -0.3, 0.1, 0.01), (0.7, 0.1, -0.35, 0.008),
)  # fmt: skip
NAMES = {"forward": "radon", "adjoint": "iradon without a filter"}


def run(quick=False):
    if quick:
        return outcome([24, 48], [48], 25, 0.1)
    return outcome([64, 128, 256], [128, 256], 129, 2.0)


def outcome(sizes, timed, odd, seconds):
    values, claims = values_table(sizes)
    times, faster = times_table(timed, seconds)
    peer, agreement = peer_table([odd // 2 + odd // 2 % 2 + 1, odd])
    return Outcome([values, peer, times], [*claims, *agreement, *faster], [], {})


def values_table(sizes):
    """The largest relative error of a class, by the size of the images."""
    expected = Radon(2).singular_values(COUNT)
    errors = {}
    for size in sizes:
        op = problems.Setting(size, ANGLES if size > 64 else 90).operator()
        errors[size] = abs(problems.exact_values(op, COUNT) / expected - 1)
    degrees = Radon(2).orders(COUNT)[:, 0]
    rows = [
        [
            int(m),
            int(m) + 1,
            float(expected[degrees == m][0]),
            *(f"{100 * errors[size][degrees == m].max():.2f} %" for size in sizes),
        ]
        for m in np.unique(degrees)
    ]
    text = (
        "g: 2 sqrt(pi / (m + 1)), as often as the next column says; then the largest "
        f"relative error of the discretized operator's first {COUNT} singular values "
        "in the weighted inner products, by the size of the images"
    )
    columns = ",".join(["m", "multiplicity", "g", *(f"{n} x {n}" for n in sizes)])
    claims = [
        Claim(
            f"{COUNT} singular values at {BAR_SIZE} x {BAR_SIZE} within {BAR:.0%}",
            f"{100 * errors[size].max():.2f} %",
            bool(errors[size].max() < BAR),
        )
        for size in sizes
        if size == BAR_SIZE
    ]
    least, most = (errors[size].max() for size in (sizes[-1], sizes[0]))
    found = f"from {100 * most:.2f} % to {100 * least:.2f} %"
    claims.append(Claim("more pixels lessen the errors", found, bool(least < most)))
    return Table("Singular values", text, columns, rows), claims


def bumps(op):
    """A few bumps, which vanish before the rim, and their exact data."""
    t = (np.arange(op.size) + 0.5) * 2 / op.size - 1
    x, y = t, -t[:, None]
    image, data = np.zeros(op.input_shape), np.zeros(op.output_shape)
    for height, p, q, v in BUMPS:
        image += height * np.exp(-((x - p) ** 2 + (y - q) ** 2) / (2 * v))
        shift = p * np.cos(op.angles) + q * np.sin(op.angles)
        profile = np.exp(-((op.offsets - shift[:, None]) ** 2) / (2 * v))
        data += height * np.sqrt(2 * np.pi * v) * profile
    return image * (x**2 + y**2 < (1 - 1 / op.size) ** 2), data


def peer_table(sizes):
    from skimage.transform import radon

    degrees, rows, found = np.arange(0, 180, 7.0), [], []
    for size in sizes:
        op = Radon(size, angles=np.deg2rad(degrees))
        image, exact = bumps(op)
        ours = op.forward(image)
        theirs = radon(image, degrees, circle=True).T * 2 / size
        scale = np.linalg.norm(exact, axis=1)
        gaps = {
            "ours": np.linalg.norm(ours - exact, axis=1) / scale,
            "theirs": np.linalg.norm(theirs - exact, axis=1) / scale,
            "between": np.linalg.norm(ours - theirs, axis=1) / scale,
        }
        found.append({name: float(np.median(gap)) for name, gap in gaps.items()})
        cells = [v for gap in gaps.values() for v in (np.median(gap), gap.max())]
        rows.append([size, *map(float, cells)])
    text = (
        "Smooth bumps, whose data are known; relative distances at an angle, median "
        f"and largest of {len(degrees)} angles. The largest of ours is at 91 degrees: "
        "lines that run next to those of the pixels' edges see their steps. Sizes are "
        "odd, so that both turn about the middle of a pixel"
    )
    columns = (
        "size,ours to exact: median,largest,skimage's to exact: median,largest,"
        "ours to skimage's: median,largest"
    )
    table = Table("Distance to skimage.transform.radon", text, columns, rows)
    few, many = found
    claims = [
        Claim(
            f"more pixels bring {what} nearer",
            f"from {few[name]:.1e} to {many[name]:.1e}",
            many[name] < few[name] / 2,
        )
        for name, what in (("ours", "exact data"), ("between", "scikit-image's data"))
    ]
    return table, claims


def times_table(sizes, seconds):
    rows, claims = [], []
    for size in sizes:
        case = Case(size, "float64")
        for product, name in NAMES.items():
            times = interleaved(
                {"ours": case.ours(product), "theirs": case.theirs(product)}, seconds
            )
            least, median = times["theirs"].over(times["ours"])
            ms = [1e3 * t for t in (times["ours"].least, times["theirs"].least)]
            rows.append([size, product, *ms, least, median])
            claims.append(
                Claim(
                    f"{product}, {size} x {size}: {FASTER} times faster than {name}",
                    f"{least:.1f} times",
                    least >= FASTER,
                    soft=True,
                )
            )
    text = (
        f"{ANGLES} angles, in turn in one process, ours on all cores; the shortest "
        "times, and the ratios of the shortest and of the medians"
    )
    columns = "size,product,ms,skimage ms,faster,faster (medians)"
    return Table("Times", text, columns, rows), claims
