"""The same numbers on device arrays, on the host and on a GPU."""

import numpy as np
import pytest

from convinv import ConvLinearOperator, gallery
from convinv.operators import FourierSampling, MaskOperator
from convinv.proximal import (
    NonNegative,
    NuclearNorm,
    TotalVariation,
    admm,
    fista,
    minimize,
)
from support.proximal_methods import METHODS


class TestDevice:
    """The same numbers on arrays that refuse to become NumPy's unasked."""

    def test_functions(self, cupy):
        from convinv import lowrank, proximal

        rng = np.random.default_rng(0)
        for dtype in ("f8", "c16"):
            a = rng.standard_normal((3, 4, 5)).astype(dtype)
            g = rng.standard_normal((3, 4, 5)).astype(dtype)
            there, slope = cupy.asarray(a), cupy.asarray(g)
            tau = cupy.asarray(np.array([0.1, 0.5, 2.0]))
            calls = [
                lambda a, g, t: lowrank.svt(a, t),
                lambda a, g, t: lowrank.svt_vjp(a, t, g)[0],
                lambda a, g, t: lowrank.svt_vjp(a, t, g)[1],
                lambda a, g, t: lowrank.svt_vjp(a, t, g, variant="inv")[0],
                lambda a, g, t: lowrank.svt_vjp(a, t, g, variant="taylor")[0],
                lambda a, g, t: lowrank.svt(a[:, :, :4], 0.5, form="hermitian"),
                lambda a, g, t: lowrank.svt_vjp(
                    a[:, :, :4], t, g[:, :, :4], form="psd"
                )[0],
                lambda a, g, t: lowrank.tensor_svt(a, 0.5),
                lambda a, g, t: lowrank.tensor_svt(a, 0.5, transform="dct"),
                lambda a, g, t: lowrank.tensor_nuclear_norm(a),
                lambda a, g, t: proximal.prox_total_variation(a, 0.2),
            ]
            for call in calls:
                found = call(there, slope, tau)
                assert isinstance(found, cupy.ndarray)
                np.testing.assert_allclose(
                    found.get(), call(a, g, tau.get()), atol=1e-12
                )

    @pytest.mark.parametrize("method", METHODS)
    def test_solvers(self, cupy, method):
        rng = np.random.default_rng(1)
        x = np.outer(rng.standard_normal(10), rng.standard_normal(12))
        mask = rng.random(x.shape) < 0.7
        for data in ["soft", "hard"] if method == "admm" else ["soft"]:
            options = {"data": data} if data == "hard" else {}
            found = []
            for xp in (np, cupy):
                op = MaskOperator(xp.asarray(mask))
                found.append(
                    METHODS[method](
                        op, xp.asarray(x[mask]), NuclearNorm(0.5), rtol=1e-8, **options
                    )
                )
            assert found[1].success and isinstance(found[1].x, cupy.ndarray)
            np.testing.assert_allclose(found[1].x.get(), found[0].x, atol=1e-5)

    def test_a_blurred_image(self, cupy):
        image = gallery.image("camera", 12)
        kernel = cupy.asarray(gallery.gaussian_kernel(3, 1.0)[None, None])
        op = ConvLinearOperator(kernel, image.shape, padding="same")
        b = op.forward(cupy.asarray(image))
        result = fista(op, b, TotalVariation(0.01, rtol=1e-5), rtol=1e-3)
        assert result.success and isinstance(result.x, cupy.ndarray)
        mask = cupy.asarray(np.random.default_rng(0).random(image.shape) < 0.5)
        op = FourierSampling(mask)
        result = admm(op, op.forward(cupy.asarray(image)), NuclearNorm(0.01), rtol=1e-5)
        assert result.success

    def test_libraries_do_not_mix(self, cupy):
        op = MaskOperator(np.ones((3, 3), bool))
        with pytest.raises(TypeError, match="b must be a numpy array"):
            fista(op, cupy.asarray(np.ones(9)), NuclearNorm())


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["f4", "c16"])
def test_on_a_device(dtype):
    cupy = pytest.importorskip("cupy")
    from convinv.lowrank import svt, svt_vjp, tensor_svt

    rng = np.random.default_rng(0)
    a = rng.standard_normal((6, 20, 12)).astype(dtype)
    there, limit = cupy.asarray(a), 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(svt(there, 1.0).get(), svt(a, 1.0), atol=limit)
    for found, wanted in zip(svt_vjp(there, 1.0, there), svt_vjp(a, 1.0, a)):
        np.testing.assert_allclose(found.get(), wanted, atol=10 * limit, rtol=limit)
    np.testing.assert_allclose(
        tensor_svt(there, 1.0).get(), tensor_svt(a, 1.0), atol=limit
    )
    x = np.outer(rng.standard_normal(10), rng.standard_normal(12))
    mask = rng.random(x.shape) < 0.7
    op = MaskOperator(cupy.asarray(mask))
    result = admm(op, cupy.asarray(x[mask]), NuclearNorm(), data="hard")
    assert result.success and isinstance(result.x, cupy.ndarray)


LAYERS = {
    "cosines": {"padding": "same", "boundary": "symmetric"},
    "torus": {"padding": "same", "boundary": "periodic"},
    "border": {"padding": "same", "boundary": "reflect"},
    "part of a torus": {"stride": 2},
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("channels", [1, 2])
def test_splittings(cupy, name, channels):
    """Total variation and bounds, by all kinds of steps, in few iterations."""
    kernel = np.zeros((channels, channels, 3, 3))
    kernel[...] = gallery.gaussian_kernel(3, 1.0)
    kernel[range(channels), range(channels), 1, 1] += 1
    size = (channels, 9, 10)
    g = [TotalVariation(0.05), NonNegative()]
    found = []
    for xp in (np, cupy):
        op = ConvLinearOperator(xp.asarray(kernel), size, **LAYERS[name])
        b = xp.asarray(np.random.default_rng(4).standard_normal(op.output_shape))
        options = {"maxiter": 40, "on_failure": "ignore", "rtol": 1e-9}
        found.append(minimize(op, b, g, **options))
    assert isinstance(found[1].x, cupy.ndarray) and found[1].nit == found[0].nit
    np.testing.assert_allclose(found[1].x.get(), found[0].x, atol=1e-7)


def test_splittings_of_other_operators(cupy):
    rng = np.random.default_rng(5)
    mask = rng.random((1, 8, 9)) < 0.7
    values = rng.standard_normal(mask.sum())
    found = []
    for xp in (np, cupy):
        op = MaskOperator(xp.asarray(mask))
        options = {"maxiter": 40, "on_failure": "ignore", "rtol": 1e-9}
        found.append(admm(op, xp.asarray(values), TotalVariation(0.1), **options))
    np.testing.assert_allclose(found[1].x.get(), found[0].x, atol=1e-7)
