"""Sweeps against dense least squares, and what happens where they do not contract."""

import pickle

import numpy as np
import pytest
from scipy import linalg

from convinv import ConvLinearOperator
from convinv._core.result import Status
from convinv._tiles import ArrayDriver, TilePlan, iterate, read
from convinv.operators import DifferenceOperator, StackedOperator

BOUNDARIES = "zero", "periodic", "reflect", "symmetric", "replicate"
SHAPE = 2, 23, 18


def layer(seed, boundary="zero", dtype=float, **options):
    kernel = np.random.default_rng(seed).standard_normal((8, 2, 3, 3)).astype(dtype)
    return ConvLinearOperator(
        kernel, SHAPE, padding="same", boundary=boundary, **options
    )


def data_of(op, seed, batch=1):
    rng = np.random.default_rng(seed)
    exact = op.forward(rng.standard_normal((batch, *op.input_shape)).astype(op.dtype))
    return exact + 0.1 * rng.standard_normal(exact.shape).astype(op.dtype)


def least_squares(op, b, damp=0.0):
    matrix = op.todense()
    n = matrix.shape[1]
    matrix = np.vstack([matrix, damp * np.eye(n)])
    data = np.hstack([b.reshape(len(b), -1), np.zeros((len(b), n))])
    found = linalg.lstsq(matrix, data.T, lapack_driver="gelsy")[0].T
    return found.reshape((len(b), *op.input_shape))


def solved(op, b, damp=0.0, rtol=1e-11, **options):
    plan = TilePlan(op, damp, dtype=b.dtype, batch=len(b), rtol=rtol, **options)
    return plan, iterate(plan, ArrayDriver(), b, rtol=max(rtol, 1e-12), maxiter=300)


