"""`solve` where one image takes more than max_memory, and `out`."""

import time
import tracemalloc

import numpy as np
import pytest

from convinv import ConvergenceWarning, ConvLinearOperator, gallery, solve

BOUNDARIES = "zero", "periodic", "reflect", "symmetric", "replicate"
SHAPE = 3, 120, 100


def layer(dtype=float, boundary="zero", seed=0):
    kernel = np.random.default_rng(seed).standard_normal((8, 3, 3, 3)).astype(dtype)
    return ConvLinearOperator(kernel, SHAPE, padding="same", boundary=boundary)


def data_of(op, seed, batch=()):
    rng = np.random.default_rng(seed)
    b = op.forward(rng.random((*batch, *op.input_shape)).astype(op.dtype))
    return b + 0.1 * rng.standard_normal(b.shape).astype(op.dtype)


def distance(x, wanted):
    return np.linalg.norm(np.asarray(x) - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(
    "dtype, memory, rtol, least",
    [("f4", "2MB", 2e-7, 1e-6), ("f8", "4MB", 1e-11, 1e-10)],
)
def test_the_same_as_in_memory(boundary, dtype, memory, rtol, least):
    op = layer(dtype, boundary)
    b = data_of(op, 1)
    wanted = solve(op, b, rtol=rtol)
    found = solve(op, b, rtol=rtol, max_memory=memory)
    assert found.success and found.method == "tiles"
    assert np.prod(found.extra["tiles"]) > 3
    assert found.x.dtype == b.dtype and found.x.shape == SHAPE
    assert distance(found.x, wanted.x) < least
    assert found.residual_norm == pytest.approx(wanted.residual_norm, rel=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"damp": 0.5},
        {"regularizer": "gradient", "damp": 0.3},
        {"regularizer": ["gradient", "laplacian"], "damp": [0.3, 0.2]},
        {"regularizer": np.array([[1.0, -1.0]]), "damp": 0.4},
    ],
)
def test_damp_and_penalties(options):
    op = layer()
    b = data_of(op, 2)
    wanted = solve(op, b, rtol=1e-11, **options)
    found = solve(op, b, rtol=1e-11, max_memory="4MB", **options)
    assert found.success and found.method == "tiles"
    assert distance(found.x, wanted.x) < 1e-10
    assert found.residual_norm == pytest.approx(wanted.residual_norm)
    for name in ("damp", "penalty_norm"):
        if name in wanted.extra:
            assert found.extra[name] == pytest.approx(wanted.extra[name])


def test_batches_and_flat_data():
    op = layer()
    b = data_of(op, 3, batch=(2,))
    wanted = solve(op, b, rtol=1e-11)
    found = solve(op, b, rtol=1e-11, max_memory="4MB")
    assert found.method == "tiles" and found.x.shape == (2, *SHAPE)
    assert distance(found.x, wanted.x) < 1e-10
    np.testing.assert_allclose(found.residual_norm, wanted.residual_norm)
    assert found.extra["success"].tolist() == [True, True]
    flat = solve(op, b[0].ravel(), rtol=1e-11, max_memory="4MB")
    assert flat.method == "tiles"
    np.testing.assert_array_equal(flat.x, found.x[0].ravel())


def test_starting_points():
    op = layer()
    b = data_of(op, 13, batch=(2,))
    wanted = solve(op, b, rtol=1e-11)
    for x0 in (wanted.x, wanted.x[0]):
        seen = []
        found = solve(
            op, b, x0=x0, rtol=1e-11, max_memory="4MB",
            callback=lambda state: seen.append(np.nanmax(state.residual_norm)),
        )  # fmt: skip
        assert found.success and found.method == "tiles"
        assert distance(found.x, wanted.x) < 1e-10
        assert seen[0] < 1e-8 * np.linalg.norm(op.adjoint(b))
    wide = np.random.default_rng(3).standard_normal((2, 3, 3, 3))
    op = ConvLinearOperator(wide, (3, 22, 20))
    x0 = np.random.default_rng(4).random(op.input_shape)
    b = np.random.default_rng(5).random(op.output_shape)
    found = solve(op, b, x0=x0, rtol=1e-9, max_memory="100kB")
    assert found.success and found.method == "tiles"
    wanted = x0.ravel() + np.linalg.pinv(op.todense()) @ (b - op.forward(x0)).ravel()
    assert distance(found.x.ravel(), wanted) < 1e-6
    with pytest.raises(ValueError, match="x0 holds NaN"):
        solve(op, b, x0=np.full(op.input_shape, np.nan), max_memory="100kB")


