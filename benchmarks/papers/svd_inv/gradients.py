"""Table 1 of the paper, with a reference that is none of its contestants."""

from typing import NamedTuple

import numpy as np

from convinv.lowrank import spectral_vjp, svd_vjp

from ...support.outcome import Claim, Outcome, Table
from . import paper

KEPT = paper.SIZE - 2  # values that thresholds leave
WORKFLOWS = {1: "f(s) = s", 2: "hard threshold", 3: "soft threshold"}
LARGEST = float(np.finfo(np.float32).max)
VARIANTS = {name: (name, {}) for name in ("exact", "standard", "tf", "clip", "taylor")}
VARIANTS |= {"inv": ("inv", {}), "inv: limit 3.4e38": ("inv", {"limit": LARGEST})}
STRADDLE = 1e-12
EXACT = 1e-4  # single precision
STEEP = 1e-2  # the same where values on both sides of a step are close


class Matrices(NamedTuple):
    """``u diag(s) vh`` with s descending, its first thresholded values and a step."""

    u: np.ndarray
    s: np.ndarray
    vh: np.ndarray
    tau: np.ndarray

    def array(self):
        return (self.u * self.s[:, None]) @ self.vh


class Factors(NamedTuple):
    """What a method is given."""

    u: np.ndarray
    s: np.ndarray
    vh: np.ndarray


class Errors(NamedTuple):
    """Of the finite gradients, and how many are not."""

    squared: np.ndarray
    relative: np.ndarray
    lost: int

    def __str__(self):
        if not len(self.squared):
            return "none finite"
        lost = f" ({self.lost} not finite)" if self.lost else ""
        return f"{self.squared.sum():.3g}{lost}"


def run(quick=False):
    return outcome(60 if quick else paper.MATRICES)


def outcome(count):
    rows, errors = [], {}
    for case, scale in paper.SCALES.items():
        data = matrices(count, scale)
        for workflow, name in WORKFLOWS.items():
            reference = gradient(data, data.tau, workflow, "exact")
            for kind, factors in given(data).items():
                found = measured(factors, data.tau, workflow, reference)
                errors[case, workflow, kind] = found
                cells = [str(found[variant]) for variant in VARIANTS]
                rows.append([case, name, kind, *cells])
            printed = paper.TABLE1[case, workflow]
            cells = [printed.get(variant, "-") for variant in VARIANTS]
            rows.append([case, name, "the paper's table", *cells])
    tables = [table(count, rows), worst(errors), small()]
    return Outcome(tables, checked(errors, count), [chosen()], {})


def matrices(count, scale, rng=0, rotated=True):
    """The paper's singular values, with factors of Haar measure unless told otherwise.

    Where its pair would be the eighth and ninth value, between which the threshold is,
    others are drawn.
    """
    rng = np.random.default_rng(rng)
    kept = np.zeros((0, paper.SIZE))
    while len(kept) < count:
        s = abs(rng.standard_normal((count, paper.SIZE)))
        s[:, 1] = s[:, 0] * (1 + paper.GAP)
        s = -np.sort(-s, axis=1)
        apart = s[:, KEPT - 1] - s[:, KEPT] > STRADDLE * s[:, KEPT]
        kept = np.concatenate([kept, s[apart]])
    s = kept[:count] * scale
    factors = [np.broadcast_to(np.eye(paper.SIZE), (count, *2 * (paper.SIZE,)))] * 2
    if rotated:
        factors = [orthogonal(count, rng) for _ in range(2)]
    return Matrices(factors[0], s, factors[1], s[:, KEPT - 1 : KEPT + 1].mean(axis=1))


def orthogonal(count, rng):
    q, r = np.linalg.qr(rng.standard_normal((count, paper.SIZE, paper.SIZE)))
    return q * np.sign(r.diagonal(axis1=1, axis2=2))[:, None]


def given(data):
    """Factors by LAPACK from the matrix, and the true ones: rounded, the pair equal."""
    a = data.array()
    single = Factors(*(x.astype(np.float32) for x in (data.u, data.s, data.vh)))
    return {
        "LAPACK, float32": Factors(*np.linalg.svd(a.astype(np.float32))),
        "true, float32": single,
        "LAPACK, float64": Factors(*np.linalg.svd(a)),
    }


