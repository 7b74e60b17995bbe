"""The tables of quality and time, their summary, and the bars that they miss."""

from ..support.tables import number, section
from .quality import BLURRED, OURS, RIVALS
from .speed import BARS

AHEAD, NEVER_BELOW, NEAR = 0.75, 0.5, 0.5
SHARE_NEVER_BELOW, SHARE_NEAR = 0.95, 0.90
QUALITY_TEXT = (
    "PSNR in dB and, in brackets, SSIM, in the frame of the picture. The scene goes on "
    "beyond it. `deconvolve` has all its defaults; `wiener` and `richardson_lucy` have "
    "the balance and the number of iterations that are best on the truth; best: PSNR "
    "of `deconvolve` with the strength that is best on the truth; noise: estimated "
    "over true"
)
QUALITY_COLUMNS = (
    "case,blurred,deconvolve,wiener,unsupervised_wiener,richardson_lucy,"
    "over the best of them,best,strength,best strength,noise,method,iterations,seconds"
)
WIDTHS = (36, 14, 14, 14, 19, 15, 21, 6, 8, 13, 6, 9, 10, 7)
SPEED_TEXT = (
    "Shortest seconds of whole calls, in turn; `deconvolve` chooses its strength, "
    "`unsupervised_wiener` is called for each channel"
)
SPEED_COLUMNS = (
    "picture,psf,deconvolve s,unsupervised_wiener s,ratio,bar,method,iterations"
)


OTHER_TEXT = "Shortest seconds in turn; a new operator for each solve"
OTHER_COLUMNS = "what,ours s,theirs s,ratio,bar,note"


def tables(rows, speeds, others=()):
    """Markdown of all tables and the summary."""
    parts = [section("Quality", QUALITY_TEXT, QUALITY_COLUMNS, map(shown, rows))]
    if speeds:
        cells = map(shown_speed, speeds)
        parts.append(section("Time", SPEED_TEXT, SPEED_COLUMNS, cells))
    if others:
        cells = map(shown_other, others)
        parts.append(section("Other methods", OTHER_TEXT, OTHER_COLUMNS, cells))
    return "\n\n".join([*parts, summary(rows, speeds, others)])


def shown(row):
    """The cells of a case."""
    pictures = (BLURRED, OURS, *RIVALS)
    return (
        row["case"],
        *(both(row, picture) for picture in pictures),
        f"{ahead(row):+.2f}",
        f"{row['best']:.2f}",
        number(row["setting"][OURS]),
        number(row["best strength"]),
        f"{row['noise']:.2f}",
        row["method"],
        row["nit"],
        number(row["seconds"]),
    )


def both(row, picture):
    """PSNR and SSIM of a picture, if there is one."""
    if picture not in row["psnr"]:
        return "-"
    return f"{row['psnr'][picture]:.2f} ({row['ssim'][picture]:.3f})"


def shown_speed(row):
    """The cells of a time."""
    return (
        row["picture"],
        row["psf"],
        number(row["seconds"][0]),
        number(row["unsupervised_wiener"][0]),
        number(row["ratio"]),
        BARS.get(row["picture"], "-"),
        row["method"],
        row["nit"],
    )


def shown_other(row):
    """The cells of another method."""
    seconds = (number(row[key]) for key in ("ours", "theirs", "ratio"))
    return row["what"], *seconds, row["bar"], row["note"]


def ahead(row):
    """Decibels above the best of the others."""
    return row["psnr"][OURS] - max(row["psnr"].get(name, 0) for name in RIVALS)


def lost(row):
    """Decibels below the best strength."""
    return row["best"] - row["psnr"][OURS]


def worse(row):
    """Whether the picture became worse."""
    return any(row[key][OURS] <= row[key][BLURRED] for key in ("psnr", "ssim"))


def share(rows, test):
    return sum(map(bool, map(test, rows))) / len(rows) if rows else 1.0


def findings(rows, speeds, others=()):
    """``(text, whether the bar is met)`` of every bar."""
    worst = [row["case"] for row in rows if worse(row)]
    first = share(rows, lambda row: ahead(row) > 0)
    below = share(rows, lambda row: ahead(row) >= -NEVER_BELOW)
    near = share(rows, lambda row: lost(row) <= NEAR)
    yield (
        "better than blurred in PSNR and SSIM: all"
        + (f" but {len(worst)}: {'; '.join(worst)}" if worst else ""),
        not worst,
    )
    yield (
        f"above the best of scikit-image's: {first:.1%} of {len(rows)} "
        f"(bar {AHEAD:.0%})",
        first >= AHEAD,
    )
    yield (
        f"no more than {NEVER_BELOW} dB below: {below:.1%} (bar "
        f"{SHARE_NEVER_BELOW:.0%})",
        below >= SHARE_NEVER_BELOW,
    )
    yield (
        f"automatic strength within {NEAR} dB of the best: {near:.1%} (bar "
        f"{SHARE_NEAR:.0%})",
        near >= SHARE_NEAR,
    )
    for row in speeds:
        bar = BARS.get(row["picture"])
        if bar is not None:
            yield (
                f"time, {row['picture']}, {row['psf']}: {row['ratio']:.2f} times "
                f"unsupervised_wiener's (bar {bar})",
                row["ratio"] <= bar,
            )
    for row in others:
        yield (
            f"{row['what']}: {row['ratio']:.2f} (bar {row['bar']}), {row['note']}",
            row["met"],
        )


def missed(rows, speeds, others=()):
    """The bars that are missed, as text."""
    return [text for text, met in findings(rows, speeds, others) if not met]


def summary(rows, speeds, others=()):
    """What became of every bar."""
    lines = [
        f"- {text}: {'met' if met else '**missed**'}"
        for text, met in findings(rows, speeds, others)
    ]
    return "\n".join(["## Summary", "", *lines])
