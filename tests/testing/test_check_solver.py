"""check_solver: what is wrong is found, by the check that it concerns."""

import numpy as np
import pytest
from scipy.sparse import linalg as sla

from convinv import solve
from convinv.testing import check_solver


def exact(op, b, x0=None, rtol=1e-6, maxiter=None, callback=None):
    """By a dense pseudoinverse."""
    A = op.todense()
    wide = A.astype(np.result_type(A, float))
    scale = np.abs(wide).max()
    x = (np.linalg.pinv(wide / scale) @ (b / scale)).astype(np.result_type(A, b))
    if callback is not None:
        callback(x)
    if x0 is not None:
        x = x + (x0 - np.linalg.pinv(wide) @ (wide @ x0)).astype(x.dtype)
    return x


def failed(function, **options):
    return [f.check for f in check_solver(function, **options).failures]


def changed(change, where=lambda b, given: True):
    """`exact` with another answer for some calls."""

    def solver(op, b, x0=None, rtol=1e-6, maxiter=None, callback=None):
        given = {"x0": x0, "maxiter": maxiter, "callback": callback}
        x = exact(op, b, **given)
        return change(op, b, x, given) if where(b, given) else x

    return solver


def test_nothing_wrong():
    report = check_solver(exact)
    assert report.passed and len(report.results) == 13, report
    assert not any(f.result == "skipped" for f in report.results)


class TestFaults:
    def test_answers(self):
        found = failed(changed(lambda op, b, x, given: 1.001 * x))
        assert {"residual", "complex", "exact x0"} <= set(found)

    def test_claims(self):
        lies = changed(lambda op, b, x, given: (x, 1))
        assert "residual" in failed(lies) and "zero b" in failed(lies)
        one = changed(lambda op, b, x, given: (0.5 * x, 0),
                      lambda b, given: given["maxiter"] == 1)  # fmt: skip
        assert failed(one) == ["maxiter=1"]

        class Result:
            success = False

            def __init__(self, x):
                self.x = x

        assert "residual" in failed(lambda op, b: Result(exact(op, b)))
        assert "residual" in failed(lambda op, b: (exact(op, b), {"converged": False}))

    def test_zero(self):
        nan = changed(lambda op, b, x, given: x + np.nan, lambda b, given: not b.any())
        assert failed(nan) == ["zero b"]

    def test_starts(self):
        far = changed(lambda op, b, x, given: x + 1e-7,
                      lambda b, given: given["x0"] is not None)  # fmt: skip
        assert failed(far) == ["exact x0"]

    def test_writing_into_b(self):
        def solver(op, b):
            x = exact(op, b)
            b *= 2
            return x

        assert "input unchanged" in failed(solver)

        def keeps(op, b, x0=None):
            x = exact(op, b, x0)
            if x0 is None:
                return x
            x0[...] = x
            return x0

        assert failed(keeps) == ["input unchanged"]

    def test_dtypes(self):
        wide = lambda op, b: exact(op, b).astype(np.result_type(b, float))  # noqa: E731
        assert failed(wide) == ["dtype"]

    def test_chance(self):
        rng = np.random.default_rng(0)
        by_chance = changed(
            lambda op, b, x, given: x * (1 + 1e-3 * rng.standard_normal())
        )
        assert "determinism" in failed(by_chance, checks=["determinism"])

    def test_least_squares(self):
        def solver(op, b):
            A = op.todense()
            n = A.shape[1]
            return np.linalg.solve(A[:n], b[:n])

        assert "inconsistent" in failed(solver)
        honest = lambda op, b: (solver(op, b), True)  # noqa: E731
        assert "inconsistent" in failed(honest)

    def test_scale(self):
        def solver(op, b):
            A = op.todense()
            gram = A.conj().T @ A + 1e-150 * np.eye(A.shape[1], dtype=A.dtype)
            return np.linalg.lstsq(gram, A.conj().T @ b)[0]

        assert "scale of op" in failed(solver)

    def test_callbacks(self):
        silent = changed(lambda op, b, x, given: exact(op, b))
        assert "callback" not in failed(silent)
        never = lambda op, b, callback=None: exact(op, b)  # noqa: E731
        assert failed(never) == ["callback"]


class TestSolvers:
    def test_keywords_that_it_does_not_take(self):
        report = check_solver(lambda op, b: exact(op, b))
        skipped = {f.check for f in report.results if f.result == "skipped"}
        assert skipped == {"exact x0", "maxiter=1", "callback"} and report.passed

    def test_of_scipy(self):
        def cg(op, b, **options):
            return sla.cg(op, b, **options)

        checks = ["residual", "complex", "zero b", "exact x0", "dtype", "callback"]
        report = check_solver(cg, needs="definite", checks=checks)
        assert report.passed and report.subject == "cg"
        assert not check_solver(cg, needs="square", rtol=1e-12).passed

    @pytest.mark.parametrize("method", ["cgls", "lsmr", "auto"])
    def test_of_the_package(self, method):
        def solver(op, b, **options):
            return solve(op, b, method, on_failure="ignore", **options)

        check_solver(solver).raise_on_failure()

    def test_arguments_that_make_no_sense(self):
        with pytest.raises(ValueError, match="needs must be 'any', 'square'"):
            check_solver(exact, needs="everything")
        with pytest.raises(ValueError, match="checks must be names"):
            check_solver(exact, checks=["speed"])
