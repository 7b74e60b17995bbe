"""Solves in slices give what a solve of the whole batch gives."""

import warnings

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

import convinv
from convinv import ConvergenceWarning, Status, solve
from support.memory_cases import data, layer
from support.quiet import quietly

AUTOMATIC = {"auto": (1e-6, False)}


def check_equal(one, other, rtol=1e-9, same_way=True):
    """Two results that a caller can't tell from each other, but by the way there."""
    assert type(one.x) is type(other.x) and one.x.dtype == other.x.dtype
    assert one.x.shape == other.x.shape
    np.testing.assert_allclose(other.x, one.x, rtol=rtol, atol=rtol * abs(one.x).max())
    assert one.success == other.success and one.status == other.status
    if not same_way:
        return
    for name in ("message", "nit", "method"):
        assert getattr(one, name) == getattr(other, name), name
    for name in ("residual_norm", "normal_residual_norm", "history"):
        a, b = (getattr(result, name) for result in (one, other))
        assert a.shape == b.shape
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-9)  # b is about 100
    extra, others = (
        {k: v for k, v in result.extra.items() if k not in ("slices", "plan")}
        for result in (one, other)
    )
    assert set(extra) == set(others)
    assert extra["status"] == others["status"]
    for name in ("success", "nit"):
        np.testing.assert_array_equal(extra[name], others[name])


VARIANTS = {
    "cgls": {},
    "lsmr": {},
    "auto": {},
    "strip": {},
    "gmres": {"normal": True, "maxiter": 20},
    "kaczmarz": {"maxiter": 40},
    "direct": {},
}


class TestSlices:
    @pytest.mark.parametrize("method", VARIANTS)
    @pytest.mark.parametrize("damp", [0.0, 0.5])
    @pytest.mark.parametrize("dtype", ["float64", "complex128"])
    def test_equal_the_whole(self, sliced, method, damp, dtype):
        op = layer((6, 2, 3, 3), 7, dtype)
        b = data(op, 7, noise=0.0)
        arguments = {"damp": damp, "rtol": 1e-8, **VARIANTS[method]}
        whole = quietly(op, b, method, **arguments)
        for size, count in ((3, 3), (1, 7), (7, 1)):
            sliced(size)
            found = quietly(op, b, method, max_memory="1GB", **arguments)
            assert found.extra["slices"] == count
            # "auto" takes what earlier solves have set up
            check_equal(whole, found, *AUTOMATIC.get(method, ()))
        assert "slices" not in whole.extra

    @pytest.mark.parametrize("form", ["columns", "deep", "flat items"])
    @pytest.mark.parametrize("start", [None, "whole", "item"])
    def test_shapes_and_starts(self, sliced, form, start):
        op = layer(size=7)
        b = data(op, 6)
        x0 = None
        if start:
            x0 = np.random.default_rng(3).standard_normal((6, *op.input_shape))
            x0 = x0 if start == "whole" else x0[0]
        if form == "columns":
            b = b.reshape(6, -1).T
            x0 = x0.reshape(6, -1).T if start == "whole" else x0
            x0 = x0.ravel() if start == "item" else x0
        elif form == "deep":
            b = b.reshape(2, 3, *op.output_shape)
            x0 = x0.reshape(2, 3, *op.input_shape) if start == "whole" else x0
        whole = solve(op, b, "cgls", x0=x0)
        sliced(2)
        found = solve(op, b, "cgls", x0=x0, max_memory=1)
        assert found.extra["slices"] == 3
        check_equal(whole, found)

    def test_an_operator_without_more_than_products(self, sliced):
        matrix = np.random.default_rng(0).standard_normal((30, 12)) + 4 * np.eye(30, 12)
        b = np.random.default_rng(1).standard_normal((5, 30))
        whole = solve(aslinearoperator(matrix), b)
        sliced(2)
        check_equal(whole, solve(aslinearoperator(matrix), b, max_memory=1))

    def test_items_that_end_early_keep_their_last_norm(self, sliced):
        op = layer(size=7)
        b = data(op, 4)
        b[1] = 0
        x0 = np.zeros((4, *op.input_shape))
        x0[0] = solve(op, b[0], rtol=1e-12).x
        sliced(1)
        found = solve(op, b, "cgls", x0=x0, max_memory=1)
        assert found.success and list(found.extra["nit"][:2]) == [0, 0]
        assert found.history.shape == (found.nit, 4)
        np.testing.assert_allclose(found.history[:, 0], found.residual_norm[0])
        assert not found.history[:, 1].any() and not found.x[1].any()

    def test_nothing_to_do(self, sliced):
        op = layer(size=7)
        sliced(1)
        found = solve(op, np.zeros((3, *op.output_shape)), "direct", max_memory=1)
        assert found.success and found.nit == 0 and found.history.shape == (0, 3)

    def test_one_slice_that_fails_warns_once(self, sliced):
        op = layer(size=7)
        b = np.zeros((5, *op.output_shape))
        b[2] = data(op)
        sliced(2)
        with pytest.warns(ConvergenceWarning, match="iteration limit") as caught:
            found = solve(op, b, "cgls", maxiter=2, max_memory=1)
        assert len(caught) == 1 and caught[0].filename == __file__
        good = [True, True, False, True, True]
        assert not found.success and found.status is Status.MAXITER
        assert list(found.extra["success"]) == good
        assert [s is Status.CONVERGED for s in found.extra["status"]] == good

    def test_all_fail(self, sliced):
        op = layer(size=7)
        sliced(2)
        with pytest.warns(ConvergenceWarning) as caught:
            solve(op, data(op, 6), "cgls", maxiter=2, max_memory=1)
        assert len(caught) == 1

    def test_the_message_of_the_slice_that_went_furthest(self, sliced, monkeypatch):
        """One that needs the second choice decides on method and message."""
        choice = convinv._solve.auto.MethodChoice
        first = choice("direct", "no memory", {"memory": 1000})
        last = choice("cgls", "the last")
        chosen = lambda op, **_: [first, last]  # noqa: E731
        monkeypatch.setattr("convinv._solve.task.choose", chosen)
        monkeypatch.setattr("convinv._solve.tiles.are_needed", lambda *_: False)
        op = layer((8, 1, 3, 3), 30)
        b = np.zeros((3, *op.output_shape))
        b[1] = data(op)
        whole = solve(op, b, rtol=1e-12)
        sliced(1)
        found = solve(op, b, rtol=1e-12, max_memory=1)
        assert found.method == whole.method == "cgls"
        assert found.message == whole.message and "the last" in found.message
        np.testing.assert_allclose(found.x, whole.x, atol=1e-9)

    def test_a_rule_chooses_one_damp_for_all(self, sliced):
        op = layer(size=7)
        b = data(op, 5, noise=0.5)
        whole = solve(op, b, "cgls", damp="gcv")
        sliced(2)
        found = solve(op, b, "cgls", damp="gcv", max_memory=1)
        assert found.extra["damp"] == whole.extra["damp"] > 0
        check_equal(whole, found)

    def test_one_generator_for_all(self, sliced):
        op = layer(size=7)
        b = data(op, 1, noise=0)
        b = np.concatenate([b, b])
        sliced(1)
        solve_it = lambda: quietly(  # noqa: E731
            op, b, "rk", maxiter=3, rng=4, max_memory=1
        ).x
        x = solve_it()
        np.testing.assert_array_equal(x, solve_it())
        assert np.any(x[0] != x[1])

    def test_progress(self, sliced, capfd):
        op = layer(size=7)
        sliced(1)
        found = solve(op, data(op, 2), "cgls", maxiter=400, progress=True, max_memory=1)
        err = capfd.readouterr().err
        assert f"{found.extra['nit'].sum()}/800" in err

    def test_array_api(self, sliced):
        strict = pytest.importorskip("array_api_strict")
        matrix = np.random.default_rng(0).standard_normal((30, 12)) + 4 * np.eye(30, 12)

        A, AH = strict.asarray(matrix), strict.asarray(matrix.T)

        class Plain:
            shape, dtype = matrix.shape, "float64"
            matvec = matmat = staticmethod(lambda x: A @ x)
            rmatvec = rmatmat = staticmethod(lambda y: AH @ y)

        b = np.random.default_rng(1).standard_normal((5, 30))
        sliced(2)
        found = solve(Plain(), strict.asarray(b), "cgls", rtol=1e-12, max_memory=1)
        expected = np.linalg.lstsq(matrix, b.T, rcond=None)[0].T
        assert found.x.__array_namespace__() is strict
        np.testing.assert_allclose(np.asarray(found.x), expected, atol=1e-8)


