"""Which closed form is taken, what is kept of it, and on which device."""

import gc
import weakref

import numpy as np
import pytest

from convinv import ConvLinearOperator, solve
from convinv._closed_forms.cosine import CosineSymbol
from convinv._closed_forms.forms import SeparableForm, closed_form
from convinv._closed_forms.patches import PatchSymbol
from convinv.operators._symbol import Symbol
from support.arrays import BOUNDARIES, every_dtype, random
from support.closed_forms import (
    check,
    cosine,
    even,
    every_damp,
    kind,
    outer,
    patches,
    separable,
)
from support.layers import layer


class TestWhatIsTaken:
    def test_kinds_in_order(self):
        """The cheapest of those that are to be had."""
        blur = outer(1, 1, (3, 3))
        size = {"input_shape": (1, 6, 6), "padding": 1}
        assert kind(ConvLinearOperator(blur, boundary="periodic", **size)) is Symbol
        assert kind(ConvLinearOperator(blur, boundary="symmetric", **size)) is (
            SeparableForm
        )
        blur = blur + blur[:, :, ::-1]
        blur = blur + blur[..., ::-1]
        for boundary, wanted in (
            ("symmetric", CosineSymbol), ("replicate", CosineSymbol),
            ("reflect", SeparableForm), ("zero", SeparableForm),
        ):  # fmt: skip
            assert kind(ConvLinearOperator(blur, boundary=boundary, **size)) is wanted
        op = ConvLinearOperator(blur, (1, 6, 6), stride=3, boundary="periodic")
        assert kind(op) is PatchSymbol

    @pytest.mark.parametrize("boundary", BOUNDARIES[:1] + BOUNDARIES[2:])
    @pytest.mark.parametrize("dtype", ["float32", "complex128"])
    def test_ordinary_layers_are_not(self, boundary, dtype):
        options = {"padding": 1, "boundary": boundary}
        for shape in ((1, 1, 3, 3), (4, 2, 3, 3), (2, 1, 4), (6, 1, 3, 1, 3)):
            groups = 2 if shape[0] == 6 else 1
            size = (shape[1] * groups, *[6] * (len(shape) - 2))
            op = layer(shape, size, dtype, groups=groups, **options)
            assert closed_form(op) is None and closed_form(op.H) is None

    def test_one_filter_or_group_that_is_not_separable(self):
        kernel = outer(3, 2, (3, 3), groups=2)
        op = ConvLinearOperator(kernel, (4, 5, 5), groups=2)
        assert kind(op) is SeparableForm
        for place in ((0, 1, 2, 2), (5, 0, 0, 1)):
            other = kernel.copy()
            other[place] *= 1 + 1e-9
            op = ConvLinearOperator(other, (4, 5, 5), groups=2)
            assert closed_form(op) is None

    def test_one_tap_that_is_not_even(self):
        kernel = even((3, 2, 3, 3))
        options = {"padding": "same", "boundary": "symmetric"}
        for place in ((0, 0, 0, 1), (2, 1, 2, 2)):
            other = kernel.copy()
            other[place] *= 1 + 1e-9
            assert closed_form(ConvLinearOperator(other, (2, 5, 5), **options)) is None

    @pytest.mark.parametrize(
        "options",
        [{"padding": ((0, 2), 1)}, {"padding": 0}, {"padding": 1, "stride": 2}],
    )
    def test_even_kernels_that_are_not_centered(self, options):
        op = ConvLinearOperator(
            even((3, 2, 3, 3)), (2, 6, 6), boundary="symmetric", **options
        )
        assert closed_form(op) is None

    @pytest.mark.parametrize(
        "options",
        [
            {"stride": 2}, {"stride": 3, "padding": 1}, {"stride": (3, 2)},
            {"stride": 3, "padding": 1, "boundary": "reflect"},
        ],
    )  # fmt: skip
    def test_windows_that_overlap_or_leave_the_image(self, options):
        assert closed_form(layer((4, 2, 3, 3), (2, 9, 9), **options)) is None

    def test_kernels_of_single_precision(self):
        """Rounded entry by entry; a small entry is not rounding of a large one."""
        narrow = outer(2, 2, (5, 5), dtype="float32")
        for dtype in ("float32", "float64"):
            op = ConvLinearOperator(narrow.astype(dtype), (2, 7, 7))
            assert kind(op) is SeparableForm
        result = solve(op, op.forward(random(op.input_shape)), "spectral", rtol=1e-9)
        assert result.success
        noisy = narrow * (1 + 1e-5 * random(narrow.shape, "float32", 5))
        assert closed_form(ConvLinearOperator(noisy, (2, 7, 7))) is None
        diagonal = np.diag([1e8, 1.0]).astype("float32")[None, None]
        assert closed_form(ConvLinearOperator(diagonal, (1, 7, 7))) is None

    def test_axes_that_are_too_long(self, monkeypatch):
        monkeypatch.setattr("convinv._closed_forms.separable_kernel.LONGEST", 8)
        assert closed_form(separable("valid")) is not None
        assert closed_form(separable("blur")) is None

    def test_groups_that_are_too_many(self, monkeypatch):
        monkeypatch.setattr("convinv._closed_forms.separable_kernel.MOST", 200)
        alike = np.repeat(outer(1, 1, (3, 3)), 3, axis=0)
        op = ConvLinearOperator(alike, (3, 5, 5), groups=3, padding=1)
        assert closed_form(op) is not None
        op = separable("depthwise")
        assert closed_form(op) is None
        with pytest.raises(ValueError, match="its groups take too many SVDs"):
            solve(op, random(op.output_shape), "spectral")

    def test_the_refusal_says_why(self):
        for op, words in (
            (layer((2, 1, 3, 3), (1, 6, 6)), "windows overlap .*is not separable"),
            (layer((1, 1, 3, 3), (1, 6, 2000), padding=1), "longer than the 1024"),
            (
                layer((1, 1, 3, 3), (1, 6, 6), padding=1, boundary="symmetric"),
                "kernel or its padding is not even",
            ),
            (layer((1, 1, 3, 3), (1, 6, 6)), "its boundary is not 'symmetric'"),
        ):
            with pytest.raises(ValueError, match=f"{words}.*use method='auto'"):
                solve(op, random(op.output_shape), "spectral")


