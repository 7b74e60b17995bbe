"""Layers that a transform takes apart, inverted exactly: against dense matrices."""

import gc
import warnings
import weakref

import numpy as np
import pytest

from convinv import ConvergenceWarning, ConvLinearOperator, Status, solve
from convinv._closed_forms.cosine import CosineBlocks
from convinv._closed_forms.forms import FrequencyForm, SeparableForm, closed_form
from convinv._closed_forms.patches import PatchBlocks
from convinv.operators._symbol import Blocks
from support.arrays import BOUNDARIES, doubles, every_dtype, random
from support.layers import layer, matrix
from support.oracles import pinv

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
            assert kind(op) is not CosineBlocks
            return
        assert kind(op) is CosineBlocks
        for one in (op, op.H, op.T):
            check(one, damp)

    @pytest.mark.parametrize("name", PATCHES)
    def test_windows_that_do_not_overlap(self, name, dtype, damp):
        op = patches(name, dtype)
        assert kind(op) is PatchBlocks
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
        assert kind(op) is CosineBlocks and not closed_form(op).orthonormal
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


class TestWhatIsTaken:
    def test_kinds_in_order(self):
        """The cheapest of those that are to be had."""
        blur = outer(1, 1, (3, 3))
        size = {"input_shape": (1, 6, 6), "padding": 1}
        assert kind(ConvLinearOperator(blur, boundary="periodic", **size)) is Blocks
        assert kind(ConvLinearOperator(blur, boundary="symmetric", **size)) is (
            SeparableForm
        )
        blur = blur + blur[:, :, ::-1]
        blur = blur + blur[..., ::-1]
        for boundary, wanted in (
            ("symmetric", CosineBlocks), ("replicate", CosineBlocks),
            ("reflect", SeparableForm), ("zero", SeparableForm),
        ):  # fmt: skip
            assert kind(ConvLinearOperator(blur, boundary=boundary, **size)) is wanted
        op = ConvLinearOperator(blur, (1, 6, 6), stride=3, boundary="periodic")
        assert kind(op) is PatchBlocks

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
def test_device_equals_host(dtype, damp):
    from support.cuda_host import installed

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
            with installed() as cupy:
                kernel = cupy.asarray(host.kernel)
                op = ConvLinearOperator(kernel, host.input_shape, **host._options)
                op = op.H if turned else op
                b, x0 = cupy.asarray(b), cupy.asarray(x0)
                got = solve(op, b, "spectral", damp=damp, x0=x0, rtol=rtol)
                assert isinstance(got.x, cupy.ndarray) and got.success
                size = np.abs(want.x).max()
                np.testing.assert_allclose(got.x.get(), want.x, atol=10 * rtol * size)


def test_no_cosine_transform_on_a_device():
    from support.cuda_host import installed

    host = cosine("tall")
    with installed() as cupy:
        kernel = cupy.asarray(host.kernel)
        op = ConvLinearOperator(kernel, host.input_shape, **host._options)
        with pytest.raises(ValueError, match="and its arrays are on a device"):
            solve(op, cupy.asarray(random(op.output_shape)), "spectral")
