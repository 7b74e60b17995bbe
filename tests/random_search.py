"""A search for wrong successes and exceptions among small random problems.

``python tests/random_search.py --count 20000 --seed 0`` prints what it tried and every
problem for which `solve` claimed a success that a dense singular value decomposition
does not confirm, or raised. Each problem has a number of its own: ``--only N`` repeats
one. The test suite runs the first few hundred.
"""

import argparse
import collections
import time
import traceback
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from convinv import ConvLinearOperator, methods, solve
from support.arrays import BOUNDARIES, DTYPES, normal

LEAST_SQUARES = [m for m in methods() if m.objective == "least-squares"]
FORMS = ("layer", "adjoint", "dense", "csr", "operator", "duck", "matrix operator")
# Of the largest singular value, what counts as zero.
ZERO = 1e-13
SLACK = 100  # an error may be so many times rtol cond(A)


@dataclass
class Trial:
    """A problem, what `solve` is called with, and its matrix."""

    number: int
    form: str
    op: Any
    A: np.ndarray
    b: np.ndarray
    options: dict = field(default_factory=dict)

    def __str__(self):
        m, n = self.A.shape
        return f"{self.number}: {self.form} {m} x {n} {self.A.dtype} {self.options}"


class Duck:
    """An object with no more than products."""

    def __init__(self, A):
        self.A, self.shape, self.dtype = A, A.shape, A.dtype

    def matvec(self, x):
        return self.A @ x

    def rmatvec(self, y):
        return self.A.conj().T @ y


