"""Layers that a transform takes apart, inverted exactly: against dense matrices."""

import numpy as np
import pytest

from convinv import ConvergenceWarning, ConvLinearOperator, Status, solve
from convinv._closed_forms.cosine import CosineSymbol
from convinv._closed_forms.forms import SeparableForm, closed_form
from convinv._closed_forms.patches import PatchSymbol
from support.arrays import BOUNDARIES, doubles, every_dtype, random
from support.closed_forms import (
    EVEN,
    PATCHES,
    SEPARABLE,
    check,
    cosine,
    even,
    every_damp,
    kind,
    outer,
    patches,
    separable,
)
from support.layers import matrix
from support.oracles import pinv


@every_damp
@every_dtype
class TestAnswers:
    @pytest.mark.parametrize("name", SEPARABLE)
    def test_separable_kernels(self, name, dtype, damp):
        op = separable(name, dtype)
        assert kind(op) is SeparableForm
        for one in (op, op.H, op.T):
            check(one, damp)

    @pytest.mark.parametrize("boundary", ["symmetric", "replicate"])
    @pytest.mark.parametrize("name", EVEN)
    def test_even_kernels(self, name, dtype, damp, boundary):
        op = cosine(name, dtype, boundary)
        if boundary == "replicate" and max(op.geometry.before) > 1:
            assert kind(op) is not CosineSymbol
            return
        assert kind(op) is CosineSymbol
        for one in (op, op.H, op.T):
            check(one, damp)

    @pytest.mark.parametrize("name", PATCHES)
    def test_windows_that_do_not_overlap(self, name, dtype, damp):
        op = patches(name, dtype)
        assert kind(op) is PatchSymbol
        for one in (op, op.H, op.T):
            check(one, damp)

    @pytest.mark.parametrize("name", ["tall", "wide", "stride", "groups", "depthwise"])
    @pytest.mark.parametrize("boundary", BOUNDARIES)
    def test_separable_kernels_of_every_boundary(self, name, boundary, dtype, damp):
        op = separable(name, dtype, boundary)
        for one in (op, op.H):
            check(one, damp)


@every_damp
@doubles
def test_starting_points(dtype, damp):
    """Without damp the solution nearest to x0; with it x0 makes no difference."""
    layers = [separable(name, dtype) for name in ("blur", "tall", "wide", "stride")]
    layers += [cosine(name, dtype) for name in ("tall", "wide")]
    layers += [patches(name, dtype) for name in ("embedding", "left over, tall")]
    for op in layers:
        for one in (op, op.H):
            check(one, damp, start=True)


@doubles
@pytest.mark.parametrize("seed", range(6))
def test_random_separable_layers(seed, dtype):
    rng = np.random.default_rng(seed)
    groups, filters, channels = rng.integers(1, 4, 3)
    ndim = rng.integers(1, 4)
    taps, dilation, stride = (rng.integers(1, 4, ndim).tolist() for _ in range(3))
    padding = [tuple(pair) for pair in rng.integers(0, 3, (ndim, 2)).tolist()]
    size = [d * (k - 1) + 1 + int(rng.integers(1, 3)) for d, k in zip(dilation, taps)]
    options = {"dilation": dilation, "stride": stride, "padding": padding}
    options["boundary"] = BOUNDARIES[seed % 5]
    kernel = outer(filters, channels, taps, groups, dtype, seed)
    op = ConvLinearOperator(
        kernel, (channels * groups, *size), groups=int(groups), **options
    )
    assert closed_form(op) is not None
    for damp in (0.0, 0.3):
        check(op, damp)
        check(op.H, damp)


def deficient(kind):
    """A layer of each kind with singular values of zero, and how many."""
    if kind == "separable":  # the second filter repeats the first, a difference in y
        kernel = np.array([1.0, 2.0])[:, None, None, None] * np.array([[1.0], [-1.0]])
        kernel = kernel * np.array([0.5, 1.0, 0.25])
        options = {"padding": ((1, 0), 1), "boundary": "replicate"}
        return ConvLinearOperator(kernel, (1, 5, 6), **options)
    if kind == "patches":
        kernel = np.repeat(random((1, 2, 2, 2)), 3, axis=0)
        return ConvLinearOperator(kernel, (2, 5, 6), stride=2)
    kernel = random((2, 1, 1, 1)) * np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
    return ConvLinearOperator(kernel, (1, 5, 6), padding=1, boundary="symmetric")


