"""What other libraries call things: the tables of docs/guide/operator.rst, tried."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import ndimage, signal

from convinv import ConvLinearOperator, from_dlpack
from convinv._core.boundaries import ALIASES, BOUNDARIES

SIZES = [(k, l) for k in (1, 2, 3, 4, 5, 6) for l in (1, 2, 3, 4)]  # noqa: E741
every_size = pytest.mark.parametrize("taps", SIZES)


def data(taps, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((9, 10)), rng.standard_normal(taps)


def early(taps):
    """The larger half before."""
    return tuple((k // 2, (k - 1) // 2) for k in taps)


def late(taps):
    """The larger half after."""
    return tuple(((k - 1) // 2, k // 2) for k in taps)


def ours(image, kernel, **options):
    op = ConvLinearOperator(kernel[None, None], (1, *image.shape), **options)
    return op.forward(image[None])[0]


class TestKernels:
    """Where the kernel is, with even numbers of taps and odd ones."""

    @every_size
    @pytest.mark.parametrize("mode", ["constant", "wrap", "nearest", "mirror"])
    def test_ndimage(self, taps, mode):
        image, kernel = data(taps)
        made = {"boundary": mode}
        got = ours(image, kernel, padding=early(taps), **made)
        np.testing.assert_allclose(
            got, ndimage.correlate(image, kernel, mode=mode), atol=1e-12
        )
        got = ours(image, kernel, padding="same", flip=True, **made)
        np.testing.assert_allclose(
            got, ndimage.convolve(image, kernel, mode=mode), atol=1e-12
        )

    @every_size
    @pytest.mark.parametrize("mode", ["fill", "wrap", "symm"])
    def test_signal(self, taps, mode):
        image, kernel = data(taps)
        made = {"padding": early(taps), "boundary": mode}
        want = signal.convolve2d(image, kernel, "same", mode)
        np.testing.assert_allclose(
            ours(image, kernel, flip=True, **made), want, atol=1e-12
        )
        if mode == "fill":
            fast = signal.fftconvolve(image, kernel, "same")
            np.testing.assert_allclose(fast, want, atol=1e-12)

    @every_size
    def test_signal_correlate(self, taps):
        """Two functions, two conventions."""
        image, kernel = data(taps)
        functions = {signal.correlate: early(taps), signal.correlate2d: "same"}
        for correlate, padding in functions.items():
            want = correlate(image, kernel, "same")
            got = ours(image, kernel, padding=padding)
            np.testing.assert_allclose(got, want, atol=1e-12)

    @every_size
    def test_full_and_valid(self, taps):
        image, kernel = data(taps)
        whole = tuple((k - 1, k - 1) for k in taps)
        for mode, padding in {"full": whole, "valid": 0}.items():
            got = ours(image, kernel, padding=padding, flip=True)
            want = signal.convolve2d(image, kernel, mode)
            np.testing.assert_allclose(got, want, atol=1e-12)

    @every_size
    def test_fourier(self, taps):
        """The middle ``k // 2`` of the kernel moved to the origin."""
        image, kernel = data(taps)
        wide = np.zeros(image.shape)
        wide[: taps[0], : taps[1]] = kernel
        wide = np.roll(wide, [-(k // 2) for k in taps], (0, 1))
        want = np.fft.ifft2(np.fft.fft2(wide) * np.fft.fft2(image)).real
        made = {"padding": "same", "boundary": "periodic", "flip": True}
        np.testing.assert_allclose(ours(image, kernel, **made), want, atol=1e-12)

    @every_size
    @pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
    def test_torch(self, taps, mode):
        torch = pytest.importorskip("torch")
        image, kernel = data(taps)
        layer = torch.nn.Conv2d(
            1, 1, taps, padding="same", padding_mode=mode, bias=False
        ).double()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a copy, for even sizes
            layer.weight[0, 0] = torch.from_numpy(kernel)
            want = layer(torch.from_numpy(image)[None, None])[0, 0].numpy()
        got = ours(image, kernel, padding="same", boundary=mode)
        np.testing.assert_allclose(got, want, atol=1e-12)
        np.testing.assert_allclose(
            ours(image, kernel, padding=late(taps), boundary=mode), want, atol=1e-12
        )


class TestBoundaries:
    @pytest.mark.parametrize("name", ALIASES)
    def test_names_of_others(self, name):
        op = ConvLinearOperator(np.ones((1, 1, 3)), (1, 6), padding=2, boundary=name)
        want = ALIASES[name]
        assert op.geometry.boundary == want and want in BOUNDARIES
        assert op.options["boundary"] == want
        assert repr(want) in repr(op) or want == "zero"
        assert pickle.loads(pickle.dumps(op)).geometry == op.geometry

    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            ("zero", "constant"),
            ("zero", "grid-constant"),
            ("periodic", "grid-wrap"),
            ("reflect", "mirror"),
            ("symmetric", "reflect"),
            ("symmetric", "grid-mirror"),
            ("replicate", "nearest"),
        ],
    )
    def test_ndimage_means(self, ours, theirs):
        """Its default "reflect" is "symmetric" here."""
        x, taps = np.arange(1.0, 8), np.arange(1.0, 6)
        op = ConvLinearOperator(taps[None, None], (1, 7), padding=2, boundary=ours)
        want = ndimage.correlate1d(x, taps, mode=theirs)
        np.testing.assert_allclose(op.forward(x[None])[0], want)

    @pytest.mark.parametrize(
        ("name", "meant"),
        [("perodic", "periodic"), ("Zeros", "zero"), ("symetric", "symmetric")],
    )
    def test_a_name_that_is_nearly_right(self, name, meant):
        with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
            ConvLinearOperator(np.ones((1, 1, 3)), (1, 6), boundary=name)

    @pytest.mark.parametrize("name", ["qqq", None, 3, ["zero"], ("zero",)])
    def test_no_name(self, name):
        with pytest.raises(ValueError, match="boundary must be one of 'zero', 'per"):
            ConvLinearOperator(np.ones((1, 1, 3)), (1, 6), boundary=name)


class TestSameWithAStride:
    @pytest.mark.parametrize("seed", range(25))
    def test_the_error_names_same_upper(self, seed):
        """ONNX: ``ceil(n / s)`` outputs, the odd sample of padding at the end."""
        rng = np.random.default_rng(seed)
        ndim = rng.integers(1, 4)
        size, taps = rng.integers(3, 9, ndim), rng.integers(1, 5, ndim)
        stride, dilation = rng.integers(1, 4, ndim), rng.integers(1, 3, ndim)
        stride[0] = max(stride[0], 2)
        kernel = rng.standard_normal((2, 1, *taps))
        options = {"stride": tuple(stride.tolist()), "dilation": tuple(dilation)}
        with pytest.raises(ValueError, match="SAME_UPPER") as caught:
            ConvLinearOperator(kernel, (1, *size), padding="same", **options)
        text = str(caught.value).split("pass padding=")[1]
        named = eval(text.split(", for the padding")[0])
        op = ConvLinearOperator(kernel, (1, *size), padding=named, **options)
        assert op.output_shape[1:] == tuple(-(-size // stride))
        reach = (-(-size // stride) - 1) * stride + dilation * (taps - 1) + 1
        total = np.maximum(reach - size, 0)
        np.testing.assert_array_equal(
            named, np.stack([total // 2, total - total // 2], axis=1)
        )
        whole = eval(text.split("stride 1 padding=")[1])
        plain = {"dilation": options["dilation"], "padding": "same"}
        same = ConvLinearOperator(kernel, (1, *size), **plain)
        again = ConvLinearOperator(kernel, (1, *size), **{**plain, "padding": whole})
        assert same.geometry == again.geometry

    def test_values(self):
        """onnxruntime's answer."""
        op = ConvLinearOperator([[[1.0, 10, 100]]], (1, 8), stride=2, padding=((0, 1),))
        got = op.forward(np.arange(1.0, 9)[None])
        np.testing.assert_array_equal(got, [[321, 543, 765, 87]])


class TestArguments:
    @pytest.mark.parametrize("flip", ["no", 1.5, None, 1, 0, "True", [True]])
    def test_flip_is_true_or_false(self, flip):
        with pytest.raises(TypeError, match="flip must be True or False, got"):
            ConvLinearOperator(np.ones((1, 1, 3)), (1, 6), flip=flip)

    def test_flip_of_numpy(self):
        one, two = (
            ConvLinearOperator([[[1.0, 2, 3]]], (1, 6), flip=flip)
            for flip in (np.bool_(True), True)
        )
        np.testing.assert_array_equal(one.todense(), two.todense())
        assert repr(one) == repr(two)

    @pytest.mark.parametrize("kernel", [[[[1, 2], [1]]], [[[1.0], 2.0]]])
    def test_ragged_kernels(self, kernel):
        with pytest.raises(ValueError, match="kernel must be a regular array"):
            ConvLinearOperator(kernel, (1, 6))

    @pytest.mark.parametrize("dtype", ["int32", bool, "float16", "u1", np.int64])
    def test_dtypes_that_are_not_computed_in(self, dtype):
        with pytest.raises(TypeError, match="dtype must be float32, float64"):
            ConvLinearOperator(np.ones((1, 1, 3)), (1, 6), dtype=dtype)
        with pytest.raises(TypeError, match="dtype must be float32, float64"):
            ConvLinearOperator(np.ones((1, 1, 3)), (1, 6)).astype(dtype)

    @pytest.mark.parametrize("dtype", ["f4", float, ">f8", "complex64", complex])
    def test_dtypes_that_are(self, dtype):
        op = ConvLinearOperator(np.ones((1, 1, 3), "int8"), (1, 6), dtype=dtype)
        assert op.dtype == np.dtype(dtype).newbyteorder("=")

    def test_one_filter_needs_two_axes_more(self):
        with pytest.raises(ValueError, match=r"shape \(3, 3\); .*kernel\[None, None\]"):
            ConvLinearOperator(np.ones((3, 3)), (1, 6, 6))

    def test_the_kernel_stays(self):
        op = ConvLinearOperator(np.ones((1, 1, 3)), (1, 6))
        with pytest.raises(AttributeError, match="kernel"):
            op.kernel = np.zeros((1, 1, 3))
        with pytest.raises(ValueError, match="read-only"):
            op.kernel[...] = 2
        again = pickle.loads(pickle.dumps(op))
        np.testing.assert_array_equal(again.kernel, op.kernel)
        assert not again.kernel.flags.writeable


class TestBitsOfTensors:
    """DLPack passes memory on, which a lazy tensor does not show as it is."""

    def test_conjugate_and_negative(self):
        torch = pytest.importorskip("torch")
        z = torch.tensor([1 + 2j, 3 + 4j])
        np.testing.assert_array_equal(from_dlpack(z.conj().imag), [-2, -4])
        np.testing.assert_array_equal(from_dlpack(z.conj()), [1 - 2j, 3 - 4j])
        np.testing.assert_array_equal(from_dlpack(z.conj().real), [1, 3])
        np.testing.assert_array_equal(from_dlpack(z.imag), [2, 4])

    def test_others_share_their_memory(self):
        torch = pytest.importorskip("torch")
        z = torch.tensor([1 + 2j, 3 + 4j])
        from_dlpack(z)[0] = 9
        assert z[0] == 9
