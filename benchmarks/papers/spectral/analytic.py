"""The paper's first experiment: 49 singular functions as training images."""

import numpy as np

from ...support.outcome import Claim, Outcome, Table
from . import figures, problems
from .classes import eigenspaces

SHOWN = 20
GOOD = 0.25  # of a function's norm may be outside its class


def run(quick=False):
    return outcome(problems.setting(quick), 7 if quick else problems.DEGREES)


def outcome(setting, degrees):
    op = setting.operator()
    pairs = problems.cosines(degrees)
    images = op.singular_system(pairs).images
    spaces = eigenspaces(op)
    learned = {kind: problems.learn(op, images, kind) for kind in (True, False)}
    found = {kind: classified(spaces, one) for kind, one in learned.items()}
    expected = np.array([m for m, _ in pairs])
    tables = [
        shown_table(learned[True], found[True], expected, setting),
        class_table(learned, found, expected),
    ]
    claims = checked(op, learned, found, expected)
    return Outcome(tables, claims, [counts(pairs)], drawn(learned[True], found[True]))


def classified(spaces, learned):
    """What `classes.Found` says of u and of v."""
    return spaces[0].classify(learned.u), spaces[1].classify(learned.v)


def value(m):
    return 2 * np.sqrt(np.pi / (np.asarray(m) + 1))


def shown_table(learned, found, expected, setting):
    """Tables 1 and 2 of the paper: value, class and error of the first functions."""
    images, data = found
    rows = [
        [
            k + 1,
            float(learned.s[k]),
            float(value(expected[k])),
            int(images.degree[k]),
            float(images.error[k]),
            int(data.degree[k]),
            float(data.error[k]),
        ]
        for k in range(min(SHOWN, len(expected)))
    ]
    text = (
        f"{setting}, {len(expected)} training pairs; g: the analytic value; class: the "
        "degree m of the eigenspace with the largest part of the function; error: what "
        "a regression on that eigenspace leaves, as a part of 1"
    )
    columns = "number,learned value,g,class of u,error of u,class of v,error of v"
    return Table("The first learned functions", text, columns, rows)


def class_table(learned, found, expected):
    """By degree: how many were found, how good, with and without the weights."""
    rows = []
    for m in np.unique(expected):
        row, want = [int(m), int((expected == m).sum())], expected == m
        for kind in (True, False):
            images, data = found[kind]
            row.append(int((images.degree[want] == m).sum()))
            row += [float(images.error[want].max()), float(data.error[want].max())]
        row.append(float(abs(learned[True].s[want] / value(m) - 1).max()))
        rows.append(row)
    text = (
        "The learned functions in the order of their values, of which those of degree "
        "m come in one row: how many are classified so, and the largest errors; first "
        "with the weighted inner products, then with plain ones, for which the "
        "transform has other singular functions; last the largest relative error of a "
        "value"
    )
    columns = (
        "m,functions,classified,error of u,error of v,plain: classified,"
        "plain: error of u,plain: error of v,error of the value"
    )
    return Table("All of them by degree", text, columns, rows)


def checked(op, learned, found, expected):
    images, data = found[True]
    right = (images.degree == expected) & (data.degree == expected)
    first = slice(0, 12)
    worst = max(images.error[first].max(), data.error[first].max())
    one = learned[True]
    gap = op.forward(one.u) - one.s[:, None, None] * one.v
    gap = problems.norm(gap, op.data_weights).max() / one.s[0]
    wrong = {kind: int((f[0].degree != expected).sum()) for kind, f in found.items()}
    return [
        Claim(
            "F u = s v of what was learned, to rounding",
            f"{gap:.1e}",
            bool(gap < 1e-10),
        ),
        Claim(
            "the first 12 are in the right class, with an error below a quarter",
            f"{int(right[first].sum())} of 12, {worst:.3f}",
            bool(right[first].all() and worst < GOOD),
        ),
        Claim(
            "fewer wrong classes with the weights than without",
            f"{wrong[True]} and {wrong[False]} of {len(expected)}",
            wrong[True] < wrong[False],
        ),
    ]


def counts(pairs):
    degrees = {m for m, _ in pairs}
    return (
        f"{len(pairs)} functions are those with l >= 0 of {len(degrees)} degrees, "
        f"hence of {len(degrees)} distinct values; with sines there are "
        f"{sum(m + 1 for m in degrees)}"
    )


def drawn(learned, found):
    count = min(SHOWN, len(learned.s))
    titles = [[f"{k + 1}: m = {f.degree[k]}" for k in range(count)] for f in found]
    return {
        "analytic-images": figures.functions(list(zip(titles[0], learned.u))),
        "analytic-data": figures.functions(list(zip(titles[1], learned.v))),
    }
