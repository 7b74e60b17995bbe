"""Large arrays in files, read and written by regions."""

import os
import pickle
import sys

import numpy as np
import pytest

from convinv._files import create_store, file_of, is_large, open_store
from support.processes import FOLDERS, run

zarr = pytest.importorskip("zarr")
tifffile = pytest.importorskip("tifffile")
h5py = pytest.importorskip("h5py")

SHAPE = (3, 20, 31)
REGIONS = (
    (Ellipsis, slice(2, 9), slice(5, 31)),
    (1, slice(None), slice(0, 1)),
    (slice(0, 2), 4),
)
WRITABLE = "a.zarr", "a.zarr/deep/in", "a.npy", "a.tif", "a.h5:/data/x", "a.hdf5"


@pytest.fixture
def array():
    return np.random.default_rng().standard_normal(SHAPE).astype("float32")


def in_zarr(path, array, form):
    made = zarr.create_array(
        path, shape=SHAPE, dtype=array.dtype, chunks=(1, 8, 8), zarr_format=form
    )
    made[:] = array
    return path


def in_zip(path, array):
    with zarr.storage.ZipStore(path, mode="w") as store:
        zarr.create_array(store, data=array, chunks=(1, 8, 8))
    return path


def in_group(path, array):
    zarr.open_group(path, mode="w").create_array("a", data=array)
    return f"{path}/a"


def in_pyramid(path, array, inside):
    group = zarr.open_group(path, mode="w", zarr_format=3 if inside else 2)
    group.create_array("s0", data=array)
    group.create_array("s1", data=array[:, ::2, ::2])
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    datasets = [{"path": "s0"}, {"path": "s1"}]
    facts = {"multiscales": [{"axes": axes, "datasets": datasets, "name": "nuclei"}]}
    group.attrs.update({"ome": facts} if inside else facts)
    return path


