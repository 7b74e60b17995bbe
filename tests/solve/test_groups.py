"""Layers with groups of which some can't be inverted."""

import numpy as np
import pytest

import convinv
from convinv import ConvLinearOperator, solve
from convinv._solve.groups import part_of, split_groups
from support.arrays import random
from support.layers import layer, matrix


def close(x, truth, tolerance):
    x, truth = np.ravel(x), np.ravel(truth)
    assert np.linalg.norm(x - truth) <= tolerance * np.linalg.norm(truth)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1},
        {"boundary": "reflect", "padding": 1, "flip": True},
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_parts_are_blocks_of_the_matrix(options, dtype):
    op = layer((6, 2, 2, 3), (6, 5, 6), dtype, groups=3, **options)
    for whole, A in ((op, matrix(op)), (op.H, matrix(op).conj().T)):
        parts = split_groups(whole)
        rest = A.copy()
        for part in [*parts, part_of(whole, [0, 2])]:
            block = np.ix_(part.data, part.unknowns)
            np.testing.assert_array_equal(part.op.todense(), A[block])
            rest[block] = 0
        assert not rest.any()
        assert sorted(np.concatenate([p.data for p in parts])) == [*range(len(A))]


def shortest(op, b):
    """The least-squares solutions of least norm, group by group."""
    x = np.zeros((len(b), op.shape[1]), np.result_type(b, float))
    for part in split_groups(op):
        inverse = np.linalg.pinv(matrix(part.op), rcond=1e-6)
        x[:, part.unknowns] = b[:, part.data] @ inverse.T
    return x


def mixed(dtype="float64", size=(11, 10), **options):
    """Three regular groups, one that is blind to a channel, and one of zeros."""
    kernel = random((15, 2, 3, 3), dtype)
    kernel[3:6, 1] = kernel[3:6, 0]
    kernel[9:12] = 0
    return ConvLinearOperator(kernel, (10, *size), groups=5, padding=1, **options)


@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
def test_singular_groups_change_nothing_for_the_others(dtype, batch):
    op = mixed(dtype)
    b = random((*batch, *op.output_shape), dtype, 2)
    before = b.copy()
    result = solve(op, b, rtol=1e-9 if dtype != "float32" else 1e-6)
    np.testing.assert_array_equal(b, before)
    assert result.success and result.x.shape == (*batch, *op.input_shape)
    assert result.x.dtype == dtype
    told = result.extra["groups"]
    assert [t["groups"] for t in told] == [[0, 2, 3, 4], [1]]
    assert told[0]["method"] == "direct" and "groups 1: " in result.message
    A = matrix(op)
    flat_b, flat = b.reshape(-1, len(A)), result.x.reshape(-1, A.shape[1])
    expected = shortest(op, flat_b)
    for part in split_groups(op):
        truth = expected[:, part.unknowns]
        if int(part.groups[0]) in (0, 2, 4):
            tolerance = 1e-8 if dtype != "float32" else 1e-5
        else:
            tolerance = 1e-4
        error = np.linalg.norm(flat[:, part.unknowns] - truth)
        assert error <= tolerance * max(np.linalg.norm(truth), 1e-300)
    residual = flat_b - flat @ A.T
    norms = np.linalg.norm(residual, axis=1)
    np.testing.assert_allclose(np.ravel(result.residual_norm), norms, rtol=1e-4)
    assert result.nit == len(result.history)


def test_a_group_as_good_as_alone():
    """A depthwise layer of two random kernels; one is far worse than the other."""
    n = 28
    x = np.random.default_rng(0).random((2, n, n))
    kernel = np.random.default_rng(2).uniform(-1, 1, (2, 1, 3, 3)) / 3
    op = ConvLinearOperator(kernel, (2, n, n), padding=1, groups=2)
    result = solve(op, op.forward(x), rtol=1e-10, on_failure="ignore")
    close(result.x[0], x[0], 2e-6)


@pytest.mark.parametrize("damp", [0.0, 0.2])
def test_adjoints_starts_and_columns(damp):
    op = mixed()
    y = random(op.output_shape, seed=3)
    b = op.H.forward(y)
    result = solve(op.H, b, damp=damp, rtol=1e-9)
    assert result.success and ("groups" in result.extra) == (damp == 0)
    if damp:
        A = matrix(op).T
        expected = np.linalg.solve(
            A.T @ A + damp**2 * np.eye(A.shape[1]), A.T @ b.ravel()
        )
    else:
        expected = shortest(op.H, b.reshape(1, -1))
    close(result.x, expected, 1e-5)
    x0 = random(op.input_shape, seed=5)
    columns = np.stack([op.forward(x0).ravel()] * 2, axis=1)
    started = solve(op, columns, x0=x0.ravel())
    close(started.x, np.stack([x0.ravel()] * 2, axis=1), 1e-12)
    assert started.nit == 0 and started.success
    nearest = solve(op, random(op.output_shape), x0=x0, rtol=1e-10).x.ravel()
    start = x0.ravel() - shortest(op, op.forward(x0).reshape(1, -1)).ravel()
    least = shortest(op, random(op.output_shape).reshape(1, -1)).ravel()
    close(nearest, start + least, 1e-5)


def test_callbacks_see_all_groups():
    op = mixed()
    seen = []

    def callback(state):
        seen.append((state.nit, state.x.shape, float(state.residual_norm)))

    result = solve(op, random(op.output_shape), callback=callback)
    assert result.success and len(seen) > 2
    assert [nit for nit, *_ in seen] == [*range(1, len(seen) + 1)]
    assert {shape for _, shape, _ in seen} == {op.input_shape}
    stopped = solve(op, random(op.output_shape), callback=lambda state: True)
    assert stopped.status is convinv.Status.STOPPED


def test_all_groups_singular():
    kernel = random((6, 2, 3, 3))
    kernel[:, 1] = kernel[:, 0]
    op = ConvLinearOperator(kernel, (4, 12, 11), groups=2)
    x = random(op.input_shape)
    result = solve(op, op.forward(x), rtol=1e-9)
    expected = np.linalg.pinv(matrix(op), rcond=1e-9) @ op.forward(x).ravel()
    assert result.success
    close(result.x, expected, 1e-5)


def test_many_dead_filters():
    for living in (np.arange(80) % 2 == 0, np.arange(80) > 73):
        kernel = random((80, 1, 3, 3)) * living[:, None, None, None]
        part = ConvLinearOperator(kernel, (40, 8, 8), groups=40, padding=1)
        b = random(part.output_shape)
        result = solve(part, b, rtol=1e-9, maxiter=2000)
        expected = shortest(part, b.reshape(1, -1))
        assert result.success
        close(result.x, expected, 1e-4)
