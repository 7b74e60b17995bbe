"""Recurrences: the same on NumPy arrays and, traced as one kernel, on a device."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from convinv._problem.recurrence import recurrence


@dataclass
class Inner:
    a: Any
    b: Any
    share: float = 0.5
    limit: Any = None


@dataclass
class State:
    x: Any
    inner: Inner
    vectors: Any
    doubled: bool = False
    steps: int = 0


@recurrence
def advance(xp, state, more, offset):
    """Sets fields, exchanges two, and returns an input, a sum and nothing."""
    inner = state.inner
    length = xp.hypot(inner.a, inner.b)
    state.x = xp.where(length > inner.share, state.x + more, 0.0)
    if state.doubled:
        state.x = 2 * state.x
    if inner.limit is not None:
        state.x = xp.minimum(state.x, inner.limit)
    inner.a, inner.b = inner.b, inner.a
    return more, (length if offset is None else length + offset), None


def made(xp, **options):
    a, b, x = (xp.asarray(v) for v in np.random.default_rng(0).random((3, 4)))
    limit = options.pop("limit", None)
    limit = None if limit is None else xp.asarray(limit)
    return State(x, Inner(a, b, limit=limit), xp.zeros((4, 7)), **options)


@pytest.mark.parametrize("offset", [None, 0.25])
@pytest.mark.parametrize(
    "options", [{}, {"doubled": True}, {"limit": np.full(4, 0.7)}, {"steps": 3}]
)
def test_a_device_computes_the_same(cupy, options, offset):
    host, device = made(np, **options), made(cupy, **options)
    for turn in range(3):
        host.inner.share = device.inner.share = 0.4 * turn  # not a constant of it
        more = np.full(4, 0.1 * turn)
        want = advance(np, host, more, offset)
        given = cupy.asarray(more)
        got = advance(cupy, device, given, offset)
        assert got[0] is given and got[2] is None
        np.testing.assert_allclose(got[1].get(), want[1])
        for name in ("a", "b"):
            values = getattr(device.inner, name).get()
            np.testing.assert_allclose(values, getattr(host.inner, name))
        np.testing.assert_allclose(device.x.get(), host.x)
    assert device.vectors.shape == (4, 7)
    assert device.steps == options.get("steps", 0)


def test_an_error_leaves_the_fields_as_they_were(cupy):
    @recurrence
    def failing(xp, state):
        state.x = state.x + 1
        raise ValueError("on purpose")

    state = made(cupy)
    before = state.x
    with pytest.raises(ValueError, match="on purpose"):
        failing(cupy, state)
    assert state.x is before


def test_no_and_one_result(cupy):
    @recurrence
    def twice(xp, a):
        return 2 * a

    @recurrence
    def nothing(xp, state):
        state.x = state.x - 1

    state = made(cupy)
    want = state.x.get()
    np.testing.assert_array_equal(twice(cupy, state.x).get(), 2 * want)
    assert nothing(cupy, state) is None
    np.testing.assert_array_equal(state.x.get(), want - 1)