@pytest.mark.parametrize("scale", [1e100, 1e-200])
def test_scale_changes_nothing_but_scale(scale):
    op = layer()
    b = data_of(op, 4)
    wanted = solve(op, b, max_memory="4MB")
    found = solve(op, b * scale, max_memory="4MB")
    assert found.success and distance(found.x / scale, wanted.x) < 1e-12
    other = ConvLinearOperator(op.kernel * scale, SHAPE, **op.options)
    found = solve(other, b, max_memory="4MB")
    assert found.success and distance(found.x * scale, wanted.x) < 1e-12


def test_zero_data():
    op = layer()
    found = solve(op, np.zeros(op.output_shape), max_memory="4MB")
    assert found.success and found.method == "tiles" and not found.x.any()


def test_maps_of_files_are_read_and_written_by_pieces(tmp_path):
    kernel = np.random.default_rng(5).standard_normal((8, 3, 3, 3)).astype("f4")
    op = ConvLinearOperator(kernel, (3, 400, 400))
    b = op.forward(np.random.default_rng(6).random(op.input_shape).astype("f4"))
    file = np.lib.format.open_memmap(
        tmp_path / "b.npy", mode="w+", dtype="i2", shape=op.output_shape
    )
    file[:] = 1000 * b
    file.flush()
    out = np.lib.format.open_memmap(
        tmp_path / "x.npy", mode="w+", dtype="f4", shape=op.input_shape
    )
    given = np.load(tmp_path / "b.npy", mmap_mode="r")
    peaks = []
    for options in ({"max_memory": "6MB", "out": out}, {}):
        solve(op, given, **options)  # compiles
        op = op.bare()
        tracemalloc.start()
        found = solve(op, given, **options)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.success
    assert distance(out, found.x) < 3e-6
    assert peaks[0] < peaks[1] / 3


@pytest.mark.parametrize("library", ["zarr", "h5py"])
def test_stores(library, tmp_path):
    module = pytest.importorskip(library)
    op = layer()
    b = data_of(op, 6)
    if library == "zarr":
        source = module.create_array(
            tmp_path / "b", shape=b.shape, chunks=(8, 50, 50), dtype=b.dtype
        )
        target = module.create_array(
            tmp_path / "x", shape=SHAPE, chunks=(3, 40, 30), dtype=b.dtype
        )
        source[...] = b
    else:
        file = module.File(tmp_path / "file.h5", "w")
        source = file.create_dataset("b", data=b)
        target = file.create_dataset("x", SHAPE, dtype=b.dtype)
    found = solve(op, source, rtol=1e-11, max_memory="4MB", out=target)
    assert found.success and found.x is target
    assert distance(target[...], solve(op, b, rtol=1e-11).x) < 1e-10


def test_a_rule_looks_at_windows():
    sharp = gallery.image("camera", 512)
    blur = gallery.gaussian_kernel(9, 1.5)[None, None]
    op = ConvLinearOperator(blur, sharp.shape)
    b = op.forward(sharp)
    b = b + 0.02 * np.random.default_rng(7).standard_normal(b.shape)
    options = {"regularizer": "gradient", "damp": "gcv"}
    wanted = solve(op, b, **options)
    found = solve(op, b, max_memory="20MB", **options)
    assert found.method == "tiles" and found.success
    assert wanted.extra["damp"] / 2 < found.extra["damp"] < 2 * wanted.extra["damp"]
    assert np.linalg.norm(found.x - sharp) < 1.1 * np.linalg.norm(wanted.x - sharp)


