"""What "auto" chooses, and that it goes on where a choice fails."""

import warnings

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator

import convinv
from convinv import ConvLinearOperator, Status, solve
from convinv._core.errors import MemoryLimit
from convinv._planning.ways import Plan
from convinv._solve.auto import MethodChoice, choose
from convinv.operators._foreign import as_operator
from convinv.solvers import METHODS
from support.arrays import random
from support.layers import layer, matrix

PERIODIC = {"padding": 1, "boundary": "periodic"}


def names(op, **options):
    return [choice.name for choice in choose(op, **options)]


@pytest.mark.parametrize(
    ("shape", "input_shape", "options", "first"),
    [
        ((8, 3, 3, 3), (3, 20, 20), {"damp": 9.0}, "cgls"),
        ((8, 3, 3, 3), (3, 20, 20), {"batch": 200, "rtol": 1e-10}, "direct"),
        ((3, 8, 3, 3), (8, 12, 60), {"batch": 200}, "direct"),
        ((8, 3, 3, 3), (3, 600, 600), {}, "schwarz"),
        ((8, 3, 3, 3), (3, 6, 6), PERIODIC, "spectral"),
        ((4, 1, 2, 2), (1, 6, 6), {"stride": 2}, "spectral"),
        ((8, 3, 3, 3), (3, 7, 6), {**PERIODIC, "padding": 2}, "cgls"),
        ((1, 1, 25, 25), (1, 90, 90), {"padding": 12, "damp": 0.5}, "cgls"),
    ],
)
def test_choices(shape, input_shape, options, first):
    options = dict(options)
    how = {k: options.pop(k) for k in ("damp", "batch", "rtol") if k in options}
    op = layer(shape, input_shape, **options)
    choices = list(choose(op, **how))
    assert choices[0].name == first and choices[-1].name == "cgls"
    assert all(choice.name in METHODS and choice.reason for choice in choices)
    for choice in choices:
        assert set(choice.options) <= set(METHODS[choice.name].options)
        assert choice.preconditioner is None or METHODS[choice.name].preconditioner


def test_operators_that_are_no_convolutions():
    A = random((4, 4))
    assert names(as_operator(A)) == ["cgls", "lsmr"]
    forward = LinearOperator(A.shape, matvec=lambda v: A @ v, dtype=float)
    assert names(as_operator(forward)) == ["gmres"]


def test_the_axis_of_the_sweeps():
    """Along the long axis, where lines are short."""
    for size, axis in (((200, 12), 0), ((12, 200), 1)):
        plan = Plan(layer((8, 3, 3, 3), (3, *size)), 0.0, 1, 1e-6)
        axes = {w.options["axis"] for w in plan.exact_ways if w.name == "direct"}
        assert axes == {axis}


def test_larger_batches_and_images_cost_more():
    def seconds(size, batch):
        plan = Plan(layer((8, 3, 3, 3), (3, size, size)), 0.0, batch, 1e-6)
        return [way.seconds for way in [plan.cgls(), *plan.exact_ways]]

    for low, high in (((40, 1), (80, 1)), ((64, 1), (64, 100))):
        assert all(a < b for a, b in zip(seconds(*low), seconds(*high), strict=True))


def test_later_calls_make_the_set_up_that_earlier_ones_would_have_saved():
    op = layer((8, 3, 3, 3), (3, 40, 40))
    b = op.forward(random(op.input_shape))
    methods = [solve(op, b, rtol=1e-8).method for _ in range(20)]
    assert methods[-1] in ("direct", "schwarz")
    assert methods == sorted(methods, key=lambda m: m != "cgls")  # and keep to it
    counts = [solve(op, b, rtol=1e-8).nit for _ in range(2)]
    assert counts[0] == counts[1] <= 5


def test_iterations_that_turn_out_to_be_slow_are_taken_over(monkeypatch):
    """By an inverse that is ready, or else they go on."""
    kernel = random((4, 2, 3, 3))
    kernel[:, 1] = kernel[:, 0] + 0.03 * kernel[:, 1]  # what the plan is not told
    op = ConvLinearOperator(kernel, (2, 90, 90))
    x = random(op.input_shape)
    monkeypatch.setattr(Plan, "condition", 1.5)
    monkeypatch.setattr("convinv._planning.ways.SPENT", 1e9)
    result = solve(op, op.forward(x), rtol=1e-10)
    first, second = result.message.split("; then ")
    assert "cgls: " in first and result.method in second and result.method != "cgls"
    np.testing.assert_allclose(result.x, x, atol=1e-5)
    iterations = result.nit
    fresh = ConvLinearOperator(kernel, (2, 90, 90))

    def refuse(*_, **__):
        raise MemoryLimit("so a test says")

    monkeypatch.setattr("convinv._solve.auto.prepare", refuse)
    monkeypatch.setattr(Plan, "_preconditioned", lambda plan: [])
    result = solve(fresh, fresh.forward(x), rtol=1e-10)
    assert result.success and result.method == "cgls" and result.nit > iterations
    np.testing.assert_allclose(result.x, x, atol=1e-5)


