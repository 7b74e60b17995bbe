"""Products with arrays of Dask, against those in memory, in chunks of all kinds."""

import pickle

import numpy as np
import pytest

import convinv
from convinv import ConvLinearOperator
from convinv._core.boundaries import BOUNDARIES

da = pytest.importorskip("dask.array")
from convinv.distributed import DaskConvOperator  # noqa: E402  it needs Dask

ALL = sorted(BOUNDARIES)


def random(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def check(op, chunks, dtype="float64", batch=()):
    """Both products, lazy, with chunks that follow the array's."""
    lazy = DaskConvOperator.from_operator(op)
    lead = tuple(min(n, 2) for n in batch)
    for product, shape, wanted in (
        (lazy.forward, op.input_shape, op.forward),
        (lazy.adjoint, op.output_shape, op.adjoint),
    ):
        values = random((*batch, *shape), dtype, seed=len(shape))
        sizes = tuple(min(c, n) for c, n in zip((shape[0], *chunks), shape))
        array = da.from_array(values, chunks=(*lead, *sizes))
        found, expected = product(array), wanted(values)
        assert isinstance(found, da.Array) and found.shape == expected.shape
        assert found.dtype == expected.dtype == found.compute().dtype
        size = abs(expected).max() + 1e-300
        rounding = 50 * np.finfo(expected.dtype).eps
        assert np.allclose(found, expected, rtol=0, atol=rounding * size)
        axes = len(chunks)
        edges = zip(array.shape, array.chunks, found.shape, found.chunks, strict=True)
        for length, along, same, blocks in list(edges)[-axes:]:
            assert length != same or blocks == along  # they follow the array's
            assert len(blocks) <= len(along)


@pytest.mark.parametrize("chunks", [(5, 4), (2, 13), (1, 3), (12, 13)])
@pytest.mark.parametrize("boundary", ALL)
def test_chunks(boundary, chunks):
    """Some of them shorter than the kernel's reach."""
    op = ConvLinearOperator(
        random((3, 2, 5, 3), "float64", 1),
        (2, 12, 13),
        padding=((2, 3), (0, 4)),
        boundary=boundary,
    )
    check(op, chunks, batch=(3,))


@pytest.mark.parametrize("boundary", ALL)
def test_padding_wider_than_the_image(boundary):
    op = ConvLinearOperator(
        random((2, 1, 4, 2), "float64", 2),
        (1, 5, 4),
        padding=((13, 8), (3, 17)),
        boundary=boundary,
    )
    check(op, (2, 3))


@pytest.mark.parametrize("boundary", ALL)
@pytest.mark.parametrize(("stride", "dilation"), [(2, 1), (1, 3), (3, 2), (4, 1)])
def test_stride_and_dilation(boundary, stride, dilation):
    """With a stride of four and a kernel of three no row reads some samples."""
    op = ConvLinearOperator(
        random((2, 2, 3, 3), "float64", 3),
        (2, 17, 14),
        stride=stride,
        dilation=dilation,
        padding=2,
        boundary=boundary,
    )
    check(op, (4, 5))
    check(op, (3, 14))


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_dtypes(dtype):
    kernel = random((2, 3, 3, 3), dtype, 4)
    op = ConvLinearOperator(kernel, (3, 9, 8), padding=1, boundary="reflect")
    check(op, (4, 3), dtype, batch=(2, 3))
    check(op, (4, 3), "float32")


@pytest.mark.parametrize("boundary", ALL)
def test_one_axis_and_three(boundary):
    options = {"padding": 2, "boundary": boundary, "flip": True}
    line = ConvLinearOperator(
        random((2, 1, 4), "float64", 5), (2, 23), groups=2, **options
    )
    check(line, (5,), batch=(3,))
    box = ConvLinearOperator(
        random((1, 2, 3, 2, 3), "float64", 6), (2, 7, 6, 5), **options
    )
    check(box, (3, 4, 2))


def test_chunks_of_several_sizes():
    op = DaskConvOperator(random((1, 1, 3, 3), "float64", 7), (1, 20, 20), padding=1)
    x = random((1, 20, 20), "float64", 8)
    array = da.from_array(x, chunks=(1, (1, 10, 2, 7), (18, 1, 1)))
    found = op.forward(array)
    assert found.chunks == array.chunks
    assert np.allclose(found, op.forward(x))


def test_cut_channels_are_joined():
    op = DaskConvOperator(random((4, 3, 3, 3), "float64", 7), (3, 9, 9))
    x = random((3, 9, 9), "float64", 8)
    assert np.allclose(op.forward(da.from_array(x, chunks=(1, 4, 4))), op.forward(x))


def test_a_part_is_made_of_what_it_reads():
    """Chunks that are far away are not computed."""

    def chunk(block_info=None):
        place = block_info[None]["chunk-location"]
        assert place[1] < 2 and place[2] < 2, "too far away"
        return np.ones((1, 10, 10))

    array = da.map_blocks(chunk, chunks=((1,), (10,) * 5, (10,) * 5), dtype=float)
    op = DaskConvOperator(np.ones((1, 1, 3, 3)), (1, 50, 50), padding=1)
    assert op.forward(array)[0, 5, 5].compute() == 9


def test_operators_take_such_arrays():
    """Convolutions in memory too, and others where items are whole."""
    op = ConvLinearOperator(random((2, 1, 3, 3), "float64", 9), (1, 8, 8), padding=1)
    x = random((4, 1, 8, 8), "float64", 10)
    cut = da.from_array(x, chunks=(2, 1, 3, 8))
    assert np.allclose(op.forward(cut), op.forward(x))
    assert np.allclose((op.H.adjoint(cut)), op.forward(x))
    normal = op.H @ op
    whole = da.from_array(x, chunks=(2, 1, 8, 8))
    assert np.allclose(normal.forward(whole), normal.forward(x))
    with pytest.raises(ValueError, match=r"X.rechunk\(\{1: -1, 2: -1, 3: -1\}\)"):
        normal.forward(cut)
    with pytest.raises(TypeError, match="takes no arrays of Dask"):
        op.matvec(da.zeros(64))


def test_it_is_a_convolution():
    op = DaskConvOperator(random((2, 1, 3), "float32", 1), (1, 30), stride=2, flip=True)
    assert op.input_shape == (1, 30) and op.output_shape == (2, 14)
    x = random((3, 1, 30), "float32", 2)
    plain = ConvLinearOperator(op.kernel, op.input_shape, **op.options)
    assert (op.forward(x) == plain.forward(x)).all()
    again = pickle.loads(pickle.dumps(op))
    assert type(again) is DaskConvOperator is type(op.astype("float64"))
    b = op.forward(da.from_array(x, chunks=(1, 1, -1)))
    assert convinv.solve(again, b, on_failure="ignore").x.shape == x.shape
    with pytest.raises(TypeError, match="ConvLinearOperator"):
        DaskConvOperator.from_operator(op.H)


def test_wrong_arrays():
    op = DaskConvOperator(np.ones((1, 1, 3, 3)), (1, 8, 8))
    with pytest.raises(ValueError, match=r"X must have shape \(\.\.\., 1, 8, 8\)"):
        op.forward(da.zeros((8, 8)))
    with pytest.raises(ValueError, match="Y must have shape"):
        op.adjoint(da.zeros((1, 8, 8)))
