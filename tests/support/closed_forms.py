"""Layers that a transform takes apart, and a solve of one against the pseudoinverse."""

import warnings

import numpy as np
import pytest

from convinv import ConvergenceWarning, ConvLinearOperator, solve
from convinv._closed_forms.forms import FrequencyForm, closed_form

from .arrays import random
from .layers import layer, matrix
from .oracles import pinv

every_damp = pytest.mark.parametrize("damp", [0.0, 0.3])


def outer(filters, channels, taps, groups=1, dtype="float64", seed=0):
    """A separable kernel, with factors of its own for every group."""
    kernel = random((groups, filters, channels), dtype, seed).astype(complex)
    for axis, size in enumerate(taps):
        row = random((groups, size), dtype, seed + 1 + axis)
        kernel = kernel[..., None] * row.reshape(groups, *[1] * (kernel.ndim - 1), -1)
    kernel = kernel.reshape(groups * filters, channels, *taps)
    return (kernel if np.dtype(dtype).kind == "c" else kernel.real).astype(dtype)


def even(shape, dtype="float64", seed=0):
    kernel = random(shape, dtype, seed)
    for axis in range(2, len(shape)):
        kernel = kernel + np.flip(kernel, axis)
    return kernel


# name: (filters and channels of a group, taps, input size, options)
SEPARABLE = {
    "blur": (1, 1, (5, 3), (7, 9), {"padding": "same"}),
    "valid": (1, 1, (3, 2), (6, 8), {}),
    "tall": (3, 2, (3, 3), (6, 5), {"padding": 1}),
    "wide": (2, 3, (3, 3), (5, 6), {"padding": ((2, 0), (1, 1))}),
    "stride": (4, 1, (3, 3), (7, 6), {"stride": (2, 1), "padding": 1}),
    "dilation": (2, 1, (3, 2), (7, 6), {"dilation": (2, 3), "padding": 2}),
    "groups": (2, 1, (3, 3), (5, 6), {"groups": 2, "padding": 1, "flip": True}),
    "depthwise": (1, 1, (3, 3), (5, 5), {"groups": 3, "padding": 1}),
    "one dimension": (2, 2, (4,), (9,), {"padding": ((2, 1),)}),
    "one filter": (1, 1, (4,), (11,), {"padding": ((1, 1),)}),
    "three dimensions": (2, 1, (2, 3, 2), (3, 4, 3), {"padding": (0, 1, 1)}),
    "a flat axis": (2, 1, (1, 3), (4, 5), {"padding": (0, 1)}),
}
EVEN = {
    "one filter": ((1, 1, 5, 3), (6, 7), {}),
    "tall": ((3, 2, 3, 3), (5, 4), {}),
    "wide": ((2, 3, 3, 3), (4, 5), {}),
    "many channels": ((6, 5, 3, 1), (4, 3), {}),
    "dilation": ((2, 2, 3, 3), (5, 6), {"dilation": (2, 1)}),
    "groups": ((4, 1, 3, 3), (4, 5), {"groups": 2}),
    "one dimension": ((3, 2, 5), (9,), {}),
    "three dimensions": ((2, 1, 3, 1, 3), (3, 2, 4), {}),
    "wider than the image": ((2, 1, 9, 9), (3, 4), {}),
    "one sample": ((2, 1, 3, 3), (1, 4), {}),
}
PATCHES = {
    "embedding": ((5, 2, 3, 2), (9, 6), {"stride": (3, 2)}),
    "tall": ((7, 1, 2, 2), (6, 4), {"stride": 2}),
    "samples left over": ((3, 2, 2, 3), (7, 8), {"stride": (3, 3)}),
    "left over, tall": ((8, 1, 2, 2), (5, 7), {"stride": (2, 3)}),
    "groups": ((4, 2, 2, 2), (4, 5), {"stride": 2, "groups": 2, "flip": True}),
    "interleaved": ((3, 1, 2), (8,), {"dilation": 4}),
    "dilation": ((3, 1, 2, 2), (8, 6), {"stride": (4, 3), "dilation": (3, 2)}),
    "wraps": ((3, 1, 3), (9,), {"stride": 3, "padding": 1, "boundary": "periodic"}),
    "one tap": ((3, 2, 1, 1), (3, 4), {"groups": 1}),
    "three dimensions": ((3, 1, 2, 1, 2), (4, 3, 5), {"stride": (2, 1, 2)}),
}


def separable(name, dtype="float64", boundary="zero", **more):
    filters, channels, taps, size, options = SEPARABLE[name]
    options = {**options, **more}
    groups = options.get("groups", 1)
    kernel = outer(filters, channels, taps, groups, dtype)
    size = (channels * groups, *size)
    return ConvLinearOperator(kernel, size, boundary=boundary, **options)


def cosine(name, dtype="float64", boundary="symmetric"):
    shape, size, options = EVEN[name]
    size = (shape[1] * options.get("groups", 1), *size)
    options = {"padding": "same", "boundary": boundary, **options}
    return ConvLinearOperator(even(shape, dtype), size, **options)


def patches(name, dtype="float64"):
    shape, size, options = PATCHES[name]
    size = (shape[1] * options.get("groups", 1), *size)
    return layer(shape, size, dtype, **options)


def kind(op):
    """The kind of blocks of a layer's closed form, SeparableForm, or None."""
    form = closed_form(op)
    return (
        type(form.blocks()) if isinstance(form, FrequencyForm) else form and type(form)
    )


def single(op):
    return op.dtype in ("float32", "complex64")


def check(op, damp=0.0, start=False):
    """One solve by the closed form against the dense pseudoinverse."""
    A = matrix(op)
    m, n = A.shape
    b = random((2, *op.output_shape), op.dtype, 7)
    x0 = random((2, *op.input_shape), op.dtype, 8) if start else None
    with warnings.catch_warnings():
        # rounding of a single precision kernel makes zeros small, not zero
        warnings.simplefilter("ignore" if single(op) else "error", ConvergenceWarning)
        result = solve(
            op, b, "spectral", damp=damp, x0=x0, rtol=1e-5 if single(op) else 1e-10
        )
    assert result.x.dtype == op.dtype
    right = b.reshape(2, -1).T.astype(A.dtype)
    if damp:
        stacked = np.vstack([A, damp * np.eye(n)])
        right = np.vstack([right, np.zeros((n, 2))])
        expected = np.linalg.lstsq(stacked, right, rcond=None)[0].T
        size = np.linalg.norm(right) / damp
    else:
        cut = 1e-5 if single(op) else 1e-11
        base = np.zeros((n, 2)) if x0 is None else x0.reshape(2, -1).T
        expected = (base + pinv(A, cut) @ (right - A @ base)).T
        s = np.linalg.svd(A, compute_uv=False)
        size = np.linalg.norm(right) / s[s > cut * s[0]].min() + np.linalg.norm(base)
    error = np.linalg.norm(result.x.reshape(2, -1) - expected)
    assert error <= (1e-5 if single(op) else 1e-10) * size
    assert single(op) or (result.success and result.nit <= 3)
    return result
