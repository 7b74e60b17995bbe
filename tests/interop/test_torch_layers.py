"""Operators of layers against the layers: 500 random ones."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from convinv import solve  # noqa: E402
from convinv.interop.torch import operator  # noqa: E402
from support.torch_layers import dense, linear_part, random_layer  # noqa: E402

SEEDS = range(500)
CLOSE = {"rtol": 1e-10, "atol": 1e-11}
WELL = 1e3  # condition numbers up to which ten digits of x are asked for
EASY = 30  # and up to which the same is asked for where no x has these data
ZERO = 1e-12  # of the largest, what a singular value that is zero may be


def decomposed(matrix):
    """The singular value decomposition; None where the rank is in doubt."""
    u, s, vh = np.linalg.svd(matrix, full_matrices=False)
    if not s.size or s[0] == 0:
        return None
    doubtful = (s > ZERO * s[0]) & (s < s[0] / WELL)
    return None if doubtful.any() else (u, s, vh, s > ZERO * s[0])


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("seed", SEEDS)
def test_products(seed):
    layer, shape = random_layer(seed)
    op, dtype = operator(layer, shape), layer.weight.dtype
    x = torch.randn((2, *shape), dtype=dtype)
    with torch.enable_grad():
        argument = x.clone().requires_grad_()
        y = layer(argument)
        g = torch.randn_like(y)
        (back,) = torch.autograd.grad(y, argument, g)
    assert op.output_shape == tuple(y.shape[1:])
    np.testing.assert_allclose(op.forward(x.numpy()), linear_part(layer, x), **CLOSE)
    np.testing.assert_allclose(op.adjoint(g.numpy()), back, **CLOSE)


@pytest.mark.parametrize("seed", SEEDS)
def test_solutions(seed):
    """The pseudoinverse, for data in the range and for others.

    Layers with a singular value between 1e-12 and 1e-3 of the largest are left out: it
    would take more digits than there are to tell their rank, or to have ten of x.
    """
    layer, shape = random_layer(seed)
    found = decomposed(dense(layer, shape))
    if found is None:
        return
    u, s, vh, kept = found
    pinv = (vh[kept].conj().T / s[kept]) @ u[:, kept].conj().T
    op, rng = operator(layer, shape), np.random.default_rng(seed)
    b = [op.forward(rng.standard_normal(shape))]
    if s[0] < EASY * s[kept][-1]:
        b.append(rng.standard_normal(op.output_shape))
    b = np.stack(b).astype(op.dtype)
    x = solve(op, b, rtol=1e-13, columns=False, on_failure="ignore").x
    wanted = (b.reshape(len(b), -1) @ pinv.T).reshape(x.shape)
    size = np.linalg.norm(wanted)
    np.testing.assert_allclose(x, wanted, rtol=0, atol=1e-10 * size)


def test_few_layers_are_left_out():
    left = [decomposed(dense(*random_layer(seed))) is None for seed in SEEDS]
    assert sum(left) < 0.1 * len(SEEDS)
