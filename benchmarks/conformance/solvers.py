"""Solvers of SciPy, and the package's own beside them, as `check_solver` takes them."""

from __future__ import annotations

from scipy.sparse import linalg

from convinv import solve

RTOL = 1e-6
RIGHT = (0, 1, 2)  # reasons to stop of lsqr and lsmr that mean a solution


def least_squares(function, **names):
    """lsqr or lsmr, with their words for a tolerance and a limit."""

    def solver(op, b, x0=None, maxiter=None, rtol=RTOL):
        limit = {names["limit"]: maxiter}
        x, stopped, *_ = function(op, b, atol=rtol, btol=rtol, x0=x0, **limit)
        return x, stopped in RIGHT

    return solver


def krylov(function, **fixed):
    """A method for square systems, which all have one form."""

    def solver(op, b, x0=None, maxiter=None, rtol=RTOL, callback=None):
        given = {"x0": x0, "maxiter": maxiter, "callback": callback, **fixed}
        return function(op, b, rtol=rtol, **given)

    return solver


def own(method):
    """A method of `convinv.solve`."""

    def solver(op, b, **options):
        return solve(op, b, method, on_failure="ignore", **options)

    return solver


def solvers():
    """``(name, solver, what it needs)``."""
    yield "lsqr", least_squares(linalg.lsqr, limit="iter_lim"), "any"
    yield "lsmr", least_squares(linalg.lsmr, limit="maxiter"), "any"
    for name in ("cg", "minres"):
        yield name, krylov(getattr(linalg, name)), "definite"
    for name in ("bicgstab", "tfqmr"):
        yield name, krylov(getattr(linalg, name)), "square"
    yield "gmres", krylov(linalg.gmres, callback_type="pr_norm"), "square"
    for method in ("auto", "cgls", "lsmr"):
        yield f"convinv, {method}", own(method), "any"
