"""The paper's two decoding tests, and one that tells what they depend on."""

import numpy as np

from convinv import solve

from ...support.outcome import Claim, Outcome, Table
from . import figures, problems

COEFFICIENTS = {
    (0, 0): 1.0, (1, 1): -0.8, (2, 0): 0.6, (2, 2): 0.5, (3, 1): -0.7, (4, 4): 0.4,
    (5, 1): 0.5, (6, 2): -0.3,
}  # fmt: skip
NONLINEAR = "u_20^2 - 0.5 u_31 u_11 + 0.3 sin(4 u_51) + 0.4 |u_22|"
NOISES = (0.0, 0.01, 0.05)
RANKS = (10, 20)
EXACT = 1e-10


def run(quick=False):
    return outcome(problems.setting(quick), 9 if quick else problems.DEGREES)


def outcome(setting, degrees):
    op = setting.operator()
    pairs = problems.cosines(degrees)
    functions = dict(zip(pairs, op.singular_system(pairs).images))
    phantoms = problems.phantoms(op, problems.PHANTOMS, 0)
    trained = {
        f"{len(pairs)} functions": problems.learn(op, np.array([*functions.values()])),
        f"{problems.PHANTOMS} phantoms": problems.learn(op, phantoms),
    }
    truths = {
        "1": sum(c * functions[pair] for pair, c in COEFFICIENTS.items()),
        "2": nonlinear(functions),
        "sum of phantoms": np.tensordot(weights(), phantoms, axes=1),
    }
    rows, errors, decoded = decode(op, truths, trained)
    claims = checked(errors, *trained)
    return Outcome([table(setting, rows)], claims, [chosen()], drawn(truths, decoded))


def nonlinear(functions):
    u = functions
    return (
        u[2, 0] ** 2
        - 0.5 * u[3, 1] * u[1, 1]
        + 0.3 * np.sin(4 * u[5, 1])
        + 0.4 * abs(u[2, 2])
    )


def weights():
    return np.random.default_rng(2).uniform(-1, 1, problems.PHANTOMS)


def chosen():
    terms = ", ".join(f"{c:g} u_{m}{n}" for (m, n), c in COEFFICIENTS.items())
    return f"Test 1: the sum of {terms}. Test 2: {NONLINEAR}"


def decode(op, truths, trained):
    """Rows of the table, the errors by their keys, and pictures without noise."""
    rows, errors, pictures = [], {}, {}
    rng = np.random.default_rng(3)
    for test, truth in truths.items():
        size = problems.norm(truth, op.image_weights)
        clean = op.forward(truth)
        for noise in NOISES:
            data = clean + noise * clean.std() * rng.standard_normal(clean.shape)
            whole = regularized(op, data, noise)
            for name, learned in trained.items():
                found = {r: learned.reconstruct(data, rank=r) for r in (None, *RANKS)}
                found["solve"] = whole
                nearest = project(op, learned, truth)
                all_of = {
                    key: float(problems.norm(x - truth, op.image_weights) / size)
                    for key, x in (("nearest", nearest), *found.items())
                }
                errors[test, noise, name] = all_of
                rows.append([test, f"{noise:.0%}", name, *all_of.values()])
                pictures.setdefault((test, name), found[None])
    return rows, errors, pictures


def project(op, learned, truth):
    """The nearest image in the span of the training images."""
    inner = (learned.u * op.image_weights * truth).sum(axis=(1, 2))
    return np.tensordot(inner, learned.u, axes=1)


def regularized(op, data, noise):
    """What the operator itself gives, damped by the noise."""
    roots = np.sqrt(op.image_weights), np.sqrt(op.data_weights)
    level = 0.02 + 2 * noise
    found = solve(op.weighted(), data * roots[1], "lsqr", damp=level, rtol=1e-6)
    return found.x / roots[0]


def table(setting, rows):
    text = (
        f"{setting}; errors relative to the truth, for noise as a part of the data's "
        "standard deviation. nearest: the image in the span of the training images "
        "that is nearest to the truth, for which one would have to know it; all: the "
        "decoder with all singular values, then with some; solve: `convinv.solve` "
        "with the operator itself and a damp, nothing learned"
    )
    ranks = ",".join(f"rank {r}" for r in RANKS)
    columns = f"test,noise,trained on,nearest,all,{ranks},solve"
    return Table("Errors of the decoder", text, columns, rows)


def checked(errors, functions, phantoms):
    def found(test, name, noise=0.0):
        return errors[test, noise, name]

    exact = [found("1", functions)[None], found("sum of phantoms", phantoms)[None]]
    second = found("2", functions)
    return [
        Claim(
            "test 1 is exact where the truth is in the span",
            f"{exact[0]:.1e}",
            exact[0] < EXACT,
        ),
        Claim(
            "so are sums of phantoms, though no learned function is a singular one",
            f"{exact[1]:.1e}",
            exact[1] < EXACT,
        ),
        Claim(
            "test 2 is not: no decoder is below the distance of the truth to the span",
            f"{second[None]:.3f}, distance {second['nearest']:.3f}",
            second[None] >= second["nearest"] > 0.01,
        ),
        Claim(
            "phantoms as training images miss test 1",
            f"{found('1', phantoms)[None]:.3f}",
            found("1", phantoms)[None] > 0.1,
        ),
    ]


def drawn(truths, decoded):
    lines = []
    for test, truth in truths.items():
        found = [(f"from {n}", x) for (t, n), x in decoded.items() if t == test]
        lines.append([(f"test {test}" if len(test) == 1 else test, truth), *found])
    return {"decoding": figures.pictures(lines)}