def mapped(s, tau, workflow):
    """``f(s)`` and ``f'(s)``."""
    if workflow == 1:
        return s, np.ones_like(s)
    if workflow == 2:
        top = np.zeros_like(s)
        top[:, :KEPT] = 1
        return s * top, top
    above = s > tau[:, None]
    return np.where(above, s - tau[:, None], 0), above.astype(s.dtype)


def gradient(factors, tau, workflow, variant, **options):
    """That of the L1 norm of ``u diag(f(s)) vh``, from the factors."""
    u, s, vh = factors[:3]
    f, slopes = mapped(s, tau.astype(s.dtype), workflow)
    g = np.sign((u * f[:, None]) @ vh)
    if variant == "exact" and workflow == 2:
        return hard_threshold_vjp(u, s, vh, g)
    if variant == "exact":
        return spectral_vjp(u, s, vh, g, f, slopes)
    uh, v = u.swapaxes(1, 2), vh.swapaxes(1, 2)
    gu, gvh = (g @ v) * f[:, None], f[:, :, None] * (uh @ g)
    gs = slopes * (uh @ g @ v).diagonal(axis1=1, axis2=2)
    return svd_vjp(u, s, vh, gu, gs, gvh, **({"variant": variant} | options))


def hard_threshold_vjp(u, s, vh, g):
    """With the quotients of a step, which `spectral_vjp` has no way to know of.

    It takes values that are close to belong to one smooth piece of f.
    """
    top = np.arange(paper.SIZE) < KEPT
    across = top[:, None] != top[None, :]
    one, other = s[:, :, None], s[:, None, :]
    larger = np.maximum(one, other)
    both = (top[:, None] & top[None, :]).astype(s.dtype)
    d1 = np.where(across, larger / np.where(across, abs(one - other), 1), both)
    d2 = np.where(across, larger / (one + other), both)
    inner = u.swapaxes(1, 2) @ g @ vh.swapaxes(1, 2)
    mirrored = inner.swapaxes(1, 2)
    return u @ (d1 * (inner + mirrored) / 2 + d2 * (inner - mirrored) / 2) @ vh


def measured(factors, tau, workflow, reference):
    """By variant: the errors of the finite gradients, squared and relative."""
    found = {}
    for name, (variant, options) in VARIANTS.items():
        with np.errstate(all="ignore"):
            g = gradient(factors, tau, workflow, variant, **options).astype(float)
        finite = np.isfinite(g).all(axis=(1, 2))
        apart = (g - reference)[finite]
        size = np.linalg.norm(reference[finite], axis=(1, 2))
        squared = (apart**2).mean(axis=(1, 2))
        relative = np.linalg.norm(apart, axis=(1, 2)) / size
        found[name] = Errors(squared, relative, len(g) - len(size))
    return found


def table(count, rows):
    text = (
        f"Squared errors of the gradients of {count} matrices, the mean over the "
        "entries, summed over the matrices, as in the paper; matrices without a finite "
        "gradient are left out and counted. LAPACK: the factors are computed from the "
        "matrix in that precision; true: they are those that the matrix was made of, "
        "rounded, so that the pair is exactly equal. Reference: divided differences in "
        "float64 with the true factors. clip has 1e30 for what is infinite, inv takes "
        "more than 1e30 for infinite, unless the column says otherwise"
    )
    columns = ",".join(["case", "workflow", "factors", *VARIANTS])
    return Table("Table 1", text, columns, rows)


def worst(errors):
    rows = []
    for (case, workflow, kind), found in errors.items():
        if "float64" in kind:
            continue
        row = [case, WORKFLOWS[workflow], kind]
        for variant in VARIANTS:
            relative = found[variant].relative
            pair = (np.median(relative), relative.max()) if len(relative) else ()
            row.append(" / ".join(f"{x:.1e}" for x in pair) or "-")
        rows.append(row)
    text = "The same in float32: median / largest relative error of finite gradients"
    columns = ",".join(["case", "workflow", "factors", *VARIANTS])
    return Table("Relative errors", text, columns, rows)