def test_groups_of_one_kernel_share_its_svds():
    """Up to a factor: color images that are blurred alike."""
    blur = outer(1, 1, (3, 3))
    kernel = np.concatenate([blur, 0.3 * blur, -blur])
    op = ConvLinearOperator(kernel, (3, 5, 6), groups=3, padding=1)
    left = closed_form(op).decomposition.left
    assert [len(left[axis]) for axis in left] == [1, 1]
    check(op)


def test_one_set_up_serves_every_damp_and_the_adjoint(monkeypatch):
    op = separable("tall")
    calls, svd = [], np.linalg.svd

    def counted(*args, **options):
        calls.append(args)
        return svd(*args, **options)

    monkeypatch.setattr(np.linalg, "svd", counted)
    for damp in (0.0, 0.1, 0.2):
        solve(op, random(op.output_shape), "spectral", damp=damp)
        solve(op.H, random(op.input_shape), "spectral", damp=damp)
    assert len(calls) == 3  # of the channels and of two axes


@pytest.mark.parametrize("make", [separable, cosine, patches])
def test_operators_are_freed_with_what_they_keep(make):
    op = make("tall")
    gc.disable()
    try:
        solve(op, random(op.output_shape), "spectral", damp=0.1)
        solve(op.H, random(op.input_shape), "spectral")
        alive = weakref.ref(op)
        del op
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("make", [separable, cosine, patches])
@every_dtype
def test_estimates(make, dtype):
    """Memory of what is kept, and time that grows with the batch."""
    op = make("tall", dtype)
    for one in (op, op.H):
        form = closed_form(one)
        assert 0 < form.setup < form.seconds(1) < form.seconds(100)
        assert form.reason
    if make is separable:
        kept = closed_form(op).decomposition.nbytes
        assert kept <= closed_form(op).nbytes <= 2 * kept


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
@every_damp
def test_device_equals_host(cupy, dtype, damp):
    rtol = 1e-5 if dtype == "complex64" else 1e-10
    for host in (
        separable("groups", dtype), separable("tall", dtype, "reflect"),
        patches("embedding", dtype), patches("dilation", dtype),
        patches("left over, tall", dtype),
    ):  # fmt: skip
        for turned in (False, True):
            one = host.H if turned else host
            b, x0 = (random(s, dtype, 9) for s in (one.output_shape, one.input_shape))
            want = solve(one, b, "spectral", damp=damp, x0=x0, rtol=rtol)
            kernel = cupy.asarray(host.kernel)
            op = ConvLinearOperator(kernel, host.input_shape, **host.options)
            op = op.H if turned else op
            b, x0 = cupy.asarray(b), cupy.asarray(x0)
            got = solve(op, b, "spectral", damp=damp, x0=x0, rtol=rtol)
            assert isinstance(got.x, cupy.ndarray) and got.success
            size = np.abs(want.x).max()
            np.testing.assert_allclose(got.x.get(), want.x, atol=10 * rtol * size)


def test_no_cosine_transform_on_a_device(cupy):
    host = cosine("tall")
    kernel = cupy.asarray(host.kernel)
    op = ConvLinearOperator(kernel, host.input_shape, **host.options)
    with pytest.raises(ValueError, match="and its arrays are on a device"):
        solve(op, cupy.asarray(random(op.output_shape)), "spectral")
