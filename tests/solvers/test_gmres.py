"""gmres says what to do where its cycles are too short."""

import numpy as np
import pytest

from convinv import ConvergenceWarning, Status, solve
from support.quiet import quietly


def shift(n):
    """The cyclic shift: GMRES gains nothing before step n."""
    return np.roll(np.eye(n), 1, axis=0)


@pytest.mark.parametrize("restart", [1, 5, 11])
def test_a_stall_names_restart(restart):
    b = np.eye(12)[0]
    with pytest.warns(ConvergenceWarning, match="raise restart"):
        result = solve(shift(12), b, "gmres", restart=restart)
    assert result.status is Status.STALLED and not result.success
    assert f"restart (now {restart}, at most 12" in result.message


@pytest.mark.parametrize("restart", [12, 50])
def test_whole_cycles_solve_it(restart):
    b = np.eye(12)[0]
    result = solve(shift(12), b, "gmres", restart=restart, rtol=1e-12)
    assert result.success and "restart" not in result.message
    np.testing.assert_allclose(shift(12) @ result.x, b, atol=1e-12)


def test_a_batch_in_which_one_item_stalls():
    B = np.stack([np.eye(9)[0], np.ones(9)])
    with pytest.warns(ConvergenceWarning, match="raise restart"):
        result = solve(shift(9), B, "gmres", restart=4)
    np.testing.assert_array_equal(result.extra["success"], [False, True])


def test_a_stall_of_a_whole_cycle_does_not_name_restart():
    """Nilpotent, and b not in its range: no number of steps helps."""
    A = np.diag(np.ones(5), 1)
    result = quietly(A, np.ones(6), "gmres", restart=6, rtol=1e-9)
    assert "restart" not in result.message
