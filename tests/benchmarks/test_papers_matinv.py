"""The experiments on neural matrix inversion: what they compute, and that they run."""

import itertools
import types

import numpy as np
import pytest

from support.columns import column

pytest.importorskip("torch")


@pytest.fixture
def problems(load):
    return load("matinv.problems")


def test_datasets(problems):
    sets = problems.datasets()
    assert [data.n for data in sets] == [2, 2, 3, 16]
    first, second = (data.center for data in sets[:2])
    assert (first == first.T).all() and np.linalg.eigvalsh(first)[0] > 0
    assert not (second == second.T).all()
    for data in sets:
        A = data.sample(300, np.random.default_rng(0))
        assert np.abs(A - data.center).max() <= data.half_width
        assert data.half_width == pytest.approx(0.25 * data.region.box())
    assert problems.shown(first) == "[2 1 / 1 3]"


def test_steps_of_the_paper(load):
    paper = load("matinv.paper")
    assert paper.STEPS == {2: 156_250, 3: 200_000, 16: 200_000}


def test_least_squares_is_the_best_affine_map(problems, load):
    data = problems.datasets()[0]
    apply = load("matinv.accuracy").least_squares(
        data, 20_000, np.random.default_rng(0)
    )
    A = data.sample(20_000, np.random.default_rng(1))
    wrong = apply(A) - np.linalg.inv(A)
    D = A - data.center
    # what is left is orthogonal to affine functions
    assert np.abs(wrong.mean(axis=0)).max() < 1e-4
    left = np.einsum("kij,klm->ijlm", wrong, D) / len(A)
    assert np.abs(left).max() < 2e-2 * np.abs(wrong).mean() * data.half_width * 2


def test_stacked_training_is_the_training_of_each(load, problems):
    """The step of a stack is Adam's on every network alone."""
    import torch

    training, data = load("matinv.training"), problems.datasets()[0]
    (one,) = training.trained(data, 3, 4, 1)
    both = training.trained(data, 3, 4, 2)
    A = data.sample(10, np.random.default_rng(0))
    np.testing.assert_allclose(both[0].approximate(A), one.approximate(A), atol=1e-6)
    assert np.abs(both[1].approximate(A) - one.approximate(A)).max() > 1e-3
    assert torch.get_num_threads() >= 1


class Known:
    """A stand-in for a trained network: the linear approximation with eight units."""

    def __init__(self, data):
        import torch

        from convinv.interop.torch import inverse_network
        from convinv.local_inverse import relu_realization

        self.network = inverse_network(2, 2, 8, torch.float64)
        net = relu_realization(data.center, hidden=8)
        first, last = self.network[0], self.network[2]
        with torch.no_grad():
            for part, value in (
                (first.weight, net.W1), (first.bias, net.b1),
                (last.weight, net.W2), (last.bias, net.b2),
            ):  # fmt: skip
                part.copy_(torch.as_tensor(value))


def test_bounds_of_a_network_that_is_linear(load, problems):
    """It differs from the linear approximation nowhere, whatever the pattern."""
    patterns, data = load("matinv.patterns"), problems.datasets()[1]
    network = patterns.Network(Known(data), data)
    x = data.sample(500, np.random.default_rng(0)).reshape(500, -1)
    found, member, counts = patterns.occupied(network, x)
    assert len(found) == 16 and counts.sum() == 500  # one of each pair is active
    assert (np.bincount(member) == counts).all()
    np.testing.assert_allclose(network(x), network.linear(x), atol=1e-13)
    assert patterns.pattern_bound(network, found[0]) < 1e-9
    assert patterns.box_bound(network) < 1e-6


def test_bounds_of_any_network(load, problems):
    """The programs' maxima against a fine grid of the box."""
    patterns, data = load("matinv.patterns"), problems.datasets()[0]
    known = Known(data)
    network = patterns.Network(known, data)
    rng = np.random.default_rng(1)
    network.W2 = network.W2 + 0.2 * rng.standard_normal(network.W2.shape)
    network.b1 = network.b1 + 0.05 * rng.standard_normal(8)
    ends = [np.linspace(low, high, 13) for low, high in network.bounds]
    x = np.array(list(itertools.product(*ends)))
    apart = np.abs(network(x) - network.linear(x)).max(axis=1)
    found, member, _ = patterns.occupied(network, x)
    bounds = [patterns.pattern_bound(network, pattern) for pattern in found]
    for k, bound in enumerate(bounds):
        assert apart[member == k].max() <= bound + 1e-9
    box = patterns.box_bound(network)
    assert max(bounds) <= box + 1e-6
    assert apart.max() <= box <= 1.1 * apart.max()


def test_the_remainder_of_the_box(load, problems):
    patterns = load("matinv.patterns")
    for data in problems.datasets():
        A = data.sample(2000, np.random.default_rng(0))
        X0 = np.linalg.inv(data.center)
        linear = X0 - X0 @ (A - data.center) @ X0
        most = np.abs(linear - np.linalg.inv(A)).max()
        assert most <= patterns.series_remainder(data)


def test_tails(load):
    tails = load("matinv.tails")
    chance, mean = tails.tail(2, 100_000, np.array([10.0, 100.0]))
    assert chance * [10, 100] == pytest.approx(1.76, rel=0.1)
    # the mean of what is cut off at t is the integral of the tail up to t
    assert np.diff(mean) == pytest.approx(1.76 * np.log(10), rel=0.1)


@pytest.mark.parametrize(
    "name", ["region", "tails", "accuracy", "patterns", "times", "nearby"]
)
def test_quick_runs(load, name, tmp_path):
    command = load("matinv.__main__").COMMAND
    args = types.SimpleNamespace(quick=True, threads=1)
    outcome, text = command.outcome(name, args)
    assert not outcome.failed
    assert f"python -m benchmarks.papers.matinv --quick --only {name}" in text
    table = outcome.tables[0]
    assert len(table.rows) >= 2
    assert {len(row) for row in table.rows} == {len(table.columns.split(","))}
    if name == "times":
        assert min(column(table, "inv at once")) > 0
    if name == "nearby":
        assert set(column(table, "renew")) == {"yes", "no"}
