"""The functions named like those of skimage.restoration, beside the real ones."""

import inspect

import numpy as np
import pytest
from scipy import fft, ndimage

restoration = pytest.importorskip("skimage.restoration")
from convinv import gallery, imaging  # noqa: E402
from convinv.interop import skimage as ours  # noqa: E402
from convinv.proximal import total_variation  # noqa: E402

RNG = np.random.default_rng(0)
SCENE = gallery.image("camera")[0, 100:164, 150:214]
PSF = RNG.random((5, 7))
PSF /= PSF.sum()
CORNER = np.outer([1.0, 2, 1], [1, 0, 1]) - 2  # symmetric


def psnr(found, scene):
    return -10 * np.log10(((found - scene) ** 2).mean())


@pytest.fixture(scope="module")
def photograph():
    """A scene, and its picture, into which the blur brings what is beyond the frame."""
    scene = gallery.image("camera")[0, 80:208, 140:268]
    psf = gallery.gaussian_kernel(13, 2.0)
    blurred = imaging.blur(scene, psf, boundary="unknown")
    noise = 0.01 * np.random.default_rng(1).standard_normal(blurred.shape)
    return scene[6:-6, 6:-6], blurred + noise, psf


@pytest.mark.parametrize("name", ours.__all__)
def test_signatures(name):
    """Theirs, and what there is beside them by keyword."""
    theirs = inspect.signature(getattr(restoration, name)).parameters
    mine = dict(inspect.signature(getattr(ours, name)).parameters)
    boundary = mine.pop("boundary", None)
    assert boundary is None or boundary.kind is boundary.KEYWORD_ONLY
    assert list(mine) == list(theirs)
    for key, parameter in theirs.items():
        assert mine[key].default == parameter.default
        assert mine[key].kind is parameter.kind


def test_needs_no_scikit_image(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "skimage", None)
    ours.wiener(SCENE, PSF, 0.1)
    ours.richardson_lucy(SCENE, PSF, 2)
    ours.denoise_tv_chambolle(SCENE)


