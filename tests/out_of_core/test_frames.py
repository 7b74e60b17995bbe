"""Pictures of a store as right-hand sides of any layout."""

import pickle

import numpy as np
import pytest

from convinv._files import create_store, open_store
from convinv._out_of_core import Frames

LAYOUTS = {
    "one": ((20, 31), None),
    "colors last": ((20, 31, 3), -1),
    "colors first": ((3, 20, 31), 0),
    "stack": ((5, 20, 31), None),
    "stack of stacks": ((2, 3, 20, 31), None),
    "stack, colors last": ((4, 20, 31, 3), 3),
    "stack, colors first": ((4, 3, 20, 31), 1),
    "stack, colors before": ((3, 4, 20, 31), 0),
    "colors between": ((20, 3, 31), 1),
}
BOX = slice(3, 9), slice(0, 30)


def frames_of(folder, shape, channel_axis, coupled=False, dtype="float32"):
    array = 100 * np.random.default_rng().random(shape)
    np.save(folder / "a.npy", array.astype(dtype))
    store = open_store(folder / "a.npy")
    return array.astype(dtype), Frames(store, 2, channel_axis, coupled)


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(tmp_path, name, coupled):
    """As moving axes and reshaping has it, and back."""
    shape, axis = LAYOUTS[name]
    array, frames = frames_of(tmp_path, shape, axis, coupled)
    channels = 1 if axis is None else 3
    want = array[None] if axis is None else np.moveaxis(array, axis, 0)
    want = want.reshape(channels, -1, 20, 31).swapaxes(0, 1)
    assert frames.count == len(want) and frames.channels == channels
    pictures = range(len(want) // 2, len(want))
    some = pickle.loads(pickle.dumps(frames.of(pictures)))
    part = want[pictures.start :]
    if not coupled:
        part = part.reshape(-1, 1, 20, 31)
    assert some.shape == part.shape and some.size == (20, 31)
    np.testing.assert_array_equal(some[(..., *BOX)], part[(..., *BOX)])
    out = create_store(tmp_path / "b.npy", shape, "float32")
    whole = slice(0, 20), slice(0, 31)
    for number, picture in enumerate(want):
        out[frames.place(number, whole)] = frames.in_store(picture)
    np.testing.assert_array_equal(out[...], array)


@pytest.mark.parametrize(
    ("dtype", "scale", "made"),
    [
        ("uint8", 255, "float32"),
        ("uint16", 65535, "float32"),
        ("uint32", 2**32 - 1, "float64"),
        ("int16", 1, "float32"),
        ("float16", 1, "float32"),
        ("float64", 1, "float64"),
    ],
)
def test_units(tmp_path, dtype, scale, made):
    array, frames = frames_of(tmp_path, (20, 31), None, dtype=dtype)
    found = frames[(..., *BOX)]
    assert found.dtype == frames.dtype == made
    want = array[BOX].astype(float) / scale
    np.testing.assert_allclose(found[0, 0], want, rtol=1e-6)


def test_no_number_is_named_with_its_place(tmp_path):
    array, frames = frames_of(tmp_path, (4, 20, 31), None)
    array[2, 5, 7] = np.nan
    np.save(tmp_path / "a.npy", array)
    frames = Frames(open_store(tmp_path / "a.npy"), 2)
    frames.of(range(0, 2))[(..., *BOX)]
    with pytest.raises(ValueError) as caught:
        frames.of(range(2, 4))[(..., *BOX)]
    for words in ("a.npy", "NaN", "[3:9, 0:30]", "pictures 2 to 3"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "axis", "dtype", "words"),
    [
        ((20,), None, "float32", "at least the 2 axes"),
        ((20, 31), 0, "float32", "at least the 2 axes"),
        ((20, 31, 3), 3, "float32", "channel axis"),
        ((20, 31), None, "complex64", "real numbers"),
    ],
)
def test_what_holds_no_pictures(tmp_path, shape, axis, dtype, words):
    np.save(tmp_path / "a.npy", np.zeros(shape, dtype))
    with pytest.raises(ValueError, match=words):
        Frames(open_store(tmp_path / "a.npy"), 2, axis)
