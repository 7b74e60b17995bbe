"""Operators of every kind on device arrays, against the same ones on the host."""

import numpy as np
import pytest

from convinv.operators import StackedOperator
from support.arrays import normal
from support.operator_kinds import ON_DEVICES, made


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("kind", ON_DEVICES)
def test_products(cupy, kind, dtype):
    op, (host, matrix) = made(kind, dtype, cupy)[0], made(kind, dtype)
    assert op.xp is cupy and op.shape == host.shape
    rng, eps = np.random.default_rng(0), np.finfo(dtype).eps
    atol = 100 * eps * np.abs(matrix).sum()
    for way, shape in (
        ("apply", op.input_shape),
        ("apply_adjoint", op.output_shape),
    ):
        X = normal(rng, (2, *shape), dtype)
        expected = getattr(host, way)(X)
        product, given = getattr(op, way), cupy.asarray(X)
        Y = product(given)
        assert isinstance(Y, cupy.ndarray) and Y.dtype == expected.dtype
        np.testing.assert_allclose(Y.get(), expected, atol=atol)
        out = cupy.empty(expected.shape, dtype=expected.dtype)
        _, squares = product(given, out=out, sumsq=True)
        np.testing.assert_array_equal(out.get(), Y.get())
        own = np.sum(np.abs(Y.get().reshape(2, -1).astype("c16")) ** 2, axis=1)
        np.testing.assert_allclose(squares.get(), own, rtol=1e-12)
        with pytest.raises(TypeError, match="must be a .*array"):
            (op.forward if way == "apply" else op.adjoint)(X)


@pytest.mark.parametrize("kind", ON_DEVICES)
def test_expressions(cupy, kind):
    op, host = (made(kind, "complex128", xp)[0] for xp in (cupy, np))
    other, own = (made("diagonal", "complex128", xp)[0] for xp in (cupy, np))
    rng = np.random.default_rng(1)
    for found, wanted in (
        (2 * op @ other, 2 * host @ own),
        ((op @ other).H, (host @ own).H),
        (op.T, host.T),
    ):
        x = normal(rng, wanted.shape[1], "complex128")
        got = found @ cupy.asarray(x)
        np.testing.assert_allclose(got.get(), wanted @ x, atol=1e-12)


def test_libraries_do_not_mix(cupy):
    device, host = made("diagonal", xp=cupy)[0], made("convolution")[0]
    for combine in (
        lambda: device + host,
        lambda: device @ host,
        lambda: StackedOperator([host, device]),
    ):
        with pytest.raises(TypeError, match="cannot combine operators on"):
            combine()


def test_split_and_stack(cupy):
    op = made("stacked", xp=cupy)[0]
    y = cupy.asarray(np.arange(float(op.shape[0])).reshape(op.output_shape))
    parts = op.split(y)
    assert all(isinstance(part, cupy.ndarray) for part in parts)
    np.testing.assert_array_equal(op.stack(parts).get(), y.get())