class TestWiener:
    @pytest.mark.parametrize("reg", [None, CORNER], ids=["laplacian", "given"])
    @pytest.mark.parametrize("taps", [(5, 7), (4, 6), (1, 1)])
    @pytest.mark.parametrize("size", [(64, 64), (61, 50)])
    def test_periodic(self, reg, taps, size):
        """The same to rounding: the same minimizer, exactly."""
        image, psf = SCENE[: size[0], : size[1]], RNG.random(taps)
        wanted = restoration.wiener(image, psf, 0.05, reg, clip=False)
        found = ours.wiener(image, psf, 0.05, reg, clip=False, boundary="periodic")
        np.testing.assert_allclose(found, wanted, atol=1e-12)

    @pytest.mark.parametrize("shape", [(40,), (9, 8, 7)])
    def test_other_numbers_of_axes(self, shape):
        image, psf = RNG.random(shape), RNG.random((3,) * len(shape))
        wanted = restoration.wiener(image, psf, 0.1, clip=False)
        found = ours.wiener(image, psf, 0.1, clip=False, boundary="periodic")
        np.testing.assert_allclose(found, wanted, atol=1e-12)

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint8, np.int32])
    def test_dtypes_and_ranges(self, dtype):
        image = (SCENE * (1 if dtype in (np.float16, np.float32) else 200)).astype(
            dtype
        )
        for clip in (True, False):
            wanted = restoration.wiener(image, PSF, 0.05, clip=clip)
            found = ours.wiener(image, PSF, 0.05, clip=clip, boundary="periodic")
            assert found.dtype == wanted.dtype
            atol = 1e-4 if found.dtype == np.float32 else 1e-9
            np.testing.assert_allclose(found, wanted, atol=atol)

    @pytest.mark.parametrize("is_real", [True, False])
    def test_transfer_functions(self, is_real):
        """Of symmetric functions, of whose others scikit-image drops a part."""
        psf = ndimage.gaussian_filter(np.pad([[1.0]], 3), 1.0)
        full = np.zeros(SCENE.shape)
        full[:7, :7] = psf
        full = np.roll(full, (-3, -3), (0, 1))
        transfer = fft.rfftn(full) if is_real else fft.fftn(full)
        given = {"is_real": is_real, "clip": False}
        found = ours.wiener(SCENE, transfer, 0.05, **given)
        np.testing.assert_allclose(
            found, ours.wiener(SCENE, psf, 0.05, clip=False, boundary="periodic")
        )
        wanted = restoration.wiener(SCENE, transfer, 0.05, **given)
        np.testing.assert_allclose(found, wanted.real, atol=1e-12)

    def test_a_transfer_function_that_is_not_symmetric(self):
        full = np.zeros(SCENE.shape)
        full[:5, :7] = PSF
        transfer = fft.rfftn(np.roll(full, (-2, -3), (0, 1)))
        found = ours.wiener(SCENE, transfer, 0.05, clip=False)
        wanted = restoration.wiener(SCENE, PSF, 0.05, clip=False)
        np.testing.assert_allclose(found, wanted, atol=1e-12)

    def test_frame(self, photograph):
        """By default the minimizer does not ring at the edges."""
        scene, blurred, psf = photograph
        theirs = psnr(restoration.wiener(blurred, psf, 1e-3), scene)
        assert psnr(ours.wiener(blurred, psf, 1e-3), scene) > theirs + 5

    def test_minimizes(self):
        """With an unknown boundary, by a dense solve."""
        image, psf = SCENE[:7, :8], PSF[:3, :2]
        size = np.add(image.shape, psf.shape) - 1
        unit = np.eye(size.prod()).reshape(-1, *size)
        blur = np.stack([_valid(one, psf).ravel() for one in unit], 1)
        kernel = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0.0]])
        bend = [ndimage.convolve(one, kernel, mode="reflect").ravel() for one in unit]
        stack = np.concatenate([blur, 0.3**0.5 * np.stack(bend, 1)])
        right = np.concatenate([image.ravel(), np.zeros(size.prod())])
        wanted = np.linalg.lstsq(stack, right)[0].reshape(size)
        # pixel i of the picture sees pixel i + 1 of the scene through the center
        found = ours.wiener(image, psf, 0.3, clip=False)
        np.testing.assert_allclose(found, wanted[1:-1, :-1], atol=1e-2)

    def test_without_penalty(self):
        """A balance of 0 is the inverse."""
        psf = np.zeros((3, 3))
        psf[1, 1], psf[0, 2] = 1.0, 0.3
        blurred = ndimage.convolve(SCENE, psf, mode="wrap")
        found = ours.wiener(blurred, psf, 0, boundary="periodic")
        np.testing.assert_allclose(found, SCENE, atol=1e-6)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ((SCENE, PSF, -1.0), "balance"),
            ((SCENE, PSF[0], 1.0), "psf must have the 2 axes of image, got 1"),
            ((SCENE, PSF, 1.0, PSF[0]), "reg must have the 2 axes of image, got 1"),
            ((SCENE, PSF.astype(complex), 1.0), r"psf, a transfer function, must have"),
        ],
    )
    def test_refused(self, arguments, words):
        with pytest.raises(ValueError, match=words):
            ours.wiener(*arguments)

    def test_transfer_functions_are_periodic(self):
        with pytest.raises(ValueError, match="belongs to a periodic picture"):
            ours.wiener(SCENE, fft.rfftn(SCENE), 1.0, boundary="zero")
        with pytest.raises(ValueError, match="boundary"):
            ours.wiener(SCENE, PSF, 1.0, boundary="none")


def _valid(image, psf):
    """The blur where it takes nothing from beyond the frame."""
    flipped = psf[::-1, ::-1]
    windows = np.lib.stride_tricks.sliding_window_view(image, psf.shape)
    return (windows * flipped).sum((-2, -1))


