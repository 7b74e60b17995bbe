"""Products of random layers against their definition, and that against torch."""

import math

import numpy as np
import pytest
from hypothesis import given, settings

from convinv import ConvLinearOperator
from support import oracles
from support.arrays import BOUNDARIES, normal
from support.operator_layers import assert_close, eps
from support.random_layers import (
    configurations,
    full_options,
    random_layer,
    wide_kernel,
)


def torch_product(torch, kernel, x, options):
    """``(y, function from y's cotangent to x's)`` in double precision."""
    ndim = x.ndim - 2
    x = torch.from_numpy(x).requires_grad_()
    padded = x
    if options["boundary"] == "zero":
        widths = [p for pair in reversed(options["padding"]) for p in pair]
        padded = torch.nn.functional.pad(x, widths)
    else:
        for axis, pair in enumerate(options["padding"]):
            mode = oracles.MODES[options["boundary"]]
            shown = np.pad(np.arange(x.shape[2 + axis]), pair, mode=mode)
            padded = padded.index_select(2 + axis, torch.from_numpy(shown))
    convolve = getattr(torch.nn.functional, f"conv{ndim}d")
    y = convolve(
        padded,
        torch.from_numpy(np.ascontiguousarray(kernel)),
        stride=options["stride"],
        dilation=options["dilation"],
        groups=options["groups"],
    )

    def back(v):
        return torch.autograd.grad(y, x, torch.from_numpy(v))[0].numpy()

    return y.detach().numpy(), back


@settings(max_examples=100)
@given(configurations())
def test_the_oracle_agrees_with_torch(c):
    torch = pytest.importorskip("torch")
    rng, batch, kernel, op = random_layer(c)
    kernel, options = wide_kernel(kernel, op), full_options(op)
    x = normal(rng, (math.prod(batch), *op.input_shape), kernel.dtype)
    expected, back = torch_product(torch, kernel, x, options)
    y = oracles.correlate_forward(kernel, x, **options)
    size = np.max(np.abs(kernel)) * kernel[0].size
    assert_close(y, expected, size * np.max(np.abs(x)))
    v = normal(rng, y.shape, kernel.dtype)
    w = oracles.correlate_adjoint(kernel, v, op.input_shape, **options)
    assert_close(w, back(v), adjoint_size(size, op, options) * np.max(np.abs(v)))


def adjoint_size(size, op, options):
    """How large a sample of the adjoint can be: the more often it is shown."""
    shown = [1 + sum(p) / n for p, n in zip(options["padding"], op.input_shape[1:])]
    return size * math.prod(shown) * op.output_shape[0] / options["groups"]


@given(configurations())
def test_random_layers(c):
    """Against the definition, forward and adjoint, and the dot test."""
    dtype = c["dtype"]
    rng, batch, kernel, op = random_layer(c)
    x = normal(rng, (*batch, *op.input_shape), dtype)
    y = op.forward(x)
    v = normal(rng, y.shape, dtype)
    w = op.adjoint(v)
    assert y.dtype == w.dtype == dtype
    assert y.shape == (*batch, *op.output_shape) and w.shape == x.shape

    wide = np.result_type(dtype, "float64")
    kernel, options = wide_kernel(kernel, op), full_options(op)
    x_, v_ = (
        a.reshape(math.prod(batch), *shape).astype(wide)
        for a, shape in ((x, op.input_shape), (v, op.output_shape))
    )
    expected = oracles.correlate_forward(kernel, x_, **options)
    size = np.max(np.abs(kernel)) * kernel[0].size
    assert_close(y.reshape(expected.shape), expected, size * np.max(np.abs(x_)))

    expected = oracles.correlate_adjoint(kernel, v_, op.input_shape, **options)
    size = adjoint_size(size, op, options)
    assert_close(w.reshape(expected.shape), expected, size * np.max(np.abs(v_)))

    left, right = np.vdot(v_, y.astype(wide)), np.vdot(w.astype(wide), x_)
    norms = np.linalg.norm(v_) * np.linalg.norm(y) + np.linalg.norm(w) * np.linalg.norm(
        x_
    )
    assert abs(left - right) <= 200 * eps(y) * (norms + size)


@pytest.mark.parametrize("before", [0, 1, 6])
@pytest.mark.parametrize("after", [0, 2, 5])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("size", [1, 2, 7])
def test_asymmetric_padding(size, boundary, before, after):
    """Every boundary with padding on one side only, none, and several folds."""
    kernel = np.random.default_rng(16).standard_normal((2, 1, 1))
    padding = ((before, after),)
    op = ConvLinearOperator(kernel, (1, size), padding=padding, boundary=boundary)
    x = np.random.default_rng(17).standard_normal(size)
    padded = np.pad(x, (before, after), mode=oracles.MODES[boundary])
    expected = np.outer(kernel, padded).ravel()
    np.testing.assert_allclose(op.matvec(x), expected, rtol=1e-14)
