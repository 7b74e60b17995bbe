"""deconvolve() is the minimizer of dense matrices, for every layout of pictures."""

import numpy as np
import pytest
from scipy import ndimage, signal

from convinv import gallery, imaging

MODES = {
    "zero": "constant",
    "periodic": "wrap",
    "reflect": "mirror",
    "symmetric": "reflect",
    "replicate": "nearest",
}
SIZE, TAPS, STRENGTH = (12, 10), (3, 4), 0.2
EXACT = {"rtol": 1e-10, "strength": STRENGTH}


def psf_of(taps=TAPS, seed=0):
    psf = np.random.default_rng(seed).random(taps) + 0.1
    return psf / psf.sum()


def matrix(function, shape):
    """The matrix of a linear map of arrays of this shape."""
    units = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    return np.stack([function(unit).ravel() for unit in units], axis=1)


def blurring(psf, boundary, size=SIZE, stride=1):
    """The matrix of the blur, the scene's shape and its part in the frame."""
    cut = (slice(None, None, stride),) * len(size)
    if boundary == "unknown":
        scene = [stride * (n - 1) + k for n, k in zip(size, psf.shape)]
        first = [k - 1 - k // 2 for k in psf.shape]
        scene = [max(m, f + stride * n) for m, f, n in zip(scene, first, size)]

        def blur(x):
            full = signal.convolve(x, psf, "valid", method="direct")[cut]
            return full[tuple(slice(0, n) for n in size)]

    else:
        scene, first = [n * stride for n in size], [0] * len(size)

        def blur(x):
            return ndimage.convolve(x, psf, mode=MODES[boundary])[cut]

    frame = tuple(slice(f, f + stride * n) for f, n in zip(first, size))
    return matrix(blur, scene), scene, frame


def penalty(name, scene, boundary):
    """The matrix of a regularizer."""
    wraps = boundary == "periodic"

    def gradient(x):
        append = [{"append": np.take(x, [0], a)} if wraps else {} for a in (0, 1)]
        parts = [np.diff(x, axis=a, **append[a]) for a in (0, 1)]
        return np.concatenate([part.ravel() for part in parts])

    maps = {"gradient": gradient, "identity": np.ravel}
    return matrix(maps[name], scene)


def minimizer(blur, rough, b, strength=STRENGTH, weights=1.0):
    weights = np.broadcast_to(weights, b.shape).ravel()
    normal = blur.T @ (weights[:, None] * blur) + strength**2 * rough.T @ rough
    return np.linalg.solve(normal, blur.T @ (weights * b.ravel()))


def expected(psf, b, boundary="unknown", stride=1, name="gradient", **options):
    blur, scene, frame = blurring(psf, boundary, b.shape, stride)
    x = minimizer(blur, penalty(name, scene, boundary), b, **options)
    return x.reshape(scene)[frame]


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, atol=1e-6 * abs(wanted).max())


@pytest.mark.parametrize("name", ["gradient", "identity"])
@pytest.mark.parametrize("boundary", ["unknown", *MODES])
def test_is_the_minimizer_at_every_boundary(boundary, name):
    b = np.random.default_rng(1).random(SIZE)
    psf = psf_of()
    found = imaging.deconvolve(b, psf, boundary=boundary, regularizer=name, **EXACT)
    close(found, expected(psf, b, boundary, name=name))


@pytest.mark.parametrize("boundary", ["unknown", "symmetric"])
@pytest.mark.parametrize("stride", [2, 3])
def test_finer_scenes(boundary, stride):
    b = np.random.default_rng(2).random((6, 5))
    psf = psf_of()
    found = imaging.deconvolve(b, psf, boundary=boundary, stride=stride, **EXACT)
    assert found.shape == (6 * stride, 5 * stride)
    close(found, expected(psf, b, boundary, stride))


