"""Labeled arrays of xarray: their labels after products and solves."""

import numpy as np
import pytest

import convinv
from convinv import ConvLinearOperator, solve

xarray = pytest.importorskip("xarray")

SIZES = {"time": 4, "channel": 5, "y": 10, "x": 9}


@pytest.fixture(scope="module")
def op():
    kernel = np.random.default_rng(11).standard_normal((5, 3, 3, 3))
    return ConvLinearOperator(kernel, (3, 10, 9), padding=1)


@pytest.fixture
def data(op):
    rng = np.random.default_rng(12)
    values = op.forward(rng.standard_normal((4, 3, 10, 9)))
    return xarray.DataArray(
        values + 0.1 * rng.standard_normal(values.shape),
        dims=list(SIZES),
        coords={
            "time": np.arange(4.0),
            "x": np.linspace(0, 1, 9),
            "area": (("y", "x"), np.ones((10, 9))),
            "channel": list("abcde"),
            "run": 7,
        },
        name="counts",
        attrs={"units": "1/s"},
    )


def check_labels(x, data):
    assert isinstance(x, xarray.DataArray)
    assert x.dims == data.dims and x.name == "counts" and x.attrs == {"units": "1/s"}
    assert set(x.coords) == {"time", "x", "area", "run"}  # channels are others
    for name in x.coords:
        assert x.coords[name].equals(data.coords[name])


def test_solve(op, data):
    result = solve(op, data, rtol=1e-10)
    check_labels(result.x, data)
    assert (result.x.data == solve(op, data.data, rtol=1e-10).x).all()
    assert result.residual_norm.shape == (4,)


@pytest.mark.parametrize("chunks", [{"time": 1}, {"y": 4}])
def test_solve_in_chunks(op, data, chunks):
    da = pytest.importorskip("dask.array")
    expected = solve(op, data.data, rtol=1e-12, on_failure="ignore").x
    for function in (solve, convinv.distributed.solve):
        result = function(op, data.chunk(chunks), rtol=1e-10)
        check_labels(result.x, data)
        assert isinstance(result.x.data, da.Array)
        assert np.allclose(result.x, expected, atol=1e-8)


def test_products(op, data):
    back = op.adjoint(data)
    check_labels(back, data)
    assert (back.data == op.adjoint(data.data)).all()
    pytest.importorskip("dask.array")
    lazy = op.adjoint(data.chunk({"x": 4}))
    check_labels(lazy, data)
    assert np.allclose(lazy, back)


def test_other_arguments(op, data):
    """They may be labeled as well."""
    mask = data > data.mean()
    result = solve(op, data, mask=mask, damp=0.1)
    expected = solve(op, data.data, mask=mask.data, damp=0.1)
    assert (result.x.data == expected.x).all()
    plain = solve(op, data.data, mask=mask, damp=0.1)
    assert isinstance(plain.x, np.ndarray) and (plain.x == expected.x).all()


def test_deconvolve(data):
    image = xarray.DataArray(
        np.random.default_rng(1).random((16, 18)), dims=("y", "x"), name="photo"
    )
    psf = np.full((3, 3), 1 / 9)
    sharp = convinv.imaging.deconvolve(image, psf, strength=0.1)
    assert sharp.dims == ("y", "x") and sharp.name == "photo"
    assert (
        sharp.data == convinv.imaging.deconvolve(image.data, psf, strength=0.1)
    ).all()


def test_the_callback_and_the_error_see_labels(op, data):
    seen = []
    with pytest.raises(convinv.ConvergenceError) as caught:
        solve(
            op,
            data,
            "cgls",
            maxiter=2,
            on_failure="raise",
            callback=lambda state: seen.append(state.x.dims),
        )
    assert seen == [data.dims] * 2
    check_labels(caught.value.result.x, data)


def test_results_with_other_axes(op, data):
    flat = data.isel(time=0).stack(all=["channel", "y", "x"])
    result = solve(op, flat, rtol=1e-10)
    assert result.x.dims == ("all",) and result.x.shape == (270,)
    assert "all" not in result.x.coords
