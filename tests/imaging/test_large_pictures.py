"""Pictures that are read by regions, against the same ones in memory."""

import numpy as np
import pytest

from convinv import gallery, imaging

SIZE = (60, 52)
MODES = ["unknown", "zero", "periodic", "reflect", "symmetric", "replicate"]
PENALTIES = {
    "gradient": "gradient",
    "laplacian": "laplacian",
    "identity": "identity",
    "kernel": np.array([[1.0, -1.0]]),
}
STRONG = {"strength": 0.7, "rtol": 1e-12}  # few samples of a halo suffice
SMALL = 300_000  # bytes for several tiles


class Regions:
    """An array of which only slices are to be had; they are counted."""

    def __init__(self, array):
        self._array, self.shape, self.dtype = array, array.shape, array.dtype
        self.total = self.largest = 0

    def __getitem__(self, region):
        assert all(isinstance(part, slice) for part in region)
        found = np.array(self._array[region])
        self.total, self.largest = self.total + found.size, max(
            self.largest, found.size
        )
        return found


def psf_of(taps=(3, 4), seed=0):
    psf = np.random.default_rng(seed).random(taps) + 0.1
    psf[1, 1] += 3
    return psf


def photograph(shape, dtype):
    """Pictures of this shape, blurred and noisy."""
    rng = np.random.default_rng(2)
    image = gallery.image("camera", 256)[0]
    image = imaging.blur(image, gallery.gaussian_kernel(7, 1.2))
    places = rng.integers(0, 90, (int(np.prod(shape[:-2])), 2))
    parts = [image[i : i + shape[-2], j : j + shape[-1]] for i, j in places]
    found = np.stack(parts).reshape(shape) + 0.01 * rng.standard_normal(shape)
    return found.astype(dtype) * (1 + 0.5j if np.dtype(dtype).kind == "c" else 1)


def blurred(shape=SIZE, dtype=float, seed=1):
    rng = np.random.default_rng(seed)
    image = rng.random(shape)
    if np.dtype(dtype).kind == "c":
        image = image + 1j * rng.random(shape)
    scale = np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else 1
    return (scale * image).astype(dtype)


def both(image, psf, max_memory=SMALL, **options):
    """The result in tiles, and the picture found in memory."""
    options = {**STRONG, **options}
    sources = image if isinstance(image, list) else [image]
    regions = [Regions(one) for one in sources]
    regions = regions if isinstance(image, list) else regions[0]
    found = imaging.deconvolve(
        regions, psf, max_memory=max_memory, return_result=True, **options
    )
    assert found.success and found.method == "tiles"
    return found, imaging.deconvolve(image, psf, **options)


def close(found, wanted, tolerance=1e-10):
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    assert np.linalg.norm(found - wanted) <= tolerance * np.linalg.norm(wanted)


@pytest.mark.parametrize("boundary", MODES)
@pytest.mark.parametrize("name", PENALTIES)
def test_every_boundary_and_penalty(boundary, name):
    if name == "kernel" and boundary == "unknown":
        pytest.skip("pixels beyond the frame are in few rows: 1e-12 is out of reach")
    found, wanted = both(
        blurred(), psf_of(), boundary=boundary, regularizer=PENALTIES[name]
    )
    ends_on_a_ring = name == "kernel" and boundary == "periodic"  # are not cut
    assert ends_on_a_ring or np.prod(found.extra["tiles"]) > 1
    close(found.x, wanted)


@pytest.mark.parametrize("boundary", MODES)
def test_single_precision(boundary):
    image = blurred(dtype="float32")
    found, wanted = both(image, psf_of(), boundary=boundary, rtol=1e-7)
    close(found.x, wanted, 1e-6)


@pytest.mark.parametrize("boundary", ["unknown", "symmetric"])
def test_finer_scenes(boundary):
    image = blurred((30, 26))
    found, wanted = both(image, psf_of((4, 3)), boundary=boundary, stride=2)
    assert np.prod(found.extra["tiles"]) > 1
    close(found.x, wanted)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "complex64", bool])
def test_dtypes(dtype):
    image = blurred(dtype="uint8") > 99 if dtype is bool else blurred(dtype=dtype)
    found, wanted = both(image, psf_of(), rtol=1e-7 if dtype == "complex64" else 1e-12)
    close(found.x, wanted, 1e-6 if dtype == "complex64" else 1e-10)
    if np.dtype(dtype).kind in "iu":
        kept, wanted = both(image, psf_of(), preserve_range=True)
        close(kept.x, wanted)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("own", [False, True])
def test_colors(axis, own):
    image = np.moveaxis(blurred((3, *SIZE)), 0, axis)
    psf = psf_of()
    if own:
        psf = np.moveaxis(np.stack([psf_of(seed=seed) for seed in range(3)]), 0, axis)
    found, wanted = both(image, psf, channel_axis=axis)
    close(found.x, wanted)


@pytest.mark.parametrize("axis", [None, 1, 2, -1])
def test_stacks(axis):
    shape = [2, 2, 36, 30]
    if axis is not None:
        shape.insert(axis, 3)
    image = blurred(tuple(shape))
    found, wanted = both(image, psf_of(), channel_axis=axis, max_memory="1GB")
    close(found.x, wanted)


def test_several_exposures():
    images, psfs = [blurred(seed=1), blurred(seed=2)], [psf_of(), psf_of((5, 2), 3)]
    found, wanted = both(images, psfs)
    close(found.x, wanted)