def test_several_exposures_with_psfs_of_several_sizes():
    rng = np.random.default_rng(3)
    psfs = [psf_of((3, 3), 1), psf_of((5, 4), 2), psf_of((1, 3), 3)]
    images = [rng.random(SIZE) for _ in psfs]
    # With one center and one size, zeros around the smaller ones.
    wide = np.zeros((3, 5, 4))
    wide[0, 1:4, 1:4], wide[1], wide[2, 2:3, 1:4] = psfs
    parts = [blurring(psf, "unknown") for psf in wide]
    blur, scene, frame = np.concatenate([part[0] for part in parts]), *parts[0][1:]
    x = minimizer(blur, penalty("gradient", scene, "unknown"), np.stack(images))
    found = imaging.deconvolve(images, psfs, **EXACT)
    close(found, x.reshape(scene)[frame])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_channels_with_one_psf_and_with_their_own(axis):
    rng = np.random.default_rng(4)
    colors = rng.random((3, *SIZE))
    image = np.moveaxis(colors, 0, axis)
    found = imaging.deconvolve(image, psf_of(), channel_axis=axis, **EXACT)
    assert found.shape == image.shape
    close(
        np.moveaxis(found, axis, 0), np.stack([expected(psf_of(), c) for c in colors])
    )
    psfs = np.stack([psf_of(seed=seed) for seed in (5, 6, 7)])
    own = np.moveaxis(psfs, 0, axis)
    found = imaging.deconvolve(image, own, channel_axis=axis, **EXACT)
    wanted = [expected(psf, color) for psf, color in zip(psfs, colors)]
    close(np.moveaxis(found, axis, 0), np.stack(wanted))


def test_stacks_of_pictures_and_of_colors():
    stack = np.random.default_rng(5).random((2, 3, *SIZE))
    wanted = np.stack([[expected(psf_of(), b) for b in row] for row in stack])
    close(imaging.deconvolve(stack, psf_of(), **EXACT), wanted)
    colors = np.moveaxis(stack, 1, -1)
    found = imaging.deconvolve(colors, psf_of(), channel_axis=-1, **EXACT)
    close(found, np.moveaxis(wanted, 1, -1))


@pytest.mark.parametrize("how", ["mask", "nan", "masked array"])
def test_pixels_that_are_not_used(how):
    rng = np.random.default_rng(6)
    b, used = rng.random(SIZE), rng.random(SIZE) > 0.1
    wanted = expected(psf_of(), b, weights=used)
    bad = np.where(used, b, 1e6)
    if how == "mask":
        found = imaging.deconvolve(bad, psf_of(), mask=used, **EXACT)
    elif how == "nan":
        found = imaging.deconvolve(np.where(used, b, np.nan), psf_of(), **EXACT)
    else:
        masked = np.ma.masked_array(bad, mask=~used)
        found = imaging.deconvolve(masked, psf_of(), **EXACT)
    assert type(found) is np.ndarray
    close(found, wanted)


def test_weights_and_masks_of_colors():
    rng = np.random.default_rng(7)
    image, weights = rng.random((*SIZE, 3)), rng.random(SIZE) + 0.1
    used = rng.random(SIZE) > 0.1
    found = imaging.deconvolve(
        image, psf_of(), channel_axis=-1, weights=weights, mask=used, **EXACT
    )
    wanted = [expected(psf_of(), image[..., c], weights=weights * used) for c in (0, 2)]
    close(found[..., [0, 2]], np.stack(wanted, axis=-1))


def test_kernels_of_regularizers():
    b = np.random.default_rng(8).random(SIZE)
    kernel = np.array([[1.0, -2.0, 1.0]])
    boundary = "symmetric"  # the kernel would not reach all of an unknown scene
    found = imaging.deconvolve(
        b, psf_of(), regularizer=kernel, boundary=boundary, **EXACT
    )
    blur, scene, frame = blurring(psf_of(), boundary)
    rough = matrix(lambda x: signal.correlate(x, kernel, "valid"), scene)
    close(found, minimizer(blur, rough, b).reshape(scene)[frame])