class TestUnsupervisedWiener:
    def test_finds_the_noise_and_a_balance(self, photograph):
        scene, blurred, psf = photograph
        found, chains = ours.unsupervised_wiener(blurred, psf)
        assert chains["noise"][0] == pytest.approx(1e4, rel=0.3)
        balance = chains["prior"][0] / chains["noise"][0]
        np.testing.assert_allclose(ours.wiener(blurred, psf, balance), found)
        trials = [
            psnr(ours.wiener(blurred, psf, balance * f), scene) for f in (0.05, 20)
        ]
        assert psnr(found, scene) > max(trials)

    def test_beside_theirs(self, photograph):
        scene, blurred, psf = photograph
        theirs, _ = restoration.unsupervised_wiener(blurred, psf, rng=0)
        found, _ = ours.unsupervised_wiener(blurred, psf)
        assert psnr(found, scene) > psnr(theirs, scene) + 3

    def test_periodic(self):
        """Where its assumption holds, of the same quality."""
        blurred = ndimage.convolve(SCENE, PSF, mode="wrap")
        blurred = blurred + 0.01 * RNG.standard_normal(SCENE.shape)
        theirs, chains = restoration.unsupervised_wiener(blurred, PSF, rng=0)
        found, mine = ours.unsupervised_wiener(blurred, PSF, boundary="periodic")
        assert psnr(found, SCENE) > psnr(theirs, SCENE) - 0.5
        assert mine["noise"][0] == pytest.approx(chains["noise"][-1], rel=0.5)

    def test_options(self):
        given = {"threshold": 1e-3, "burnin": 1, "min_num_iter": 2, "max_num_iter": 9}
        found, _ = ours.unsupervised_wiener(SCENE, PSF, user_params=given, rng=3)
        wanted, _ = ours.unsupervised_wiener(SCENE, PSF, user_params={"callback": None})
        np.testing.assert_array_equal(found, wanted)
        for params in ({"callback": print}, {"steps": 3}):
            with pytest.raises(ValueError, match="user_params must have the keys"):
                ours.unsupervised_wiener(SCENE, PSF, user_params=params)
        with pytest.raises((TypeError, ValueError)):
            ours.unsupervised_wiener(SCENE, PSF, rng="seed")


class TestRichardsonLucy:
    @pytest.fixture
    def dark(self):
        """Light in the middle of a dark picture."""
        image = np.zeros((40, 44))
        image[13:27, 15:29] = RNG.random((14, 14))
        return image

    @pytest.mark.parametrize("num_iter", [1, 25])
    @pytest.mark.parametrize("total", [1.0, 3.0])
    def test_iterates(self, dark, num_iter, total):
        """Those of scikit-image where the frame does not matter."""
        psf = total * PSF
        wanted = restoration.richardson_lucy(dark, psf, num_iter, clip=False)
        found = ours.richardson_lucy(dark, psf, num_iter, clip=False, boundary="zero")
        np.testing.assert_allclose(found, wanted, atol=1e-9)

    def test_volumes(self):
        image = np.zeros((14, 13, 12))
        image[5:9, 5:8, 4:8] = RNG.random((4, 3, 4))
        psf = RNG.random((3, 3, 5))
        wanted = restoration.richardson_lucy(image, psf, 5)
        found = ours.richardson_lucy(image, psf, 5, boundary="zero")
        np.testing.assert_allclose(found, wanted, atol=1e-9)

    @pytest.mark.parametrize("dtype", [np.float32, np.uint8])
    def test_dtypes_and_ranges(self, dark, dtype):
        image = (dark * (200 if dtype is np.uint8 else 1)).astype(dtype)
        for clip in (True, False):
            wanted = restoration.richardson_lucy(image, PSF, 5, clip)
            found = ours.richardson_lucy(image, PSF, 5, clip, boundary="zero")
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)

    def test_frame(self, photograph):
        """Edges that are neither dark nor ring."""
        scene, blurred, psf = photograph
        theirs = psnr(restoration.richardson_lucy(blurred, psf, 30), scene)
        assert psnr(ours.richardson_lucy(blurred, psf, 30), scene) > theirs + 3
        even = ours.richardson_lucy(np.full((20, 20), 0.7), PSF, 10)
        np.testing.assert_allclose(even, 0.7, atol=1e-3)

    def test_even_sizes(self, dark):
        """A scene comes back where it was; theirs moves."""
        psf = np.ones((4, 4)) / 16
        blurred = imaging.blur(dark, psf, boundary="zero", origin=1)
        found = ours.richardson_lucy(blurred, psf, 60, boundary="zero")
        theirs = restoration.richardson_lucy(blurred, psf, 60)
        assert psnr(found, dark) > psnr(blurred, dark) + 1 > psnr(theirs, dark)

    def test_noise_below_zero(self, dark):
        noisy = dark - 0.1
        found = ours.richardson_lucy(noisy, PSF, 5)
        np.testing.assert_array_equal(
            found, ours.richardson_lucy(noisy.clip(0), PSF, 5, filter_epsilon=1e-3)
        )

    def test_refused(self):
        with pytest.raises(ValueError, match="psf must have the 2 axes of image"):
            ours.richardson_lucy(SCENE, PSF[None])
        with pytest.raises((TypeError, ValueError), match="num_iter"):
            ours.richardson_lucy(SCENE, PSF, -1)
        with pytest.raises(TypeError, match="clip"):
            ours.richardson_lucy(SCENE, PSF, 1, 0.5)


