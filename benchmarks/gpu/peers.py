"""CuPy's own solvers on the same operator, for as many iterations."""

import inspect

from ..support.layers import DTYPES
from ..support.outcome import Outcome, Table
from ..support.problems import problem
from ..support.quality import largest_error
from ..support.quiet import quietly
from .timing import milliseconds, timed

PROBLEMS = {"lsmr": "layer", "cg": "blur", "gmres": "blur"}
COLUMNS = (
    "method,dtype,convinv least ms,convinv median ms,CuPy least ms,CuPy median ms,"
    "CuPy / convinv,differ"
)


def library():
    """Where the peers come from."""
    from cupyx.scipy.sparse import linalg

    return linalg


def run(session, part):
    rows = []
    size, steps = session.settings.peers
    for method in PROBLEMS:
        for dtype in DTYPES:
            title = f"{method}, {dtype}"
            if part.late(title):
                continue
            with part.case(title):
                rows.append(compared(session, method, dtype))
    text = (
        f"{size}x{size} pixels, one image, {steps} iterations (one cycle, for gmres); "
        "lsmr for the layer 3->8, cg and gmres for the blur; cupyx.scipy.sparse.linalg "
        "takes our operator as a LinearOperator. convinv also checks its answer"
    )
    return Outcome([Table("CuPy's solvers", text, COLUMNS, rows)], [], [], {})


def compared(session, method, dtype):
    """A row of times, and how far the iterates are apart."""
    size, steps = session.settings.peers
    op, _, b = problem(PROBLEMS[method], size, dtype, session.xp)
    flat, linalg = b.reshape(-1), library()
    theirs = linalg.LinearOperator(
        op.shape, matvec=op.matvec, rmatvec=op.rmatvec, dtype=op.dtype
    )
    own = {"restart": steps} if method == "gmres" else {}
    function = getattr(linalg, method)
    options = {**arguments(function, method), **own, "maxiter": steps}
    calls = {
        "convinv": lambda: quietly(op, flat, method, rtol=0, maxiter=steps, **own).x,
        "CuPy": lambda: function(theirs, flat, **options)[0],
    }
    found = {name: call() for name, call in calls.items()}
    differ = largest_error(found["convinv"], found["CuPy"])
    times = timed(session, calls)
    ratio = times["CuPy"].over(times["convinv"])
    return (method, dtype, *milliseconds(times["convinv"]),
            *milliseconds(times["CuPy"]), ratio[1], differ)  # fmt: skip


def arguments(function, method):
    """Tolerances of zero, which CuPy 14 calls as SciPy does and 13 does not."""
    if method == "lsmr":
        return {"atol": 0, "btol": 0, "conlim": 0}
    names = inspect.signature(function).parameters
    return {"rtol" if "rtol" in names else "tol": 0.0, "atol": 0.0}
