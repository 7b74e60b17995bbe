"""The same problems by methods that need no restarts."""

from ...support.outcome import Claim, Outcome, Table
from ...support.quiet import quietly
from . import document, gaussian, motion, problems
from .peers import squared_residual

SLACK = 1.0 + 1e-6  # the residual's own rounding
MOST = 20000  # iterations


def run(quick=False):
    if quick:
        return outcome((32, 200, (20, 100)), (48, 40, 200))
    return outcome(
        (document.GAUSSIAN_SIZE, gaussian.STEPS, (20, 50, 200)),
        (document.MOTION_SIZE, motion.CYCLE, motion.CYCLE * motion.CYCLES),
    )


def outcome(blur, shake):
    """Tables for ``(size, steps, restarts)`` and ``(size, restart, steps)``."""
    rows, claims = [], []
    size, steps, restarts = blur
    problem = problems.gaussian(size)
    for restart in restarts:
        result = gaussian.solved(size, steps, restart)
        title = f"Gaussian, restart {restart}"
        squared = ("lsmr",) if restart == restarts[0] else ()  # it takes long
        add(rows, claims, title, problem, result, ("cg", *squared, "auto"))
    size, restart, steps = shake
    result = motion.solved(size, restart, steps)
    title = "motion, normal equations"
    add(rows, claims, title, problems.motion(size), result, ("lsmr", "auto"))
    text = (
        "Until the residual of GMRES is reached; times: GMRES's seconds over the "
        f"method's, set-up included; at most {MOST} iterations"
    )
    columns = (
        "problem,method,GMRES residual^2,GMRES s,residual^2,iterations,s,times,status"
    )
    return Outcome([Table("Without restarts", text, columns, rows)], claims, [], {})


def add(rows, claims, title, problem, gmres, methods):
    """Rows of every method on one problem, and what is claimed of the last."""
    op, b = problem.op, problem.b
    target = squared_residual(op, gmres.x, b)
    for method in methods:
        options = {"rtol": 0, "atol": (SLACK * target) ** 0.5, "maxiter": MOST}
        quietly(op, b, method, **options | {"maxiter": 2})  # compiles
        fresh = op.astype(op.dtype)  # without what an earlier solve kept
        result = quietly(fresh, b, method, **options)
        found = squared_residual(op, result.x, b)
        times = gmres.seconds / result.seconds
        name = method if result.method == method else f"{method}: {result.method}"
        rows.append(
            (title, name, target, gmres.seconds, found, result.nit, result.seconds,
             times, result.status.name)
        )  # fmt: skip
    reached = f"{found:.1e} for {target:.1e}"
    claims += [
        Claim(
            f"{title}: {method} has as small a residual, or one of rounding",
            reached,
            found <= max(SLACK**2 * target, gaussian.rounding(problem)),
        ),
        Claim(
            f"{title}: {method} takes less time",
            f"{times:.3g} times faster",
            times > 1,
            soft=True,
        ),
    ]