def test_few_iterations_allowed():
    op = layer((8, 3, 3, 3), (3, 20, 20))
    b = op.forward(random(op.input_shape))
    assert solve(op, b, damp=9.0).method == "cgls"
    fresh = layer((8, 3, 3, 3), (3, 20, 20))
    result = solve(fresh, b, damp=9.0, maxiter=4)
    assert result.success and result.method in ("direct", "schwarz")


def test_set_ups_keep_to_the_memory_allowed():
    op = layer((8, 3, 3, 3), (3, 60, 60))
    for memory, some in ((1e9, True), (1e5, False)):
        plan = Plan(op, 0.0, 50, 1e-10, memory)
        assert bool(plan.exact_ways) == some


def test_the_message_says_what_was_taken_and_why():
    op = layer((8, 3, 3, 3), (3, 12, 12))
    result = solve(op, random(op.output_shape))
    assert f"{result.method}: it costs least (estimates: " in result.message
    periodic = layer((8, 3, 3, 3), (3, 6, 6), padding=1, boundary="periodic")
    result = solve(periodic, random(periodic.output_shape))
    assert result.method == "spectral" and "periodic" in result.message
    given = solve(op, random(op.output_shape), preconditioner="circulant")
    assert given.success and given.method == "cgls" and "given" in given.message


def patched(monkeypatch, *choices):
    monkeypatch.setattr("convinv._solve.task.choose", lambda op, **_: list(choices))


def test_the_next_choice_takes_over(monkeypatch):
    """After one that can't, one that stalls, and one that needs too much memory."""
    op = layer((8, 1, 3, 3), (1, 40, 30))
    b = random(op.output_shape)
    expected = solve(op, b, "direct", rtol=1e-10).x
    last = MethodChoice("cgls", "the last")
    for first in (
        MethodChoice("schwarz", "too shallow", {"depth": 1}),
        MethodChoice("direct", "no memory", {"memory": 1000}),
    ):
        patched(monkeypatch, first, last)
        result = solve(op, b, rtol=1e-13 if first.name == "schwarz" else 1e-10)
        assert first.reason in result.message
        np.testing.assert_allclose(result.x, expected, atol=1e-7)
    singular = ConvLinearOperator(np.ones((2, 1, 3, 3)), (1, 12, 11))
    patched(monkeypatch, MethodChoice("direct", "the first", {"shift": 0.0}), last)
    b = random(singular.output_shape)
    result = solve(singular, b, rtol=1e-9)
    assert result.success and result.method == "cgls"
    assert "rank-deficient" in result.message and "the last" in result.message
    least = np.linalg.pinv(matrix(singular), rcond=1e-10) @ b.ravel()
    np.testing.assert_allclose(result.x.ravel(), least, atol=1e-6)


def test_memory_is_still_an_error_where_the_user_sets_it():
    op = layer((8, 1, 3, 3), (1, 40, 30))
    with pytest.raises(ValueError, match="more than the 1 kB allowed"):
        solve(op, random(op.output_shape), "direct", memory=1000)


def test_all_fail(monkeypatch):
    op = layer((3, 2, 3, 3), (2, 12, 11))
    patched(
        monkeypatch,
        MethodChoice("direct", "one", {"shift": 0.0}),
        MethodChoice("schwarz", "two"),
    )
    with pytest.warns(convinv.ConvergenceWarning, match="one;.*then schwarz: two"):
        result = solve(op, random(op.output_shape))
    assert result.status is Status.BREAKDOWN and not result.x.any()


def test_callbacks_stop_all(monkeypatch):
    op = layer((8, 1, 3, 3), (1, 40, 30))
    patched(
        monkeypatch,
        MethodChoice("schwarz", "one", {"depth": 1}),
        MethodChoice("cgls", "two"),
    )
    calls = []

    def callback(state):
        calls.append(state.nit)
        return state.nit == 1

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = solve(op, random(op.output_shape), callback=callback, rtol=1e-13)
    assert calls == [1] and result.status is Status.STOPPED


def test_iterations_are_counted_over_all_choices(monkeypatch):
    op = layer((8, 1, 3, 3), (1, 40, 30))
    patched(
        monkeypatch,
        MethodChoice("schwarz", "one", {"depth": 1}),
        MethodChoice("cgls", "two"),
    )
    seen = []
    result = solve(
        op,
        random(op.output_shape),
        rtol=0,
        maxiter=12,
        callback=lambda state: seen.append(state.nit),
        on_failure="ignore",
    )
    assert seen == list(range(1, result.nit + 1)) and result.nit <= 12
    assert len(result.history) == result.nit


def test_easy_data_need_no_set_up(monkeypatch):
    """b = 0 and an exact start are known before anything is factored."""
    op = layer((8, 1, 3, 3), (1, 40, 30))
    x = random(op.input_shape)
    solve(op, np.zeros(op.output_shape))
    result = solve(op, op.forward(x), x0=x)
    assert result.success and result.nit == 0
    zero = ConvLinearOperator(np.zeros((2, 1, 3, 3)), (1, 12, 11))
    result = solve(zero, np.ones(zero.output_shape), "cgls", preconditioner="schwarz")
    assert result.success and result.status is Status.CONVERGED