class TestCallback:
    def test_states(self, sliced):
        op = layer(size=7)
        b = data(op, 5)
        x0 = np.random.default_rng(0).standard_normal((5, *op.input_shape))
        states = []

        def callback(state):
            states.append((state.nit, state.x, state.residual_norm))

        sliced(2)
        found = solve(op, b, "cgls", x0=x0, callback=callback, max_memory=1)
        assert [nit for nit, *_ in states] == list(range(1, len(states) + 1))
        assert all(x.shape == found.x.shape for _, x, _ in states)
        first, last = states[0], states[-1]
        np.testing.assert_array_equal(first[1][1:], x0[1:])
        assert np.isnan(first[2][1:]).all() and np.isfinite(first[2][0])
        np.testing.assert_allclose(last[1], found.x)
        np.testing.assert_allclose(last[2], found.residual_norm, rtol=1e-6)

    @pytest.mark.parametrize("start", [False, True])
    def test_stopping_ends_all(self, sliced, start):
        op = layer(size=7)
        b = data(op, 5)
        b[4] = 0
        x0 = np.random.default_rng(0).standard_normal((5, *op.input_shape))
        x0[4] = 0
        x0 = x0 if start else None
        calls = []

        def callback(state):
            calls.append(state.nit)
            return state.nit == 3

        sliced(1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = solve(op, b, "cgls", x0=x0, callback=callback, max_memory=1)
        assert calls == [1, 2, 3] and found.status is Status.STOPPED
        assert found.method == "cgls" and found.nit == 3
        assert found.extra["status"] == [Status.STOPPED] * 4 + [Status.CONVERGED]
        rest = np.zeros_like(found.x) if x0 is None else x0
        np.testing.assert_allclose(found.x[1:], rest[1:])
        norms = np.linalg.norm((b - op.forward(found.x)).reshape(5, -1), axis=1)
        np.testing.assert_allclose(found.residual_norm, norms)