@every_damp
@pytest.mark.parametrize("kind", ["separable", "even", "patches"])
def test_rank_deficient_layers(kind, damp):
    """Least norm, and the rank in the notes."""
    op = deficient(kind)
    assert closed_form(op) is not None
    rank = np.linalg.matrix_rank(matrix(op))
    assert rank < min(op.shape)
    for one in (op, op.H):
        result = check(one, damp)
        if not damp:
            assert result.extra["rank"] == rank
            assert "singular values are below rounding" in result.message


@pytest.mark.parametrize("make", [lambda: separable("tall"), lambda: cosine("tall")])
def test_truncation(make):
    op = make()
    A, b = matrix(op), random(op.output_shape, seed=3)
    s = np.linalg.svd(A, compute_uv=False)
    middle = slice(len(s) // 4, 3 * len(s) // 4)
    kept = 1 + middle.start + int(np.argmax(s[middle] / s[1:][middle]))
    rcond = float(np.sqrt(s[kept - 1] * s[kept]) / s[0])
    with pytest.warns(ConvergenceWarning, match=f"below rcond={rcond:g}"):
        result = solve(op, b, "spectral", rcond=rcond)
    assert result.extra["rank"] == kept and result.status is Status.STALLED
    np.testing.assert_allclose(result.x.ravel(), pinv(A, rcond) @ b.ravel(), atol=1e-11)


class TestReflect:
    """The cosine transform of that boundary is not orthonormal."""

    @every_dtype
    @pytest.mark.parametrize(
        "name", ["one filter", "dilation", "one dimension", "three dimensions"]
    )
    def test_layers_of_full_rank(self, name, dtype):
        shape, size, options = EVEN[name]
        shape = (2, 2, *shape[2:])
        options = {"padding": "same", "boundary": "reflect", **options}
        kernel = even(shape, dtype)
        kernel[0, 0] += 4 * np.linalg.norm(kernel)  # not separable
        kernel[0, 0, *(k // 2 for k in shape[2:])] += 9 * np.linalg.norm(kernel)
        op = ConvLinearOperator(kernel, (2, *size), **options)
        assert kind(op) is CosineSymbol and not closed_form(op).orthonormal
        for one in (op, op.H):
            assert check(one).extra["rank"] == one.shape[0]

    def test_what_is_refused(self):
        tall = cosine("tall", boundary="reflect")
        assert closed_form(tall) is None
        op = cosine("dilation", boundary="reflect")
        b = random(op.output_shape)
        for options in ({"damp": 0.1}, {"rcond": 0.1}):
            with pytest.raises(ValueError, match="not orthonormal; use method='auto'"):
                solve(op, b, "spectral", **options)

    def test_a_singular_layer(self):
        laplacian = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
        op = ConvLinearOperator(laplacian, (1, 6, 7), padding=1, boundary="reflect")
        with pytest.warns(ConvergenceWarning, match="1 of 42 eigenvalues .* are zero"):
            result = solve(op, op.forward(np.eye(6, 7)[None]), "spectral")
        assert result.status is Status.BREAKDOWN and not result.x.any()


def test_complex_data_of_a_real_layer():
    """The SVDs stay real."""
    op = separable("tall")
    b = random(op.output_shape, "complex128", 4)
    result = solve(op, b, "spectral", rtol=1e-10)
    np.testing.assert_allclose(result.x.ravel(), pinv(matrix(op)) @ b.ravel())
    form = closed_form(op.astype("complex128"))
    assert all(taps.dtype == "float64" for taps in form.factors.taps)


@every_damp
def test_groups_without_a_kernel(damp):
    kernel = outer(2, 1, (3, 3), groups=3)
    kernel[2:4] = 0
    op = ConvLinearOperator(kernel, (3, 5, 6), groups=3, padding=1)
    assert kind(op) is SeparableForm
    check(op, damp)