def distance(x, wanted):
    return np.linalg.norm(x - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("tile, halo", [(9, 8), ((23, 7), 9), (5, 12)])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_every_boundary(boundary, tile, halo):
    """Halos larger than a tile included."""
    op = layer(3, boundary)
    b = data_of(op, 4, batch=2)
    plan, found = solved(op, b, tile=tile, halo=halo)
    assert len(plan.tiles) > 2
    assert found.status is Status.CONVERGED and found.good.all()
    assert distance(found.x, least_squares(op, b)) < 1e-10


def test_norms_are_those_of_the_whole_problem():
    op, damp = layer(5), 0.7
    b = data_of(op, 6, batch=2)
    plan, found = solved(op, b, damp, rtol=1e-4, tile=10, halo=6)
    r = b - op.forward(found.x)
    s = op.adjoint(r) - damp**2 * found.x
    for name, array in (
        ("residual", r), ("normal", s), ("data", b), ("solution", found.x),
        ("gradient", op.adjoint(b)),
    ):  # fmt: skip
        wanted = np.sum(np.abs(array.reshape(2, -1)) ** 2, axis=1)
        np.testing.assert_allclose(getattr(found.norms, name), wanted, rtol=1e-9)


def test_penalties():
    op = layer(7)
    stack = StackedOperator([op, DifferenceOperator(SHAPE, boundary="symmetric")])
    b = data_of(op, 8)
    plan, found = solved(stack, b, tile=11, halo=10)
    matrix = np.vstack([op.todense(), stack.operators[1].todense()])
    data = np.concatenate([b.ravel(), np.zeros(len(matrix) - b.size)])
    wanted = linalg.lstsq(matrix, data, lapack_driver="gelsy")[0].reshape(SHAPE)
    assert distance(found.x[0], wanted) < 1e-10
    (penalty,) = found.norms.penalty
    x = found.x[0]
    size = np.sum(np.diff(x, axis=1) ** 2) + np.sum(np.diff(x, axis=2) ** 2)
    np.testing.assert_allclose(penalty, size)


def test_blur_with_a_penalty_has_its_border_found():
    """Unpadded convolutions: the borders by the rows that a torus adds."""
    kernel = np.zeros((1, 1, 7, 7))
    kernel[0, 0, range(7), range(7)] = 1 / 7
    shape = (1, 38, 35)
    op = ConvLinearOperator(kernel, shape)
    stack = StackedOperator([op, DifferenceOperator(shape).scaled(0.5)])
    b = np.random.default_rng(9).random((1, *op.output_shape))
    plan, found = solved(stack, b, tile=13, halo=11)
    assert found.status is Status.CONVERGED
    matrix = np.vstack([part.todense() for part in stack.operators])
    data = np.concatenate([b.ravel(), np.zeros(len(matrix) - b.size)])
    wanted = linalg.lstsq(matrix, data, lapack_driver="gelsy")[0].reshape(shape)
    assert distance(found.x[0], wanted) < 1e-9


@pytest.mark.parametrize("stride, groups", [(2, 1), (1, 2)])
def test_stride_dilation_groups_and_complex_kernels(stride, groups):
    rng = np.random.default_rng(stride)
    shape = (8, 2 // groups, 3, 2)
    kernel = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    op = ConvLinearOperator(
        kernel, SHAPE, stride=stride, groups=groups, dilation=2, padding=2
    )
    b = data_of(op, 11)
    _, found = solved(op, b, 0.5, tile=9, halo=8)
    assert found.status is Status.CONVERGED
    assert distance(found.x, least_squares(op, b, 0.5)) < 1e-10


def test_sweeps_that_diverge_become_conjugate_gradients():
    """A square layer, whose inverse decays slowly, in tiles that are too small."""
    kernel = np.random.default_rng(2).standard_normal((2, 2, 3, 3))
    op = ConvLinearOperator(kernel, SHAPE, padding="same")
    b = data_of(op, 3)
    plan, found = solved(op, b, 0.3, rtol=1e-9, tile=8, halo=2)
    assert found.krylov
    assert found.status is Status.CONVERGED
    assert distance(found.x, least_squares(op, b, 0.3)) < 1e-6


def test_least_norm_of_wide_layers():
    kernel = np.random.default_rng(4).standard_normal((1, 2, 3, 3))
    op = ConvLinearOperator(kernel, SHAPE)
    b = data_of(op, 5)
    plan, found = solved(op, b, rtol=1e-9, tile=10, halo=3)
    assert plan.decay is None and plan.krylov
    assert found.good.all()
    wanted = np.linalg.pinv(op.todense()) @ b.ravel()
    assert distance(found.x.ravel(), wanted) < 1e-6


def test_tiles_are_independent_of_their_order():
    op = layer(12)
    b = data_of(op, 13)
    plan = TilePlan(op, dtype=float, tile=8, halo=5)
    tiles = list(plan.tiles)
    plan.tiles = tiles[::-1]
    second = iterate(plan, ArrayDriver(), b, maxiter=3).x
    plan.tiles = tiles
    first = iterate(plan, ArrayDriver(), b, maxiter=3).x
    np.testing.assert_array_equal(first, second)


def test_plans_travel():
    """A worker makes the inverses once, however often a plan comes to it."""
    op = layer(14)
    plan = TilePlan(op, dtype=float, tile=8, halo=5)
    b = data_of(op, 15)
    tile = plan.tiles[4]
    part = read(b, tile.runs("b"))
    core, norms = plan.sweep(tile, None, part)
    copy = pickle.loads(pickle.dumps(plan))
    assert len(pickle.dumps(plan)) < 100_000
    again, _ = copy.sweep(copy.tiles[4], None, part)
    np.testing.assert_array_equal(core, again)
    assert copy.inverses is plan.inverses
    other = TilePlan(op, 0.5, dtype=float, tile=8, halo=5)
    assert other.inverses is not plan.inverses


def test_a_nan_is_named_with_its_place():
    op = layer(16)
    b = data_of(op, 17)
    b[0, 1, 15, 3] = np.nan
    plan = TilePlan(op, dtype=float, tile=8, halo=3)
    with pytest.raises(ValueError, match=r"NaN or infinity where it shows x\[\.\.\., "):
        iterate(plan, ArrayDriver(), b)


def test_a_callback_sees_and_stops():
    op = layer(18)
    b = data_of(op, 19)
    plan = TilePlan(op, dtype=float, tile=8, halo=3, rtol=1e-12)
    seen = []

    def callback(state):
        seen.append((state.nit, state.x.shape, float(state.residual_norm[0])))
        return state.nit == 2

    found = iterate(plan, ArrayDriver(), b, callback=callback)
    assert found.status is Status.STOPPED
    assert [nit for nit, _, _ in seen] == [1, 2]
    assert all(shape == (1, *SHAPE) for _, shape, _ in seen)
    assert seen[1][2] < seen[0][2] == pytest.approx(np.linalg.norm(op.adjoint(b)))


def test_no_iteration_at_all():
    op = layer(20)
    b = data_of(op, 21)
    plan = TilePlan(op, dtype=float, tile=8, halo=3)
    found = iterate(plan, ArrayDriver(), b, maxiter=0)
    assert not found.x.any() and not found.good.any()
    assert found.status is Status.MAXITER
