"""A sparse matrix and one that is next to singular."""

import numpy as np
from scipy.sparse import linalg

from ...support.measure import clock
from ...support.outcome import Claim, Outcome, Table
from ...support.quiet import quietly
from . import document, problems
from .peers import squared_residual, textbook_cycle

STEPS = 50
RTOL = 1e-8
SLACK = 1.0 + 1e-6  # the residual's own rounding
REPEATED = ("inv(A) x", "scipy gmres", "textbook gmres")  # not of rounding only


def run(quick=False):
    return outcome(400 if quick else document.SPARSE_SIZE)


def outcome(size):
    sparse, found = sparse_table(size)
    singular, others = singular_table()
    return Outcome([sparse, singular], found + others, [], {})


def sparse_table(size):
    A, b = problems.sparse(size)
    dense, zero = A.toarray(), np.zeros(size)
    quietly(A, b, "gmres", restart=2, maxiter=2)
    exact = np.linalg.lstsq(dense, b, rcond=None)[0]
    reached = squared_residual(A, linalg.gmres(A, b, rtol=RTOL, atol=0)[0], b)
    cycle = {"restart": STEPS, "maxiter": STEPS, "rtol": 0}
    target = {"rtol": 0, "atol": reached**0.5}
    calls = {
        "lstsq": lambda: np.linalg.lstsq(dense, b, rcond=None)[0],
        "inv(A) x": lambda: np.linalg.inv(dense) @ exact,
        "inv(A) b": lambda: np.linalg.inv(dense) @ b,
        "scipy gmres": lambda: linalg.gmres(A, b, rtol=RTOL, atol=0)[0],
        "textbook gmres": lambda: textbook_cycle(lambda v: A @ v, b, zero, STEPS),
        "gmres": lambda: quietly(A, b, "gmres", **cycle).x,
        "lsmr": lambda: quietly(A, b, "lsmr", **target).x,
        "auto": lambda: quietly(A, b, "auto", **target).x,
    }
    published = document.SPARSE if size == document.SPARSE_SIZE else {}
    rows, found = measured(A, b, calls, published)
    text = (
        f"{size} unknowns: the identity and {size} random numbers; scipy to "
        f"{RTOL:g}, lsmr and auto to what scipy has, the other gmres {STEPS} steps; "
        "inv(A) x: the document's mistake, the inverse applied to the solution"
    )
    return Table("A sparse matrix", text, COLUMNS, rows), [
        *(
            below(f"sparse: {name} at most the residual of scipy's", found, name,
                  SLACK * reached)
            for name in ("gmres", "lsmr", "auto")
        ),
        below("sparse: inv(A) b has a residual of rounding", found, "inv(A) b", 1e-15),
        *(repeated(name, found, published) for name in REPEATED if published),
    ]  # fmt: skip


def repeated(name, found, published):
    """The document's seed gives the document's figure."""
    value, theirs = found[name], published[name][0]
    text = f"sparse: {name} repeats the document's {theirs:.4e}"
    return Claim(text, f"{value:.4e}", abs(value / theirs - 1) < 1e-2)


def singular_table():
    A, b = problems.near_singular()
    n = len(b)
    calls = {
        "inv(A) b": lambda: np.linalg.inv(A) @ b,
        "lstsq": lambda: np.linalg.lstsq(A, b, rcond=None)[0],
        "gmres": lambda: quietly(A, b, "gmres", rtol=0, maxiter=n).x,
        "gmres, normal=True": lambda: quietly(
            A, b, "gmres", normal=True, rtol=0, maxiter=10 * n
        ).x,
        "lsmr": lambda: quietly(A, b, "lsmr", rtol=0, maxiter=100 * n).x,
        "auto": lambda: quietly(A, b, "auto", rtol=0, maxiter=100 * n).x,
    }
    rows, found = measured(A, b, calls, document.SINGULAR)
    condition = np.linalg.cond(A)
    text = (
        f"{n} unknowns; the condition number is {condition:.2e}, in the document "
        f"{document.SINGULAR_CONDITION:.2e}; the least residual is the noise in the "
        f"row that the matrix all but lacks, {b[0] ** 2:.4e}"
    )
    table = Table("A matrix next to singular", text, COLUMNS, rows)
    least = found["lstsq"]
    return table, [
        Claim(
            "singular: the inverse misses the data",
            f"{found['inv(A) b']:.3g}",
            found["inv(A) b"] > 1,
        ),
        below("singular: lsmr at most 1.01 times lstsq", found, "lsmr", 1.01 * least),
        below("singular: auto at most 1.01 times lstsq", found, "auto", 1.01 * least),
    ]


COLUMNS = "method,document residual^2,document ms,residual^2,ms"


def measured(A, b, calls, published):
    """Rows of a table, and the squared residuals by method."""
    rows, found = [], {}
    for name, call in calls.items():
        seconds, x = clock(call)
        found[name] = squared_residual(A, x, b)
        theirs = published.get(name, (None, None))
        rows.append((name, *theirs, found[name], 1e3 * seconds))
    return rows, found


def below(text, found, name, limit):
    return Claim(text, f"{found[name]:.2e} for {limit:.2e}", found[name] <= limit)