# both near the minimizer, each by its own test of it
THEIRS = {"eps": 1e-10, "max_num_iter": 5000}
OURS = {"eps": 1e-6, "max_num_iter": 5000}


@pytest.fixture(scope="module")
def noisy():
    return SCENE + 0.1 * np.random.default_rng(0).standard_normal(SCENE.shape)


class TestTotalVariation:
    @pytest.mark.parametrize("weight", [0.05, 0.2])
    def test_same_minimizer(self, noisy, weight):
        wanted = restoration.denoise_tv_chambolle(noisy, weight, **THEIRS)
        found = ours.denoise_tv_chambolle(noisy, weight, **OURS)
        np.testing.assert_allclose(found, wanted, atol=5e-3)

    def test_default_accuracy(self, noisy):
        """The cost is as near to its least value as `eps` says; theirs is not."""

        def cost(x, weight=0.1):
            return ((x - noisy) ** 2).sum() / 2 + weight * total_variation(x)

        least = cost(ours.denoise_tv_chambolle(noisy, **OURS))
        first = cost(noisy)
        mine = cost(ours.denoise_tv_chambolle(noisy)) - least
        theirs = cost(restoration.denoise_tv_chambolle(noisy)) - least
        assert mine <= 2e-4 * first < theirs

    @pytest.mark.parametrize("shape", [(50,), (12, 11, 10)])
    def test_other_numbers_of_axes(self, shape):
        image = RNG.random(shape)
        wanted = restoration.denoise_tv_chambolle(image, 0.1, **THEIRS)
        found = ours.denoise_tv_chambolle(image, 0.1, **OURS)
        np.testing.assert_allclose(found, wanted, atol=5e-3)

    @pytest.mark.parametrize("axis", [0, -1])
    def test_channels(self, axis):
        image = (
            RNG.random((3, 16, 18, 3))[..., 0] if axis == 0 else RNG.random((16, 18, 3))
        )
        wanted = restoration.denoise_tv_chambolle(
            image, 0.1, **THEIRS, channel_axis=axis
        )
        found = ours.denoise_tv_chambolle(image, 0.1, **OURS, channel_axis=axis)
        np.testing.assert_allclose(found, wanted, atol=5e-3)

    def test_integers(self):
        image = (255 * SCENE).astype(np.uint8)
        wanted = restoration.denoise_tv_chambolle(image, **THEIRS)
        found = ours.denoise_tv_chambolle(image, **OURS)
        assert found.dtype == wanted.dtype == np.float64
        np.testing.assert_allclose(found, wanted, atol=5e-3)

    def test_refused(self):
        with pytest.raises(ValueError, match="channel_axis must be an axis of image"):
            ours.denoise_tv_chambolle(SCENE, channel_axis=2)
        with pytest.raises(ValueError, match="weight"):
            ours.denoise_tv_chambolle(SCENE, -1)


def test_tensors():
    """PyTorch's pictures give PyTorch's."""
    torch = pytest.importorskip("torch")
    image = torch.from_numpy(SCENE)
    found = ours.wiener(image, torch.from_numpy(PSF), 0.1)
    assert isinstance(found, torch.Tensor)
    np.testing.assert_array_equal(found.numpy(), ours.wiener(SCENE, PSF, 0.1))
