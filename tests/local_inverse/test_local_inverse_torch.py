"""Networks that learn inverses."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from convinv import ConvergenceWarning  # noqa: E402
from convinv.interop.torch import LearnedInverse, inverse_network  # noqa: E402
from convinv.local_inverse import LocalInverse, relu_realization  # noqa: E402

A0 = np.array([[2.0, 1.0], [1.0, 3.0]])


@pytest.mark.parametrize(
    ("n", "layers", "count"),
    [
        (2, 2, 4 * 32 + 32 + 32 * 4 + 4),
        (2, 3, 4 * 32 + 32 + 32 * 32 + 32 + 32 * 4 + 4),
        (3, 2, 9 * 72 + 72 + 72 * 9 + 9),
        (16, 2, 256 * 2048 + 2048 + 2048 * 256 + 256),
    ],
)
def test_architectures(n, layers, count):
    network = inverse_network(n, layers)
    assert sum(p.numel() for p in network.parameters()) == count
    linear = [m for m in network if isinstance(m, torch.nn.Linear)]
    assert len(linear) == layers and len(network) == 2 * layers - 1


def test_the_network_can_be_the_linear_approximation():
    """Without training, and training from there makes it better."""
    dtype = torch.float64
    learned = LearnedInverse(A0, 0.2, hidden=8, dtype=dtype, rng=0)
    learned.set_weights(relu_realization(A0, 0.2, hidden=8))
    A = learned.sample(2000)
    linear = LocalInverse(A0).approximate(A)
    np.testing.assert_allclose(learned.approximate(A), linear, atol=1e-14)
    exact = np.linalg.inv(A)
    learned.fit(300, lr=1e-3)
    better = np.mean((learned.approximate(A) - exact) ** 2)
    assert better < 0.8 * np.mean((linear - exact) ** 2)


def test_training_learns():
    learned = LearnedInverse(A0, 0.1, scaled=True, rng=1)
    before = learned.losses[:]
    assert learned.fit(400, lr=1e-2, restart=100) is learned
    assert before == [] and learned.losses[-1] < 0.05 < learned.losses[0]
    A = learned.sample(500)
    assert A.shape == (500, 2, 2) and np.abs(A - A0).max() <= 0.1
    found = learned(A)
    errors = np.linalg.norm(found.x - np.linalg.inv(A), 2, axis=(-2, -1))
    assert found.success and (errors <= found.bound).all()
    assert errors.max() < 0.02


def test_answers_outside_are_not_trusted():
    learned = LearnedInverse(A0, 0.1, scaled=True, rng=1).fit(100, lr=1e-2)
    with pytest.warns(ConvergenceWarning, match="no bound for 1 of 2"):
        found = learned(np.array([A0, -5 * A0]))
    assert not found.success and np.isinf(found.bound).tolist() == [False, True]
    assert "no bound for 1 of 2" in found.message


def test_the_same_seed_gives_the_same_network():
    state = torch.random.get_rng_state()
    made = [LearnedInverse(A0, 0.1, rng=3).fit(5).approximate(A0) for _ in range(2)]
    np.testing.assert_array_equal(*made)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: inverse_network(2, 1), "layers must be at least 2"),
        (lambda: LearnedInverse(1j * A0, 0.1), "A0 must be one real"),
        (lambda: LearnedInverse(A0, 0.0), "half_width must"),
        (lambda: LearnedInverse(A0, 0.1).approximate(np.eye(3)), "A must have shape"),
        (lambda: LearnedInverse(A0, 0.1).set_weights(relu_realization(A0)),
         "realization must have"),
        (lambda: LearnedInverse(A0, 0.1, hidden=8, scaled=True).set_weights(
            relu_realization(A0)), "must not be scaled"),
    ],
)  # fmt: skip
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()