def in_hdf5(path, array, dataset, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("beside", data=np.arange(3))
        file.create_dataset("group/image", data=array, **options)
    return f"{path}:{dataset}"


def in_tiff(path, array, **options):
    tifffile.imwrite(path, array, photometric="minisblack", **options)
    return path


def in_npy(path, array):
    np.save(path, array)
    return path


KINDS = {
    "zarr 3": lambda f, a: in_zarr(f"{f}/a.zarr", a, 3),
    "zarr 2": lambda f, a: in_zarr(f"{f}/a.zarr", a, 2),
    "zip": lambda f, a: in_zip(f"{f}/a.zarr.zip", a),
    "group": lambda f, a: in_group(f"{f}/a.zarr", a),
    "OME 0.4": lambda f, a: in_pyramid(f"{f}/a.zarr", a, False),
    "OME 0.5": lambda f, a: in_pyramid(f"{f}/a.zarr", a, True),
    "npy": lambda f, a: in_npy(f"{f}/a.npy", a),
    "npy, Fortran": lambda f, a: in_npy(f"{f}/a.npy", np.asfortranarray(a)),
    "npy, swapped": lambda f, a: in_npy(f"{f}/a.npy", a.astype(">f4")),
    "TIFF": lambda f, a: in_tiff(f"{f}/a.tif", a),
    "TIFF, swapped": lambda f, a: in_tiff(f"{f}/a.tiff", a, byteorder=">"),
    "TIFF, tiles": lambda f, a: in_tiff(
        f"{f}/a.tif", a, tile=(16, 16), compression="deflate"
    ),
    "HDF5": lambda f, a: in_hdf5(f"{f}/a.h5", a, "/group/image"),
    "HDF5, chunks": lambda f, a: in_hdf5(
        f"{f}/a.hdf5", a, "group/image", chunks=(1, 8, 8), compression="gzip"
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_read_by_regions(tmp_path, array, kind):
    path = KINDS[kind](tmp_path, array)
    with open_store(path) as store:
        again = pickle.loads(pickle.dumps(store))
        assert store.shape == SHAPE and store.dtype == array.dtype
        assert store.ndim == 3 and store.nbytes == array.nbytes
        for region in REGIONS:
            np.testing.assert_array_equal(store[region], array[region])
            np.testing.assert_array_equal(again[region], array[region])
            assert store[region].dtype.isnative
        with pytest.raises(ValueError, match="reading only"):
            store[0] = 1
        again.close()


@pytest.mark.parametrize("dtype", ["float32", "uint16", "complex64"])
@pytest.mark.parametrize("name", WRITABLE)
def test_write_by_regions(tmp_path, array, name, dtype):
    """What was not written is zero; other libraries read the same."""
    path = str(tmp_path / name)
    want = np.zeros(SHAPE, dtype)
    with create_store(path, SHAPE, dtype, (1, 16, 16)) as store:
        again = pickle.loads(pickle.dumps(store))
        for writer, region in zip((store, again, store), REGIONS):
            writer[region] = want[region] = (100 * abs(array[region])).astype(dtype)
        again.close()
    with open_store(path) as found:
        assert found.dtype == want.dtype
        np.testing.assert_array_equal(found[...], want)
    if name.endswith(".tif"):
        np.testing.assert_array_equal(tifffile.imread(path), want)
    if "h5:" in name:
        with h5py.File(tmp_path / "a.h5") as file:
            np.testing.assert_array_equal(file["data/x"][:], want)
    with pytest.raises(FileExistsError, match="exists"):
        create_store(path, SHAPE, dtype)


@pytest.mark.parametrize("kind", ["OME 0.4", "OME 0.5"])
def test_an_image_of_ome_stays_one(tmp_path, array, kind):
    """With one resolution, its axes and its other attributes."""
    source = open_store(KINDS[kind](tmp_path, array))
    assert source.axes == ("z", "y", "x")
    path = tmp_path / "out.zarr"
    create_store(path, SHAPE, "float32", like=source)[:] = array
    group = zarr.open_group(path, mode="r")
    (image,) = dict(group.attrs).get("ome", group.attrs)["multiscales"]
    assert image["datasets"] == [{"path": "s0"}] and image["name"] == "nuclei"
    np.testing.assert_array_equal(group["s0"][:], array)
    assert open_store(path).axes == source.axes


def test_like_another(tmp_path, array):
    """Attributes, names of axes, chunks and the format of zarr."""
    source = create_store(tmp_path / "a.zarr", SHAPE, "uint16", (1, 9, 8))
    source._array.attrs["unit"] = "counts"
    source = open_store(tmp_path / "a.zarr")
    for name in ("b.zarr", "b.h5"):
        made = create_store(tmp_path / name, SHAPE, "float32", like=source)
        assert made.attributes == {"unit": "counts"} and made.shape == SHAPE
    assert open_store(tmp_path / "b.zarr").chunks == (1, 9, 8)
    old = open_store(in_zarr(tmp_path / "c.zarr", array, 2))
    made = create_store(tmp_path / "d.zarr", SHAPE, "float32", like=old)
    assert made._array.metadata.zarr_format == 2


def test_colors_at_the_end(tmp_path):
    """Are known by the names of axes, also in the copy."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((20, 31, 3), "uint8"), photometric="rgb")
    source = open_store(path)
    assert source.channel_axis == -1
    made = create_store(tmp_path / "b.tif", source.shape, "uint8", like=source)
    assert made.channel_axis == -1
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.pages[0].photometric.name == "RGB"
    assert open_store(in_tiff(tmp_path / "c.tif", np.zeros(SHAPE))).channel_axis is None


def refused(path, error, *words):
    with pytest.raises(error) as caught:
        open_store(path)
    for word in words:
        assert word in str(caught.value), caught.value
    assert os.fspath(path).partition(":")[0] in str(caught.value)


def test_what_is_no_store(tmp_path, array):
    refused(tmp_path / "a.png", ValueError, ".zarr", ".npy", ".tif", ".h5:/dataset")
    for name in ("a.zarr", "a.npy", "a.tif", "a.h5", "a.h5:/x"):
        refused(tmp_path / name, FileNotFoundError, "there is no file")
    for name in ("a.npy", "a.tif", "a.h5", "a.zarr.zip"):
        (tmp_path / name).write_text("words")
        refused(tmp_path / name, ValueError)
    (tmp_path / "empty.zarr").mkdir()
    refused(tmp_path / "empty.zarr", ValueError, "no array")
    path = in_group(str(tmp_path / "two.zarr"), array)
    zarr.open_group(tmp_path / "two.zarr").create_array("b", data=array)
    refused(tmp_path / "two.zarr", ValueError, "2 arrays", "two.zarr/a", "two.zarr/b")
    refused(f"{path}bc", ValueError, "no array")
    path = in_hdf5(tmp_path / "two.h5", array, "")
    refused(path, ValueError, "several", "two.h5:/beside", "two.h5:/group/image")
    refused(f"{path}/none", ValueError, "no dataset", "two.h5:/group/image")
    np.save(tmp_path / "text.npy", np.array(["a", "b"]))
    refused(tmp_path / "text.npy", ValueError, "numbers")


def test_a_tiff_that_needs_all_of_it(tmp_path):
    """Inverted gray and pictures on their side are refused, not misread."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((20, 31), "uint8"), photometric="miniswhite")
    refused(path, ValueError, "MINISWHITE")
    turned = (274, "H", 1, 6, True)
    tifffile.imwrite(path, np.zeros((20, 31), "uint8"), extratags=[turned])
    refused(path, ValueError, "turned")


def test_what_can_only_be_read(tmp_path, array):
    zipped = in_zip(str(tmp_path / "a.zarr.zip"), array)
    with pytest.raises(ValueError, match="zip"):
        open_store(zipped, "r+")
    with pytest.raises(ValueError, match="zip"):
        create_store(tmp_path / "b.zarr.zip", SHAPE, "float32")
    with pytest.raises(ValueError, match="can only be read"):
        open_store(KINDS["HDF5, chunks"](tmp_path, array), "r+")
    with pytest.raises(ValueError, match="can only be read"):
        open_store(KINDS["TIFF, tiles"](tmp_path, array), "r+")


@pytest.mark.parametrize("package", ["zarr", "tifffile", "h5py"])
def test_a_missing_package_is_named(tmp_path, monkeypatch, package):
    name = {"zarr": "a.zarr", "tifffile": "a.tif", "h5py": "a.h5"}[package]
    (tmp_path / name).touch()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"python -m pip install {package}"):
        open_store(tmp_path / name)


def test_names(tmp_path):
    assert is_large("a.zarr") and is_large("a.zarr/b") and is_large("a.h5:/x")
    assert is_large("A.ZARR") and is_large("a.hdf5")
    assert not is_large("a.npy") and not is_large("a.tif") and not is_large("zarr.png")
    assert str(file_of("in/a.zarr/b/c")) == os.path.join("in", "a.zarr")
    assert str(file_of("a.h5:/x")) == "a.h5" and str(file_of("a.npy")) == "a.npy"


FULL = """
import resource
from convinv._files import create_store
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
try:
    create_store({path!r}, (64, 1024), "float32", (64, 1024))[:] = 1.5
except OSError as error:
    print(error.errno)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files")
@pytest.mark.parametrize("name", ["a.npy", "a.tif", "a.h5"])
def test_no_space_is_an_error_not_a_crash(tmp_path, name):
    """A memory map without space would end the process with a signal."""
    done = run(FULL.format(path=str(tmp_path / name)), PYTHONPATH=FOLDERS)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