PAIR = np.array([[2.0, 4.0], [-4.0, 2.0]])
MOVED = np.array([[2.0001, 4.0], [-4.0, 2.0]])


def small():
    """The test matrix of the authors' code: its gradient, and that of a neighbor."""
    rows = []
    for name in ("exact", "standard", "tf", "clip", "taylor", "inv"):
        row = [name]
        for matrix in (PAIR, MOVED):
            g = shifted_gradient(matrix, name)
            row.append(" / ".join(f"{x:.4f}" for x in g.ravel()))
        rows.append(row)
    text = (
        "f(s) = s + 0.1 and the sum of the entries, for the matrix (2 4 / -4 2) with a "
        "double value, and with 2.0001 for its first entry: entries of the gradient"
    )
    return Table("Two neighbors", text, "variant,double value,neighbor", rows)


def shifted_gradient(matrix, variant):
    u, s, vh = np.linalg.svd(matrix)
    f, g = s + 0.1, np.ones((2, 2))
    if variant == "exact":
        return spectral_vjp(u, s, vh, g, f, np.ones(2))
    gu, gvh = g @ vh.T * f, f[:, None] * (u.T @ g)
    gs = (u.T @ g @ vh.T).diagonal()
    return svd_vjp(u, s, vh, gu, gs, gvh, variant=variant)


def as_described(count):
    """The largest error of any variant with ``U0 = V0 = I``, as the text has it."""
    found = 0.0
    for scale in paper.SCALES.values():
        data = matrices(count, scale, rotated=False)
        for workflow in WORKFLOWS:
            reference = gradient(data, data.tau, workflow, "exact")
            factors = Factors(*np.linalg.svd(data.array()))
            for variant in ("tf", "clip", "taylor", "inv"):
                with np.errstate(all="ignore"):
                    g = gradient(factors, data.tau, workflow, variant)
                found = max(found, float(abs(g - reference).max()))
    return found


def checked(errors, count):
    exact = [found["exact"] for found in errors.values()]
    lost = sum(found.lost for found in exact)
    flat, steep = (
        max(e["exact"].relative.max() for key, e in errors.items() if key[1] in some)
        for some in ((1, 3), (2,))
    )
    wrong = min(
        found[variant].squared.sum()
        for found in errors.values()
        for variant in ("tf", "clip", "taylor")
    )
    soft = [found for (_, workflow, _), found in errors.items() if workflow == 3]
    mine = max(found["exact"].squared.sum() for found in soft)
    others = [v for v in VARIANTS if v not in ("exact", "standard")]
    best = min(found[variant].squared.sum() for found in soft for variant in others)
    double = errors[1, 1, "LAPACK, float64"]["standard"]
    described = as_described(min(count, 100))
    return [
        Claim(
            f"divided differences are finite, and right to {EXACT:g}; for the hard "
            f"threshold, whose derivative has no bound, to {STEEP:g}",
            f"{lost} not finite, largest relative errors {flat:.1e} and {steep:.1e}",
            bool(lost == 0 and flat < EXACT and steep < STEEP),
        ),
        Claim(
            "no other variant comes near them for the soft threshold",
            f"sums of squares {mine:.1e} at most, and {best:.2g} at least",
            bool(mine < 1e-6 * best),
        ),
        Claim(
            "tf, clip and taylor are wrong in every row",
            f"sums of squares of at least {wrong:.2g}",
            bool(wrong > 1e-4 * count),
        ),
        Claim(
            "the paper's reference, plain gradients in float64, is none",
            f"{double.lost} not finite, largest error of the others "
            f"{double.relative.max():.2g}",
            bool(double.relative.max() > 0.1),
        ),
        Claim(
            "as the text has it, with U0 = V0 = I, all variants are right",
            f"largest error {described:.1e}",
            described < 1e-6,
        ),
    ]


def chosen():
    return (
        f"{paper.SIZE} values |N(0, 1)| times 1e-10 (case 1) or 1e-18 (case 2), of "
        f"which two differ by 1e-15, relative; U0 and V0 are random orthogonal "
        f"matrices. Thresholds are half way between value {KEPT} and {KEPT + 1}; "
        "matrices whose pair is these two are drawn again"
    )