def test_callbacks():
    op = layer()
    b = data_of(op, 8, batch=(2,))
    seen = []

    def callback(state):
        seen.append((state.nit, state.x.shape, state.residual_norm.shape))
        return state.nit == 1

    found = solve(op, b, max_memory="4MB", callback=callback)
    assert seen == [(1, (2, *SHAPE), (2,))]
    assert found.status.name == "STOPPED" and not found.success
    assert found.x[0].any() and not found.x[1].any()


def test_a_bar_counts_sweeps(capsys):
    pytest.importorskip("tqdm")
    op = layer()
    found = solve(op, data_of(op, 14), max_memory="4MB", progress=True)
    assert found.method == "tiles"
    assert "tiles" in capsys.readouterr().err


def test_what_does_not_get_there_says_so():
    blur = np.ones((1, 1, 9, 9)) / 81
    op = ConvLinearOperator(blur, (1, 150, 140), padding="same")
    b = np.random.default_rng(9).random(op.output_shape)
    with pytest.warns(ConvergenceWarning):
        found = solve(op, b, max_memory="2MB", maxiter=10)
    assert found.method == "tiles" and not found.success and found.nit == 10
    residual = np.linalg.norm(b - op.forward(found.x))
    assert found.residual_norm == pytest.approx(residual)


@pytest.mark.parametrize(
    "options",
    [{"prior": 0.0}, {"bounds": (0, None)}, {"method": "lsmr"}, {"conlim": 1e9}],
)
def test_what_tiles_do_not_take_needs_the_memory(options):
    op = layer()
    b = data_of(op, 10)
    if "prior" in options:
        options = {"prior": np.zeros(SHAPE)}
    with pytest.raises(MemoryError, match="one right-hand side needs"):
        solve(op, b, max_memory="1MB", **options)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_data_orthogonal_to_the_range(dtype):
    op, wide = layer(dtype), layer()
    b = np.random.default_rng(13).standard_normal(op.output_shape)
    b = (b - wide.forward(solve(wide, b, rtol=1e-12).x)).astype(dtype)
    found = solve(op, b, max_memory="5MB")
    assert found.success and found.method == "tiles" and found.nit < 5
    assert np.abs(found.x).max() < 1e-5


class Chunked:
    """An array in chunks that are read, changed and written again, slowly."""

    def __init__(self, shape, chunks):
        self.values, self.shape, self.chunks = np.zeros(shape), shape, chunks
        self.dtype, self.is_written = self.values.dtype, False

    def __getitem__(self, key):
        return self.values[key].copy()

    def __setitem__(self, key, values):
        assert not self.is_written, "by another thread"
        self.is_written = True
        old = self.values.copy()
        time.sleep(0.01)
        old[key] = values
        self.values, self.is_written = old, False


class TestOut:
    def test_tiles_share_chunks(self):
        op = layer()
        b = data_of(op, 14)
        out = Chunked(SHAPE, (3, 64, 64))
        found = solve(op, b, out=out, max_memory="4MB")
        assert found.success and np.prod(found.extra["tiles"]) > 3
        assert distance(out.values, solve(op, b).x) < 1e-6
        again = solve(op, b, max_memory="4MB")  # the same layout, cut in other places
        assert again.success and distance(again.x, out.values) < 1e-6

    def test_in_memory(self):
        op = layer()
        b = data_of(op, 11, batch=(2,))
        out = np.full((2, *SHAPE), np.nan)
        found = solve(op, b, out=out)
        assert found.x is out
        np.testing.assert_array_equal(out, solve(op, b).x)

    @pytest.mark.parametrize(
        "out, error, words",
        [
            (np.zeros((3, 4)), ValueError, r"out must have the shape of x, \(3, 120"),
            ([1.0], TypeError, "out must be an array that x can be written into"),
            (np.zeros(SHAPE, int), TypeError, "out must take x of dtype float64"),
        ],
    )
    @pytest.mark.parametrize("memory", [None, "4MB"])
    def test_what_cannot_take_x_is_refused(self, out, error, words, memory):
        op = layer()
        with pytest.raises(error, match=words):
            solve(op, data_of(op, 12), out=out, max_memory=memory)
