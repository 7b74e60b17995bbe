"""PSNR after one iteration, the paper's and ours."""

from chart_style import dots, value

SOURCE = "papers/strip/table1.md"
METHODS = ("STRIP", "GS", "CG")


def draw(tables):
    labels, series = [], {"the paper": [], "here": []}
    for size, rows in tables.items():
        for row in rows:
            if row["method"] in METHODS:
                labels.append(f"{row['method']}, {size.replace(' x ', 'x')}")
                series["the paper"].append(value(row["paper's"]))
                series["here"].append(value(row["PSNR to PINV"]))
    title = "PSNR to the pseudoinverse after one iteration, dB"
    return dots(labels, series, title, log=False, join=True)
