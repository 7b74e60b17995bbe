"""The pictures of a result: what is on their axes."""

import sys

import numpy as np
import pytest

from convinv import ConvLinearOperator, solve
from convinv.proximal import TotalVariation, fista

plt = pytest.importorskip("matplotlib.pyplot")
plt.switch_backend("agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    op = ConvLinearOperator(rng.standard_normal((4, 3, 3, 3)), (3, 12, 12))
    return op, rng.standard_normal((2, *op.output_shape))


def test_history(problem):
    op, b = problem
    result = solve(op, b[0], "lsqr", damp=0.1)
    ax = result.plot()
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_ydata(), result.history)
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, result.nit + 1))
    assert ax.get_yscale() == "log" and ax.get_xlabel() == "iteration"
    assert ax.get_title() == f"lsqr: converged after {result.nit}"
    assert result.plot(ax) is ax and len(ax.lines) == 2


def test_batches_and_failures(problem):
    op, b = problem
    result = solve(op, b, "lsqr", damp=0.1, maxiter=2, on_failure="ignore")
    ax = result.plot()
    assert len(ax.lines) == 2 and ax.get_title() == "lsqr: maxiter after 2"
    for line, history in zip(ax.lines, result.history.T):
        np.testing.assert_array_equal(line.get_ydata(), history)


def test_no_iterations(problem):
    op, b = problem
    result = solve(op, 0 * b[0], "lsqr")
    assert result.nit == 0 and result.plot().lines[0].get_xdata().size == 0


@pytest.mark.parametrize("rule", ["gcv", "ncp", "lcurve", "discrepancy"])
def test_damp(problem, rule):
    op, b = problem
    options = {"noise_level": 0.5} if rule == "discrepancy" else {}
    result = solve(op, b[0], damp=rule, on_failure="ignore", **options)
    ax = result.plot_damp()
    path, curve = result.extra["damp_path"], ax.lines[0]
    known = np.isfinite(path["criterion"])
    np.testing.assert_array_equal(curve.get_xdata(), path["damp"][known])
    np.testing.assert_array_equal(curve.get_ydata(), path["criterion"][known])
    positive = path["criterion"][known].min() > 0
    assert ax.get_xscale() == "log" and (ax.get_yscale() == "log") == positive
    damp = result.extra["damp"]
    assert (damp > 0) == (f"damp {damp:.3g}" in [line.get_label() for line in ax.lines])
    assert result.plot_damp(ax) is ax


def test_no_rule(problem):
    op, b = problem
    with pytest.raises(ValueError, match="no rule chose the damp"):
        solve(op, b[0], "lsqr", damp=0.1).plot_damp()


def test_without_matplotlib(problem, monkeypatch):
    op, b = problem
    result = solve(op, b[0], "lsqr", damp=0.1)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    words = "SolveResult.plot needs matplotlib: python -m pip install matplotlib"
    with pytest.raises(ImportError, match=words):
        result.plot()


def test_results_of_priors(problem):
    op, b = problem
    result = fista(op, b[0], TotalVariation(0.01), on_failure="ignore")
    (line,) = result.plot().lines
    np.testing.assert_array_equal(line.get_ydata(), result.history)


def test_damp_of_a_penalty():
    """Rules for the weight of a penalty are drawn as those for damp."""
    op = ConvLinearOperator(np.ones((1, 1, 3, 3)) / 9, (1, 16, 16))
    b = np.random.default_rng(0).standard_normal(op.output_shape)
    result = solve(op, b, damp="gcv", regularizer="gradient")
    known = np.isfinite(result.extra["damp_path"]["criterion"])
    curve = result.plot_damp().lines[0]
    np.testing.assert_array_equal(
        curve.get_xdata(), result.extra["damp_path"]["damp"][known]
    )
