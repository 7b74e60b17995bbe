"""Callbacks see every iteration, and can end a solve."""

import numpy as np
import pytest

from convinv import Status, solve
from support.problems import (
    LOOSE,
    VARIANTS,
    easy,
    every_method,
    may_fail,
    run,
    variants,
)


class TestCallback:
    @variants
    def test_once_per_iteration(self, variant):
        c, _ = easy(VARIANTS[variant][0])
        seen = []

        def callback(state):
            assert state.x.shape == c.x.shape
            seen.append((state.nit, state.residual_norm))

        result, _ = run(variant, c.op, c.b, callback=callback, maxiter=40)
        assert [nit for nit, _ in seen] == list(range(1, result.nit + 1))
        np.testing.assert_array_equal([norm for _, norm in seen], result.history)

    @variants
    def test_the_last_state_is_the_result(self, variant):
        c, _ = easy(VARIANTS[variant][0])
        iterates = []
        kwargs = {"rtol": LOOSE, "rng": 0}
        result, _ = run(
            variant, c.op, c.b, callback=lambda s: iterates.append(s.x + 0), **kwargs
        )
        size = np.linalg.norm(result.x)
        if not may_fail(variant, "over"):
            assert np.linalg.norm(iterates[-1] - result.x) <= 1e-10 * size
        plain, _ = run(variant, c.op, c.b, **kwargs)
        np.testing.assert_array_equal(plain.x, result.x)

    @pytest.mark.parametrize("answer", [True, np.True_])
    @variants
    def test_true_stops(self, variant, answer):
        c, _ = easy(VARIANTS[variant][0])
        calls = []

        def callback(state):
            calls.append(state.nit)
            return answer if state.nit == 2 else None

        result, caught = run(variant, c.op, c.b, rtol=1e-14, callback=callback)
        if calls == [1]:
            pytest.skip("done in one iteration")
        assert calls == [1, 2] and result.nit == 2
        assert result.status is Status.STOPPED and not result.success and not caught

    @every_method
    def test_other_answers_do_not_stop(self, method):
        c, arguments = easy(method)
        plain = solve(c.op, c.b, **arguments)
        assert solve(c.op, c.b, **arguments, callback=lambda s: 1).nit == plain.nit

    @pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
    @every_method
    def test_exceptions_pass(self, method, error):
        c, arguments = easy(method)

        def callback(state):
            raise error

        with pytest.raises(error):
            solve(c.op, c.b, **arguments, callback=callback)
        assert np.geterr()["divide"] == "warn"

    @every_method
    def test_solve_inside_a_callback(self, method):
        c, arguments = easy(method)
        arguments = {**arguments, "rtol": 0.01}
        plain = solve(c.op, c.b, **arguments)
        inner = []

        def callback(state):
            if state.nit <= 30:
                inner.append(solve(c.op, c.b, **arguments).x)

        result = solve(c.op, c.b, **arguments, callback=callback)
        for x in (result.x, *inner):
            np.testing.assert_array_equal(x, plain.x)

    @every_method
    def test_states_of_a_batch(self, method):
        c, arguments = easy(method)
        b = np.stack([c.b, 0 * c.b, 2 * c.b]).reshape(3, *c.op.output_shape)
        shapes = set()

        def callback(state):
            shapes.add((state.x.shape, state.residual_norm.shape))

        result = solve(c.op, b, **arguments, callback=callback)
        assert shapes == {((3, *c.op.input_shape), (3,))} and result.success
