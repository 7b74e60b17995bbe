"""Singular values, rank, condition and noise gains against dense matrices."""

import numpy as np
import pytest

import convinv
from convinv import ConvLinearOperator
from convinv.operators._symbol import Symbol, whole_symbol
from convinv.spectra import Estimate, singular_values, spectrum
from support.arrays import doubles, random
from support.layers import matrix
from support.torus_layers import NAMES, deficient, layer, named

cases = pytest.mark.parametrize("name", NAMES)


def gains(A, channels):
    """Of the pseudoinverse's rows, the root of the mean square norm by channel."""
    inverse = np.linalg.pinv(A, rcond=1e-12)
    squares = np.sum(np.abs(inverse) ** 2, axis=1)
    return np.sqrt(squares.reshape(channels, -1).mean(axis=1))


@cases
@doubles
class TestTorus:
    def test_singular_values(self, name, dtype):
        op = named(name, dtype)
        s = np.linalg.svd(matrix(op), compute_uv=False)
        found = singular_values(op)
        assert found.shape == s.shape
        np.testing.assert_allclose(found, s, atol=1e-12 * s[0])
        every = singular_values(op, which="unknowns")
        assert len(every) == op.shape[1] and not every[len(s) :].any()
        np.testing.assert_array_equal(every[: len(s)], found)
        kept = singular_values(op, which="nonzero")
        np.testing.assert_array_equal(kept, found[: len(kept)])
        assert len(kept) == np.linalg.matrix_rank(matrix(op))

    def test_spectrum(self, name, dtype):
        op = named(name, dtype)
        A, found = matrix(op), spectrum(op)
        s = np.linalg.svd(A, compute_uv=False)
        rank = np.linalg.matrix_rank(A)
        assert found.exact and found.periodic
        assert (found.rank, found.nullity) == (rank, A.shape[1] - rank)
        assert found.shape == A.shape
        ends = [found.largest, found.smallest, found.smallest_nonzero]
        least = s[-1] if rank == len(s) else 0
        np.testing.assert_allclose(
            [end.value for end in ends], [s[0], least, s[rank - 1]], rtol=1e-9
        )
        assert {end.kind for end in ends} == {"exact"}
        assert np.isclose(found.effective_condition, s[0] / s[rank - 1])
        assert np.isinf(found.condition) == (rank < len(s))
        assert np.isclose(found.noise_gain, 1 / s[rank - 1])
        np.testing.assert_allclose(
            found.noise_gain_by_channel, gains(A, op.input_shape[0]), rtol=1e-9
        )

    def test_values_by_frequency(self, name, dtype):
        op = named(name, dtype)
        found, g = spectrum(op), op.geometry
        blocks = Symbol(op)
        cells = blocks.torus[3 - g.ndim :]
        assert found.values.shape[:-1] == (g.groups, *cells)
        assert [len(f) for f in found.frequencies] == list(cells)
        if name == "no overlap":
            assert not np.ptp(found.values, axis=(1, 2)).max() > 1e-14
        # the matrix at one frequency, from waves
        index = tuple(n // 3 for n in cells)
        wave = [
            np.exp(2j * np.pi * f[i] * np.arange(n))
            for f, i, n in zip(found.frequencies, index, op.input_shape[1:])
        ]
        outside = np.array(1.0)
        for w in wave:
            outside = np.multiply.outer(outside, w)
        stride = g.stride[3 - g.ndim :]
        columns = []
        for channel in range(g.c_in // g.groups):
            for phase in np.ndindex(*stride):
                x = np.zeros(op.input_shape, complex)
                place = tuple(slice(p, None, s) for p, s in zip(phase, stride))
                x[(channel, *place)] = outside[place]
                y = matrix(op) @ x.ravel() / np.sqrt(np.prod(cells))
                columns.append(y[: len(y) // g.groups])
        s = np.linalg.svd(np.stack(columns, axis=1), compute_uv=False)
        k = found.values.shape[-1]
        np.testing.assert_allclose(found.values[(0, *index)], s[:k], atol=1e-12)

    def test_blocks_equal_the_symbol(self, name, dtype, monkeypatch):
        monkeypatch.setattr("convinv.operators._symbol.SLAB", 200)
        op = named(name, dtype)
        blocks = Symbol(op)
        whole = blocks.empty(*blocks.shape[1:])
        whole[:] = np.nan
        slabs = 0
        for down, across, slab in blocks.slabs():
            whole[..., down, across] = slab
            slabs += 1
        assert slabs > 1
        expected = whole_symbol(blocks.layer, op.weights, blocks.torus)
        np.testing.assert_allclose(whole.reshape(expected.shape), expected, atol=1e-13)
        norms = np.linalg.norm(expected, axis=(1, 2))
        assert norms.max() <= blocks.scale * (1 + 1e-14)


def test_noise_gain_by_frequency():
    found = spectrum(deficient())
    gain = found.noise_gain_by_frequency
    assert gain.shape == (1, 6, 6) and gain[0, 0, 0] == 0
    np.testing.assert_allclose(gain.max(), found.noise_gain)
    np.testing.assert_allclose(gain[0, 1, 2], 1 / found.values[0, 1, 2, -1])


def test_a_single_precision_kernel_has_its_rank():
    op = deficient("float32")
    assert spectrum(op).rank == spectrum(deficient()).rank == op.shape[1] - 2


def test_a_zero_layer():
    kernel = np.zeros((2, 1, 3, 3))
    found = spectrum(
        ConvLinearOperator(kernel, (1, 4, 4), padding="same", boundary="periodic")
    )
    assert (found.rank, found.nullity, found.noise_gain) == (0, 16, 0)
    assert not found.noise_gain_by_channel.any() and "rank" in repr(found)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_scale_of_the_kernel(scale):
    op = layer("tall")
    scaled = ConvLinearOperator(op.kernel * scale, op.input_shape, **op.options)
    found, plain = spectrum(scaled), spectrum(op)
    assert found.rank == plain.rank
    np.testing.assert_allclose(found.values, plain.values * scale, rtol=1e-12)
    by_channel = plain.noise_gain_by_channel / scale
    np.testing.assert_allclose(found.noise_gain_by_channel, by_channel, rtol=1e-12)
    np.testing.assert_allclose(singular_values(scaled), singular_values(op) * scale)


class TestOtherLayers:
    @pytest.mark.parametrize(
        "options",
        [{}, {"padding": 1}, {"stride": 2}, {"padding": 2, "boundary": "reflect"}],
    )
    def test_small_ones_are_written_out(self, options):
        op = ConvLinearOperator(random((5, 2, 3, 3), "float64"), (2, 6, 7), **options)
        A, found = matrix(op), spectrum(op)
        s = np.linalg.svd(A, compute_uv=False)
        rank = np.linalg.matrix_rank(A)
        assert found.exact and not found.periodic and found.rank == rank
        assert np.isclose(found.largest.value, s[0])
        assert np.isclose(found.smallest_nonzero.value, s[rank - 1])
        np.testing.assert_allclose(found.noise_gain_by_channel, gains(A, 2))
        np.testing.assert_allclose(singular_values(op), s, atol=1e-12)
        # by frequency, the layer with periodic boundary on as many cells
        stride = options.get("stride", 1)
        size = tuple(-(-n // stride) * stride for n in (6, 7))
        torus = ConvLinearOperator(
            op.kernel, (2, *size), stride=stride, padding=1, boundary="periodic"
        )
        np.testing.assert_allclose(found.values, spectrum(torus).values, atol=1e-12)

    @pytest.mark.parametrize("c_out", [8, 4, 2])
    @doubles
    def test_bounds(self, c_out, dtype, monkeypatch):
        """The ends of the Ritz values are bounds, and something is within the error."""
        monkeypatch.setattr("convinv.spectra._spectrum.DENSE_SIDE", 10)
        op = ConvLinearOperator(random((c_out, 3, 3, 3), dtype), (3, 9, 10))
        s = np.linalg.svd(matrix(op), compute_uv=False)
        for steps in (1, 12, 60):
            found = spectrum(op, steps=steps, rng=0)
            assert not found.exact and found.rank is None and found.nullity is None
            rounding = 1e-12 * s[0]
            assert found.largest.value <= s[0] + rounding
            assert found.smallest.value >= s[-1] - rounding
            for end in (found.largest, found.smallest):
                assert np.abs(s - end.value).min() <= end.error + rounding
            assert s[0] <= found.norm_bound
            kinds = found.largest.kind, found.smallest.kind
            assert kinds == ("lower bound", "upper bound")
            if s[-1] > rounding:
                assert found.condition <= s[0] / s[-1] * (1 + 1e-9)
            assert "at least" in repr(found) and "torus approximation" in repr(found)
        assert np.isclose(found.largest.value, s[0], rtol=1e-6)
        again = spectrum(op, steps=60, rng=0)
        assert again.smallest == found.smallest

    def test_all_steps_give_the_ends(self, monkeypatch):
        monkeypatch.setattr("convinv.spectra._spectrum.DENSE_SIDE", 10)
        op = ConvLinearOperator(random((8, 2, 3, 3), "float64"), (2, 6, 6))
        s = np.linalg.svd(matrix(op), compute_uv=False)
        found = spectrum(op, steps=10**6, rng=1)
        np.testing.assert_allclose(
            [found.largest.value, found.smallest.value], [s[0], s[-1]], rtol=1e-9
        )
        assert found.smallest.error < 1e-9 * s[0]

    def test_an_exhausted_space(self, monkeypatch):
        """Of a multiple of the identity one step finds all there is."""
        monkeypatch.setattr("convinv.spectra._spectrum.DENSE_SIDE", 1)
        op = ConvLinearOperator(np.full((1, 1, 1, 1), 3.0), (1, 5, 5), padding=1)
        found = spectrum(op, rng=0)
        np.testing.assert_allclose([found.largest.value, found.smallest.value], 3)
        assert found.smallest.error < 1e-12

    def test_too_many_values(self, monkeypatch):
        monkeypatch.setattr("convinv.spectra._spectrum.DENSE_SIDE", 10)
        op = ConvLinearOperator(random((5, 2, 3, 3), "float64"), (2, 6, 7))
        with pytest.raises(ValueError, match="4 outputs for 6 samples"):
            singular_values(op)
        op = ConvLinearOperator(op.kernel, (2, 6, 6), padding=1)
        with pytest.raises(ValueError, match="its boundary is 'zero'"):
            singular_values(op)
        op = ConvLinearOperator(op.kernel, (2, 6, 7), padding=1, stride=2)
        with pytest.raises(ValueError, match="stride 2 does not divide the 7 samples"):
            singular_values(op)


def test_wrong_arguments():
    with pytest.raises(TypeError, match="op must be a ConvLinearOperator, got ndarray"):
        spectrum(np.eye(3))
    with pytest.raises(ValueError, match="steps must be a positive integer, got 0"):
        spectrum(layer("tall"), steps=0)
    with pytest.raises(ValueError, match="which must be one of .*'all'.*, got 'some'"):
        singular_values(layer("tall"), which="some")
    with pytest.raises(ValueError, match="NaN or infinity"):
        spectrum(ConvLinearOperator(np.full((1, 1, 2), np.nan), (1, 4)))


def test_estimates():
    assert str(Estimate(0.25, 1e-16, "exact")) == "0.25"
    text = "0.25 (upper bound, a singular value within 0.01)"
    assert str(Estimate(0.25, 0.01, "upper bound")) == text
    assert float(Estimate(0.25, 0.01, "upper bound")) == 0.25


@pytest.mark.parametrize("name", ["one dimension", "tall", "three dimensions"])
def test_plot(name):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found = spectrum(layer(name))
    ax = found.plot()
    shown = {1: ax.lines, 2: ax.images, 3: ax.lines}[len(found.frequencies)]
    assert len(shown) == {1: 2, 2: 1, 3: 1}[len(found.frequencies)]
    assert found.plot(ax) is ax
    plt.close("all")


def test_device_layers(cupy):
    host = layer("stride, groups")
    device = ConvLinearOperator(
        cupy.asarray(host.kernel), host.input_shape, **host.options
    )
    found, s = spectrum(device), singular_values(device)
    report = convinv.layer_report(device)
    np.testing.assert_array_equal(found.values, spectrum(host).values)
    np.testing.assert_array_equal(s, singular_values(host))
    assert isinstance(found.values, np.ndarray) and "full row rank" in str(report)


def test_dense_layers_with_zero_padding():
    op = ConvLinearOperator(random((3, 3, 3, 3), "float64"), (3, 15, 15), padding=1)
    truth = np.linalg.svd(matrix(op), compute_uv=False)
    np.testing.assert_allclose(singular_values(op), truth, atol=1e-11)
    assert spectrum(op).exact
    with pytest.raises(ValueError, match=r"svd\(op.todense\(\), compute_uv=False"):
        singular_values(ConvLinearOperator(op.kernel, (3, 40, 40), padding=1))


@pytest.mark.parametrize("scale", [1e-310, 1e300])
def test_kernels_at_the_ends_of_the_range(scale):
    for boundary in ("zero", "periodic"):
        op = ConvLinearOperator(
            scale * random((2, 1, 3), "float64"), (1, 8), padding=1, boundary=boundary
        )
        found = spectrum(op)
        one = spectrum(
            ConvLinearOperator(op.kernel / scale, (1, 8), padding=1, boundary=boundary)
        )
        assert np.isclose(found.condition, one.condition, rtol=1e-6)
        assert found.noise_gain_by_frequency.shape == one.values.shape[:-1]