@pytest.mark.parametrize("size, taps", [((6, 5, 4), (3, 1, 2)), ((20,), (4,))])
def test_three_axes_and_one(size, taps):
    b, psf = np.random.default_rng(9).random(size), psf_of(taps)
    scene = [n + k - 1 for n, k in zip(size, taps)]
    blur = matrix(lambda x: signal.convolve(x, psf, "valid", method="direct"), scene)
    rough = np.concatenate(
        [matrix(lambda x, a=a: np.diff(x, axis=a), scene) for a in range(len(size))]
    )
    frame = tuple(slice(k - 1 - k // 2, k - 1 - k // 2 + n) for n, k in zip(size, taps))
    x = minimizer(blur, rough, b).reshape(scene)[frame]
    close(imaging.deconvolve(b, psf, **EXACT), x)


def test_integers_and_precisions():
    from skimage.util import img_as_float

    rng = np.random.default_rng(10)
    psf = psf_of()
    for dtype in (np.uint8, np.uint16, np.int16, ">u2"):
        image = rng.integers(0, np.iinfo(dtype).max, SIZE).astype(dtype)
        found = imaging.deconvolve(image, psf, **EXACT)
        assert found.dtype == np.float64
        native = image.astype(image.dtype.newbyteorder("="))
        close(found, expected(psf, img_as_float(native)))
        found = imaging.deconvolve(image, psf, preserve_range=True, **EXACT)
        close(found, expected(psf, image.astype(float)))
    image = rng.random(SIZE)
    single = imaging.deconvolve(image.astype(np.float32), psf, strength=STRENGTH)
    assert single.dtype == np.float32
    assert imaging.deconvolve(image.astype(np.float16), psf).dtype == np.float32
    np.testing.assert_allclose(single, expected(psf, image), atol=1e-2)
    assert imaging.deconvolve(image > 0.5, psf).dtype == np.float64


def test_psf_is_divided_by_its_sum_unless_told():
    b = np.random.default_rng(11).random(SIZE)
    psf = psf_of()
    whole = (1000 * psf).round().astype(np.uint16)
    found = imaging.deconvolve(b, whole, **EXACT)
    close(found, expected(whole / whole.sum(), b))
    close(
        imaging.deconvolve(b, 2 * psf, normalize=False, **EXACT), expected(2 * psf, b)
    )


def test_center_of_even_psfs():
    star = np.zeros((32, 32))
    star[16, 16] = 1
    psf = np.outer(*[signal.windows.gaussian(6, 1.0)] * 2)
    for b, origin in (
        (signal.fftconvolve(star, psf, "same"), 2),
        (ndimage.convolve(star, psf), None),
        (ndimage.convolve(star, psf, origin=(-1, 0)), (2, 3)),
    ):
        found = imaging.deconvolve(b, psf, origin=origin, strength=1e-3)
        assert np.unravel_index(found.argmax(), found.shape) == (16, 16)


def test_result_tells_the_strength_and_the_noise():
    rng = np.random.default_rng(12)
    sharp = gallery.image("camera")[0, 200:300, 200:300]
    psf = gallery.gaussian_kernel(9, 1.2)
    b = imaging.blur(sharp, psf) + 0.02 * rng.standard_normal(sharp.shape)
    result = imaging.deconvolve(b, psf, return_result=True)
    strength = result.extra["strength"]
    np.testing.assert_array_equal(result.x, imaging.deconvolve(b, psf))
    np.testing.assert_array_equal(
        result.x, imaging.deconvolve(b, psf, strength=strength)
    )
    assert abs(result.extra["noise"] / 0.02 - 1) < 0.1
    assert f"strength {strength:.3g}" in result.message
    known = imaging.deconvolve(b, psf, noise=0.05, return_result=True)
    assert known.extra["strength"] > strength and known.extra["noise"] == 0.05


@pytest.mark.parametrize(
    ("model", "regularizer"),
    [("gaussian", "gradient"), ("gaussian", "tv"), ("poisson", "tv")],
)
def test_a_callback_ends_the_search(model, regularizer):
    image, heard = np.random.default_rng(0).random((20, 18)), []

    def callback(state):
        heard.append(state.nit)
        return len(heard) == 3

    options = {"strength": 0.01, "return_result": True, "callback": callback}
    if regularizer == "gradient":
        options["method"] = "cgls"
    result = imaging.deconvolve(
        image, psf_of((5, 5)), model=model, regularizer=regularizer, **options
    )
    assert len(heard) == 3 and result.nit == heard[-1]
    assert result.x.shape == image.shape


def test_strength_of_finer_scenes_is_near_the_best():
    rng = np.random.default_rng(14)
    fine, psfs = gallery.image("camera", 128)[0], []
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        psf = np.zeros((4, 4))
        psf[2 - row : 4 - row, 2 - column : 4 - column] = 0.25
        psfs.append(psf)
    images = [imaging.blur(fine, psf)[::2, ::2] for psf in psfs]
    images = [b + 0.01 * rng.standard_normal(b.shape) for b in images]

    def error(strength):
        found = imaging.deconvolve(images, psfs, stride=2, strength=strength)
        return np.linalg.norm(found - fine)

    assert error("auto") < 1.1 * min(map(error, (0.03, 0.1, 0.3, 1.0)))


@pytest.mark.parametrize(
    "options, text",
    [
        ({"psf": np.zeros((9, 1))}, "positive sum"),
        ({"psf": np.full((3, 3), np.nan)}, "psf holds NaN"),
        ({"psf": 1j * np.ones((3, 3))}, "psf must hold real numbers"),
        ({"psf": np.ones((3, 3, 3))}, "at least the 3 axes of psf"),
        ({"psf": np.ones((0, 3))}, "psf is empty"),
        ({"boundary": "open"}, '"unknown"'),
        ({"strength": "gcv"}, "strength must be one of 'auto'"),
        ({"strength": -1.0}, "strength must be finite and not negative"),
        ({"regularizer": "tikhonov"}, "regularizer must be one of"),
        ({"origin": (3, 0)}, "origin must be the pixel of psf"),
        ({"stride": 0}, "stride must be at least 1"),
        ({"mask": np.zeros(SIZE, bool)}, "no pixel with a value"),
        ({"mask": np.ones(SIZE)}, "mask must hold booleans"),
        ({"mask": np.ones((2, 2), bool)}, "mask must broadcast to the shape"),
        ({"weights": -np.ones(SIZE)}, "weights must be finite and not negative"),
        ({"image": np.full(SIZE, np.inf)}, "image holds infinity"),
        ({"image": np.zeros((10, 10, 3))}, "channel_axis=-1"),
        ({"image": [np.zeros(SIZE)] * 2, "psf": [np.ones((3, 3))]}, "same length"),
        ({"channel_axis": 5}, "channel_axis must be an axis"),
    ],
)
def test_errors_name_the_argument(options, text):
    given = {"image": np.zeros(SIZE), "psf": np.ones((3, 3)), **options}
    image, psf = given.pop("image"), given.pop("psf")
    with pytest.raises((TypeError, ValueError), match=text.replace("[", r"\[")):
        imaging.deconvolve(image, psf, **given)


def test_a_psf_with_its_center_in_the_corner_is_refused():
    psf = gallery.gaussian_kernel(9, 1.0)
    b = np.random.default_rng(13).random((24, 24))
    with pytest.raises(ValueError, match=r"np\.fft\.fftshift\(psf\)"):
        imaging.deconvolve(b, np.fft.ifftshift(psf))
    meant = np.zeros((7, 1))
    meant[0] = 1  # a shift by three pixels
    found = imaging.deconvolve(b, meant, origin=(0, 0), **EXACT)
    assert found.shape == b.shape
    imaging.deconvolve(b, np.eye(7)[:, :5])  # the corner holds as much as others
