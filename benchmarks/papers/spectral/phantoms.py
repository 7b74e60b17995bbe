"""The paper's second experiment, and why its learned functions are no singular ones."""

import numpy as np

from convinv.learning import SpectralOperator

from ...support.outcome import Claim, Outcome, Table
from . import figures, problems
from .analytic import GOOD, classified, value
from .classes import eigenspaces

COUNT = 45  # functions of all degrees below 9


def run(quick=False):
    return outcome(problems.setting(quick), [100] if quick else [100, 500])


def outcome(setting, more):
    op = setting.operator()
    exact = problems.exact_values(op, COUNT)
    trained = {name: problems.learn(op, x) for name, x in training(op, more).items()}
    spaces = eigenspaces(op)
    found = {name: classified(spaces, one) for name, one in trained.items()}
    name = f"{problems.PHANTOMS} phantoms"
    learned = trained[name]
    residuals = {n: residual(op, one) for n, one in trained.items()}
    tables = [
        shown_table(learned, found[name], residuals[name], exact, setting),
        sets_table(trained, found, residuals, exact),
        counterexample()[0],
    ]
    claims = [*checked(op, trained, found, exact, name), counterexample()[1]]
    return Outcome(tables, claims, [], drawn(op, trained, found, more))


def training(op, more):
    """The training sets by their names."""
    analytic = op.singular_system(COUNT).images
    sets = {
        f"{COUNT} singular functions": analytic,
        f"{problems.PHANTOMS} phantoms": problems.phantoms(op, problems.PHANTOMS, 0),
        f"{problems.PHANTOMS} mixtures": problems.mixtures(
            analytic, problems.PHANTOMS, 1
        ),
        f"{COUNT} mixtures": problems.mixtures(analytic, COUNT, 1),
    }
    for count in more:
        sets[f"{count} phantoms"] = problems.phantoms(op, count, 0)
    return sets


def residual(op, learned):
    """``|F* v - s u| / s``: 0 for singular functions."""
    return learned.diagnostics(op).residuals / learned.s


def shown_table(learned, found, residuals, exact, setting):
    images, data = found
    rows = [
        [
            k + 1,
            float(learned.s[k]),
            float(exact[k]),
            int(images.degree[k]),
            float(images.error[k]),
            int(data.degree[k]),
            float(data.error[k]),
            float(residuals[k]),
        ]
        for k in range(problems.PHANTOMS)
    ]
    text = (
        f"{setting}, {problems.RANGES}; bound: the operator's own singular value of "
        "that number; class and error as for the singular functions; residual: |F* v - "
        "s u| / s, which is 0 for singular functions"
    )
    columns = (
        "number,learned value,bound,class of u,error of u,class of v,error of v,"
        "residual"
    )
    return Table("Learned from 20 phantoms", text, columns, rows)


def sets_table(trained, found, residuals, exact):
    rows = []
    for name, learned in trained.items():
        first = slice(0, problems.PHANTOMS)
        errors = found[name][0].error[first]
        short = 1 - learned.s[first] / exact[first]
        rows.append(
            [
                name,
                int((errors < GOOD).sum()),
                float(np.median(errors)),
                float(np.median(found[name][1].error[first])),
                float(np.median(residuals[name][first])),
                f"{100 * short[0]:.1f} %",
                f"{100 * np.median(short):.1f} %",
            ]
        )
    text = (
        f"The first {problems.PHANTOMS} learned functions of every set. mixtures: "
        f"random combinations of the {COUNT} singular functions of degrees below 9; "
        f"{COUNT} of them span the same space, {problems.PHANTOMS} span a part of it "
        f"that is not invariant. good: those u with an error below {GOOD}; then "
        "medians, and how much the first value and the median one are below the "
        "operator's own"
    )
    columns = (
        "training set,good,error of u,error of v,residual,first value below by,"
        "median value below by"
    )
    return Table("Why: the span of the training images", text, columns, rows)


def counterexample():
    """F = diag(2, 1) and one image between its singular vectors."""
    F, x = np.diag([2.0, 1.0]), np.ones((1, 2)) / np.sqrt(2)
    learned = SpectralOperator.fit(x, x @ F.T)
    v = learned.v[0] * np.sign(learned.v[0, 0])
    residuals = learned.diagnostics(_adjoint).residuals
    rows = [[f"{v[0]:.4f} {v[1]:.4f}", float(learned.s[0]), float(residuals[0])]]
    table = Table(
        "The smallest counterexample",
        "F = diag(2, 1), the one training image (1, 1) / sqrt(2): the learned v is the "
        "eigenvector of the data's covariance for its simple eigenvalue, and is no "
        "singular vector of F",
        "v,learned value,residual",
        rows,
    )
    expected = np.array([2, 1]) / np.sqrt(5)
    return table, Claim(
        "the eigenvector of diag(2, 1)'s data is (2, 1) / sqrt(5), no singular vector",
        rows[0][0],
        bool(np.allclose(v, expected, atol=1e-12)),
    )


def _adjoint(y):
    return y * np.array([2.0, 1.0])


def checked(op, trained, found, exact, name):
    learned = trained[name]
    gap = op.forward(learned.u) - learned.s[:, None, None] * learned.v
    gap = problems.norm(gap, op.data_weights).max() / learned.s[0]
    above = max(
        (one.s[: len(exact)] / exact[: len(one.s)] - 1).max()
        for one in trained.values()
    )
    good = {n: int((f[0].error[:20] < GOOD).sum()) for n, f in found.items()}
    whole = f"{COUNT} mixtures"
    return [
        Claim("F u = s v for phantoms too", f"{gap:.1e}", bool(gap < 1e-10)),
        Claim(
            "no learned value is above the operator's own of its number",
            f"by {above:.1e} at most",
            bool(above < 1e-5),
        ),
        Claim(
            f"most functions from {name} are in no eigenspace",
            f"{good[name]} of 20 good",
            good[name] <= 5,
        ),
        Claim(
            "nor from 20 mixtures of singular functions, which are as smooth as those",
            f"{good['20 mixtures']} of 20 good",
            good["20 mixtures"] <= 5,
        ),
        Claim(
            f"{whole}, with an invariant span, give what the functions themselves give",
            f"{good[whole]} and {good[f'{COUNT} singular functions']} of 20 good",
            good[whole] == good[f"{COUNT} singular functions"] >= 15,
        ),
    ]


def drawn(op, trained, found, more):
    name = f"{problems.PHANTOMS} phantoms"
    titles = [f"{k + 1}: m = {m}" for k, m in enumerate(found[name][0].degree)]
    sets = [name, *(f"{count} phantoms" for count in more)]
    values = {n: trained[n].s[:COUNT] for n in sets}
    return {
        "phantoms-images": figures.functions(list(zip(titles, trained[name].u))),
        "phantoms-values": figures.curves(values, value(op.orders(COUNT)[:, 0])),
    }
