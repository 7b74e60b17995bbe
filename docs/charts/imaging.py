"""What deblurring gains over the blurred picture, by blur and noise."""

from statistics import mean

from chart_style import dots

SOURCE = "imaging.json"
METHODS = ("deconvolve", "wiener", "richardson_lucy")


def draw(parts):
    groups = {}
    for row in parts["quality"]:
        _, psf, noise = row["case"].split(", ")
        groups.setdefault(f"{psf}\n{noise}", []).append(row["psnr"])
    series = {
        name: [mean(p[name] - p["blurred"] for p in found) for found in groups.values()]
        for name in METHODS
    }
    title = "decibels above the blurred picture, means"
    return dots(list(groups), series, title, reference=0, log=False)