def test_a_volume_and_a_line():
    found, wanted = both(blurred((16, 20, 18)), psf_of((3, 2, 3)), max_memory=500_000)
    close(found.x, wanted)
    line = np.array([0.2, 0.7, 0.3])
    found, wanted = both(blurred((3000,)), line, max_memory=100_000)
    close(found.x, wanted)


@pytest.mark.parametrize(
    "shape, options",
    [
        ((150, 140), {}),
        ((2, 3, 80, 70), {"channel_axis": 1}),
        ((60, 70), {"stride": 2}),
    ],
)
@pytest.mark.parametrize("kind", ["float64", "complex128"])
def test_the_automatic_strength_is_that_of_memory(shape, options, kind):
    image, psf = photograph(shape, kind), gallery.gaussian_kernel(7, 1.2)
    found, _ = both(image, psf, strength="auto", rtol=1e-3, max_memory="1GB", **options)
    wanted = imaging.deconvolve(image, psf, return_result=True, **options)
    for name in ("strength", "noise"):
        np.testing.assert_allclose(found.extra[name], wanted.extra[name], rtol=1e-6)


def test_large_pictures_are_never_read_whole(monkeypatch):
    monkeypatch.setattr("convinv._regularize.welch.MOST", 9)
    image = Regions(photograph((170, 160), "float32"))
    options = {"max_memory": "2MB", "callback": lambda state: True}
    found = imaging.deconvolve(image, psf_of(), return_result=True, **options)
    assert np.prod(found.extra["tiles"]) > 1
    assert image.largest < 170 * 160
    read = image.total
    imaging.deconvolve(image, psf_of(), strength=found.extra["strength"], **options)
    assert read - (image.total - read) == 9 * 64 * 64


def test_memory_maps_from_file_to_file(tmp_path):
    image = blurred(dtype="float32")
    np.save(tmp_path / "image.npy", image)
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    target = np.lib.format.open_memmap(tmp_path / "scene.npy", "w+", "float32", SIZE)
    given = {"strength": 0.7, "rtol": 1e-6, "max_memory": SMALL}
    found = imaging.deconvolve(mapped, psf_of(), out=target, **given)
    assert found is target
    target.flush()
    given.pop("max_memory")
    close(
        np.load(tmp_path / "scene.npy"),
        imaging.deconvolve(image, psf_of(), **given),
        2e-6,
    )


def test_arrays_of_zarr_and_hdf5(tmp_path):
    zarr, h5py = pytest.importorskip("zarr"), pytest.importorskip("h5py")
    image = blurred((*SIZE, 3), "uint16")
    store = zarr.create_array(
        tmp_path / "image.zarr", shape=image.shape, chunks=(16, 20, 3), dtype="uint16"
    )
    store[...] = image
    wanted = imaging.deconvolve(image, psf_of(), channel_axis=-1, **STRONG)
    out = zarr.create_array(
        tmp_path / "scene.zarr", shape=image.shape, chunks=(16, 20, 3), dtype="float64"
    )
    options = {"channel_axis": -1, "max_memory": SMALL, **STRONG}
    assert imaging.deconvolve(store, psf_of(), out=out, **options) is out
    close(out[...], wanted)
    with h5py.File(tmp_path / "image.h5", "w") as file:
        data = file.create_dataset("image", data=image)
        close(imaging.deconvolve(data, psf_of(), **options), wanted)


@pytest.mark.parametrize("regularizer", ["gradient", "tv"])
def test_out_for_a_picture_in_memory(regularizer):
    image, out = blurred(), np.zeros(SIZE)
    options = {"strength": 0.1, "regularizer": regularizer}
    found = imaging.deconvolve(image, psf_of(), out=out, **options)
    assert found is out
    np.testing.assert_array_equal(out, imaging.deconvolve(image, psf_of(), **options))


@pytest.mark.parametrize("regions", [False, True])
def test_errors_of_out(regions):
    image = Regions(blurred()) if regions else blurred()
    for out, kind, text in (
        (np.zeros((3, 3)), ValueError, r"out must have the shape \(60, 52\)"),
        (np.zeros(SIZE, int), TypeError, "out must hold floating-point numbers"),
        ([1, 2], ValueError, "out must have the shape"),
    ):
        with pytest.raises(kind, match=text):
            imaging.deconvolve(image, psf_of(), out=out, **STRONG)


@pytest.mark.parametrize(
    "options, text",
    [
        ({"regularizer": "tv"}, "regularizer='tv' needs an image in memory"),
        ({"model": "poisson"}, "model='poisson' needs an image in memory"),
        ({"mask": np.ones(SIZE, bool)}, "mask needs an image in memory"),
        ({"weights": np.ones(SIZE)}, r"weights needs .* np.asarray\(image\)"),
        ({"bounds": (0, None)}, "bounds needs an image in memory"),
        ({"method": "cgls"}, "method='cgls' needs an image in memory"),
    ],
)
def test_what_tiles_can_not_do(options, text):
    with pytest.raises(ValueError, match=text):
        imaging.deconvolve(Regions(blurred()), psf_of(), **options)


def test_pixels_without_a_value_are_refused():
    image = blurred()
    image[40, 30] = np.nan
    with pytest.raises(ValueError, match=r"image holds NaN or infinity in \["):
        imaging.deconvolve(Regions(image), psf_of(), **STRONG)


def test_a_callback_ends_the_search():
    seen = []

    def callback(state):
        seen.append(state.nit)
        return True

    found = imaging.deconvolve(
        Regions(blurred()), psf_of(), callback=callback, return_result=True, **STRONG
    )
    assert seen == [1] and found.status.name == "STOPPED"