def _kernel(rng, shape, dtype):
    """Random, or one of those that are singular at a frequency."""
    kind = rng.integers(6)
    kernel = normal(rng, shape, dtype)
    if kind == 0:  # a blur
        kernel = np.ones(shape, dtype)
    elif kind == 1 and shape[-1] > 1:  # a difference along the last axis
        kernel = np.zeros(shape, dtype)
        kernel[..., 0], kernel[..., -1] = 1, -1
    elif kind == 2 and shape[0] > 1:  # two filters alike, or a dead one
        kernel[1] = kernel[0] * rng.integers(2)
    elif kind == 3:  # a Laplacian, as far as it has taps
        kernel = -np.ones(shape, dtype)
        middle = tuple(k // 2 for k in shape[2:])
        kernel[(..., *middle)] = np.prod(shape[2:]) - 1
    return kernel


def layer(rng, dtype):
    """A layer of up to some hundred unknowns; None where its sizes do not fit."""
    ndim = rng.integers(1, 4)
    longest = {1: 40, 2: 9, 3: 5}[int(ndim)]
    size = rng.integers(1, longest + 1, ndim)
    taps = np.minimum(rng.integers(1, 5, ndim), longest)
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    c_in, c_out = groups * rng.integers(1, 4), groups * rng.integers(1, 4)
    options = {
        "stride": tuple(map(int, rng.choice([1, 1, 1, 2], ndim))),
        "dilation": tuple(map(int, rng.choice([1, 1, 1, 2, 3], ndim))),
        "padding": [(int(a), int(b)) for a, b in rng.integers(0, 3, (ndim, 2))],
        "boundary": str(rng.choice(BOUNDARIES)),
        "groups": groups,
        "flip": bool(rng.integers(2)),
    }
    kernel = _kernel(rng, (c_out, c_in // groups, *taps), dtype)
    scale = _scale(rng, dtype)
    try:
        return ConvLinearOperator(
            (kernel * scale).astype(dtype), (int(c_in), *map(int, size)), **options
        )
    except ValueError:
        return None


def _scale(rng, dtype):
    most = 12 if np.finfo(dtype).eps > 1e-10 else 30
    return 10.0 ** int(rng.choice([0, 0, 0, -1, 1, -most // 2, most // 2, -most, most]))


def matrix(rng, dtype):
    """A dense matrix of some size, shape, rank and condition."""
    m, n = (int(k) for k in rng.integers(1, 25, 2))
    kind = rng.integers(5)
    if kind < 2:
        n = m
    A = normal(rng, (m, n), dtype)
    if kind == 0:
        A = A @ A.conj().T / m + np.eye(m) * float(rng.choice([0.0, 1.0, 1e-4]))
    elif kind == 2 and min(m, n) > 1:
        rank = int(rng.integers(1, min(m, n)))
        A = normal(rng, (m, rank), dtype) @ normal(rng, (rank, n), dtype)
    elif kind == 3:
        A = A * np.geomspace(1, 10.0 ** -rng.integers(0, 7), n)
    return (A * _scale(rng, dtype)).astype(dtype)


def trial(number, seed=0) -> Trial | None:
    """The problem of a number, None where its sizes do not fit."""
    rng = np.random.default_rng((seed, number))
    dtype, form = str(rng.choice(DTYPES)), str(rng.choice(FORMS))
    if form in ("layer", "adjoint"):
        op = layer(rng, dtype)
        if op is None or np.prod(op.shape) > 40_000:
            return None
        op = op.H if form == "adjoint" else op
        wide = np.result_type(dtype, np.float64)
        A = op.matmat(np.eye(op.shape[1], dtype=wide)).reshape(op.shape)
        if 0 < np.linalg.norm(A) <= ZERO * np.linalg.norm(op.layer.kernel):
            return None  # all taps meet one sample and cancel: it is rounding
    else:
        A = matrix(rng, dtype)
        op = _in_form(form, A)
        A = A.astype(np.result_type(dtype, np.float64))
    options = _options(rng, A, form)
    b = _data(rng, A, dtype)
    if form in ("layer", "adjoint") and b.ndim == 2:
        b = b.reshape(-1, *op.output_shape)
    if rng.integers(4) == 0:
        options["x0"] = normal(rng, (A.shape[1],), dtype)
    return Trial(number, form, op, A, b, options)


def _in_form(form, A):
    if form == "csr":
        return sparse.csr_array(A)
    if form == "operator":
        adjoint = A.conj().T
        return LinearOperator(
            A.shape,
            matvec=lambda x: A @ x,
            rmatvec=lambda y: adjoint @ y,
            dtype=A.dtype,
        )
    if form == "matrix operator":
        return aslinearoperator(A)
    return Duck(A) if form == "duck" else A


def _data(rng, A, dtype):
    """One b or a batch of them, in the range of A or not."""
    count = int(rng.choice([1, 1, 1, 3]))
    x = normal(rng, (count, A.shape[1]), A.dtype)
    b = x @ A.T
    if rng.integers(2):
        size = np.linalg.norm(b) / np.sqrt(b.size)
        noise = float(rng.choice([1e-3, 0.1, 1.0]))
        b = b + noise * (size or 1.0) * normal(rng, b.shape, A.dtype)
    b = (b * _scale(rng, dtype)).astype(dtype)
    if not np.isfinite(b).all():
        b = normal(rng, b.shape, dtype)
    return b[0] if count == 1 else b


def _options(rng, A, form):
    """A method that takes the operator, its tolerance and perhaps a damp."""
    m, n = A.shape
    suited = ["auto"] * 4
    for entry in LEAST_SQUARES:
        layer_only = entry.convolution_only and (form != "layer")
        rows = entry.needs_rows and form in ("operator", "duck", "adjoint")
        hermitian = entry.hermitian and (m != n or not np.allclose(A, A.conj().T))
        square = entry.square and m != n
        if not (layer_only or rows or hermitian or square):
            suited.append(entry.name)
    method = str(rng.choice(suited))
    options = {"method": method, "rtol": float(rng.choice([1e-3, 1e-6, 1e-6, 1e-9]))}
    options["maxiter"] = int(rng.choice([20, 500]))
    takes_damp = method == "auto" or {e.name: e for e in LEAST_SQUARES}[method].damp
    if takes_damp and rng.integers(3) == 0:
        options["damp"] = float(rng.choice([1e-3, 0.1, 1.0]) * np.linalg.norm(A, 2))
    return options


def expected(A, b, damp, x0):
    """The minimizer nearest to x0 and the condition number of the problem.

    With data outside the range that is one of least squares, with the square of the
    condition number of A (Bjorck, Numerical Methods for Least Squares Problems, 1996,
    section 1.4).
    """
    u, s, vh = np.linalg.svd(A, full_matrices=False)
    kept = s > ZERO * s.max(initial=0.0) if s.max(initial=0.0) > 0 else s > 0
    start = 0 if x0 is None or damp else x0 - vh[kept].conj().T @ (vh[kept] @ x0)
    if not kept.any():
        return start + np.zeros(A.shape[1]), 1.0
    u, s, vh = u[:, kept], s[kept], vh[kept]
    unit = s[0]  # in which nothing over- or underflows
    gain = (s / unit) / ((s / unit) ** 2 + (damp / unit) ** 2) / unit
    x = vh.conj().T @ (gain * (u.conj().T @ b))
    whole = len(s) == A.shape[1]  # else damping alone holds a part of x
    least = np.hypot(s[-1] if whole or not damp else 0.0, damp)
    x, largest = x + start, np.hypot(s[0], damp)
    condition, residual = largest / least, np.linalg.norm(b - A @ x)
    if damp:
        residual = np.hypot(residual, damp * np.linalg.norm(x))
    size = largest * np.linalg.norm(x)
    if residual > 1e-12 * np.linalg.norm(b) and size > 0:
        condition = condition * (1 + condition * residual / size)
    return x, float(condition)


def _seen(A):
    """The directions that A does not take to zero."""
    _, s, vh = np.linalg.svd(A, full_matrices=False)
    return vh[s > ZERO * s.max(initial=0.0)]


def judge(t: Trial, x, good) -> str | None:
    """What is wrong with an answer, None for nothing."""
    damp, rtol = t.options.get("damp", 0.0), t.options["rtol"]
    single = np.finfo(t.b.dtype).eps
    wide = np.result_type(t.A.dtype, np.float64)
    rows = t.b.astype(wide).reshape(-1, t.A.shape[0])
    x = x.reshape(-1, t.A.shape[1])
    method = t.options["method"]
    least_norm = {e.name: e.minimum_norm for e in LEAST_SQUARES}.get(method, True)
    for item, (b, y, ok) in enumerate(zip(rows, x, np.atleast_1d(good))):
        if not ok or not b.any():  # b = 0 gives x = 0 whatever x0 is
            continue
        x0 = t.options.get("x0")
        right, condition = expected(t.A, b, damp, None if x0 is None else x0)
        if not np.isfinite(y).all():
            return f"item {item}: x is not finite"
        error = y.astype(wide) - right
        if not least_norm or (method == "auto" and not hasattr(t.op, "rmatvec")):
            error = _seen(t.A) @ error
        size = max(np.linalg.norm(right), 0 if x0 is None else np.linalg.norm(x0))
        norm = np.linalg.norm(t.A, 2)
        if norm:  # b may be orthogonal to the range but for rounding
            size = max(size, single * np.linalg.norm(b) / norm)
        allowed = SLACK * (rtol * condition + single)
        if np.linalg.norm(error) > allowed * max(size, np.finfo(t.b.dtype).tiny):
            return (
                f"item {item}: error {np.linalg.norm(error) / max(size, 1e-300):.2g}, "
                f"allowed {allowed:.2g} with condition {condition:.2g}"
            )
    return None


def run(t: Trial):
    """``(kind, words)``: success, none, wrong, refused or raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = solve(t.op, t.b, columns=False, **t.options)
        except (ValueError, TypeError, MemoryError) as error:
            internal = type(error).__module__ not in ("builtins",)
            if str(error).startswith("method "):  # it does not take the layer
                return "unsuitable", ""
            return ("raised" if internal else "refused"), f"{error!r}"
        except Exception:
            return "raised", traceback.format_exc(limit=-3)
    good = result.extra.get("success", result.success)
    fault = judge(t, result.x, good)
    if fault:
        return "wrong", f"{fault}\n{result}"
    return ("success" if result.success else "none"), ""


def search(numbers, seed=0, show=print):
    """Run problems and count what came of them."""
    counts: collections.Counter = collections.Counter()
    for number in numbers:
        t = trial(number, seed)
        if t is None:
            counts["no problem"] += 1
            continue
        start = time.perf_counter()
        kind, words = run(t)
        seconds = time.perf_counter() - start
        counts[kind] += 1
        if kind in ("wrong", "raised", "refused"):
            show(f"{kind} {t}\n    {words}")
        if seconds > 20:
            show(f"slow ({seconds:.0f} s) {t}")
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    numbers = range(options.first, options.first + options.count)
    if options.only is not None:
        numbers = [options.only]
    start = time.perf_counter()
    counts = search(numbers, options.seed)
    print(f"{sum(counts.values())} problems: {dict(counts)}")
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
