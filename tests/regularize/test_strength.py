"""The weight of a penalty from the spectra of the data."""

import numpy as np
import pytest
from scipy import fft, signal

from convinv._regularize.spectral_model import SpectralModel, differences, fit, folded
from convinv._regularize.strength import (
    ExpectedError,
    choose_strength,
    penalty_power,
    response,
)
from convinv._regularize.welch import hann, smear, tile_side, welch


def blur(sigma, size):
    """A Gaussian point spread function."""
    line = [np.exp(-0.5 * ((np.arange(n) - n // 2) / sigma) ** 2) for n in size]
    kernel = line[0]
    for other in line[1:]:
        kernel = np.multiply.outer(kernel, other)
    return kernel / kernel.sum()


def scene(size, scale, exponent, rng):
    """A periodic Gaussian scene of the model's spectrum, without a mean."""
    white = fft.fftn(rng.standard_normal(size))
    white.flat[0] = 0
    return fft.ifftn(white * np.sqrt(scale * differences(size) ** -exponent)).real


def blurred(x, kernel):
    return fft.ifftn(fft.fftn(x) * response(kernel, x.shape)).real


def test_power_is_that_of_scipy_without_the_frequencies_of_the_mean():
    rng = np.random.default_rng(0)
    x, n = rng.standard_normal(5 * 32) + 7, 64
    power = welch(x[None], (n,))
    _, expected = signal.welch(x, window=hann(n), nperseg=n, noverlap=n // 2)
    expected[1:-1] /= 2  # SciPy folds the negative frequencies onto the positive ones
    np.testing.assert_allclose(power[2:], expected[2:], rtol=1e-10)


@pytest.mark.parametrize("size", [(301, 170), (40, 50, 36)])
def test_power_of_white_noise_is_its_variance(size):
    noise = 0.3 * np.random.default_rng(1).standard_normal((2, *size))
    side = tile_side(size, [np.ones((3,) * len(size))])
    power = welch(noise.astype(np.float32), side)
    assert power.shape == (*side[:-1], side[-1] // 2 + 1)
    assert abs(power[3:, 3:].mean() / 0.09 - 1) < 0.03


def test_tiles_are_several_widths_and_no_larger_than_the_picture():
    kernel = np.zeros((101, 101))
    kernel[50, 10:91] = 1  # a long line across a large array
    assert tile_side((2000, 40), [kernel]) == (64, 40)
    assert tile_side((2000, 2000), [kernel])[1] > 2 * 81
    assert tile_side((2000, 2000), [kernel])[0] == 64


def test_smear_is_the_main_lobe_of_the_window():
    n = 32
    lobe = np.abs(fft.fft(hann(n))) ** 2 / np.sum(hann(n) ** 2) / n
    impulse = np.zeros(n)
    impulse[5] = 1
    np.testing.assert_allclose(smear(impulse), np.roll(lobe, 5), atol=1e-12)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1)])
def test_fit_finds_the_parameters_of_a_model(stride, known):
    side, truth = (48, 40), SpectralModel(0.02, 3e-3, 1.4)
    fine = tuple(n * q for n, q in zip(side, stride))
    kernels = [blur(1.5, (9, 9)), blur(0.8, (5, 5))]
    transfers = [np.abs(response(kernel, fine)) ** 2 for kernel in kernels]
    powers = [
        smear(folded(t * truth.scene(differences(fine)), side))[:, : side[1] // 2 + 1]
        + truth.noise**2
        for t in transfers
    ]
    found = fit(powers, transfers, side, stride, truth.noise if known else None)
    np.testing.assert_allclose(
        [found.noise, found.scale, found.exponent],
        [truth.noise, truth.scale, truth.exponent],
        rtol=2e-2,
    )


@pytest.mark.parametrize("penalty", ["gradient", "laplacian", "identity"])
@pytest.mark.parametrize("stride, count", [(1, 1), (2, 1), (2, 3)])
def test_expected_error_is_that_of_dense_matrices(penalty, stride, count):
    rng = np.random.default_rng(stride + count)
    coarse, fine = 12, 12 * stride
    kernels = rng.standard_normal((count, 5))
    model = SpectralModel(0.3, 0.7, 0.8)
    columns = fft.fft(np.eye(fine), axis=0)

    def circulant(symbol):
        return (columns.conj().T @ (symbol[:, None] * columns)).real / fine

    a = np.concatenate(
        [circulant(response(kernel, (fine,)))[::stride] for kernel in kernels]
    )
    power = penalty_power(penalty, (fine,))
    weight = 0.37
    inverse = np.linalg.inv(a.T @ a + weight**2 * circulant(power)) @ a.T
    spread = model.scene(differences((fine,)))
    spread[::coarse] = 0  # the frequencies that share one with the mean
    lost = (np.eye(fine) - inverse @ a) @ circulant(spread)
    lost = np.trace(lost @ (np.eye(fine) - inverse @ a).T)
    mean = columns[::coarse] / np.sqrt(fine)
    kept = np.trace(inverse @ inverse.T)
    kept -= np.linalg.norm(mean.conj() @ inverse) ** 2
    error = ExpectedError(
        [response(kernel, (fine,)) for kernel in kernels], (coarse,), model, power
    )
    np.testing.assert_allclose(error(weight), lost + model.noise**2 * kept, rtol=1e-8)


@pytest.mark.parametrize("size", [(256, 230), (64, 60, 52)])
def test_weight_of_a_scene_with_the_spectrum_of_the_penalty(size):
    # Gradients with standard deviation tau: the best weight is noise / tau.
    rng = np.random.default_rng(3)
    tau, noise = 0.05, 0.01
    kernel = blur(1.2, (7,) * len(size))
    b = blurred(scene(size, tau**2, 1.0, rng), kernel)
    b += noise * rng.standard_normal(size)
    found = choose_strength([b[None]], [kernel], caution=1)
    assert abs(found.weight / (noise / tau) - 1) < 0.2
    assert abs(found.model.noise / noise - 1) < 0.05
    known = choose_strength([b[None]], [kernel], noise=noise, caution=1)
    assert abs(known.weight / (noise / tau) - 1) < 0.2
    doubled = choose_strength([b[None]], [kernel], noise=noise)
    assert abs(doubled.weight / (2**0.5 * noise / tau) - 1) < 0.2


@pytest.mark.parametrize(
    "penalty, exponent",
    [  # the identity takes the coarsest details of steeper scenes, which no tile has
        ("gradient", 0.0),
        ("gradient", 1.0),
        ("gradient", 2.0),
        ("laplacian", 1.0),
        ("laplacian", 2.0),
        ("identity", 0.0),
        ("identity", 1.0),
    ],
)
def test_error_of_the_weight_is_near_the_least(penalty, exponent):
    rng = np.random.default_rng(4)
    x = scene((192, 192), 0.01, exponent, rng)
    kernel = blur(1.5, (11, 11))
    b = blurred(x, kernel) + 0.02 * rng.standard_normal(x.shape)
    transfer, power = response(kernel, x.shape), penalty_power(penalty, x.shape)

    def error(weight):
        inverse = transfer.conj() / (np.abs(transfer) ** 2 + weight**2 * power)
        return np.linalg.norm(fft.ifftn(fft.fftn(b) * inverse).real - x)

    weight = choose_strength([b[None]], [kernel], penalty=penalty, caution=1).weight
    least = min(error(w) for w in np.geomspace(1e-3, 30, 40))
    assert error(weight) < 1.02 * least


def test_kernel_of_a_penalty_is_taken_as_the_name_of_the_same():
    rng = np.random.default_rng(5)
    x = scene((96, 96), 0.01, 1.0, rng)
    b = (x + 0.02 * rng.standard_normal(x.shape))[None]
    kernel = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    by_name = choose_strength([b], [np.ones((3, 3)) / 9], penalty="laplacian")
    by_kernel = choose_strength([b], [np.ones((3, 3)) / 9], penalty=kernel)
    np.testing.assert_allclose(by_kernel.weight, by_name.weight, rtol=1e-6)


def test_weight_has_no_unit_and_the_psf_scales_it():
    rng = np.random.default_rng(6)
    kernel = blur(1.0, (5, 5))
    b = blurred(scene((96, 96), 0.01, 1.0, rng), kernel)
    b = (b + 0.01 * rng.standard_normal(b.shape))[None]
    weight = choose_strength([b], [kernel]).weight
    np.testing.assert_allclose(
        choose_strength([3 + 1000 * b], [kernel]).weight, weight, rtol=1e-3
    )
    np.testing.assert_allclose(
        choose_strength([b], [10 * kernel]).weight, 10 * weight, rtol=1e-3
    )


@pytest.mark.parametrize("b", [np.zeros((1, 64, 64)), np.full((1, 64, 64), 3.0)])
def test_flat_pictures_have_a_weight(b):
    found = choose_strength([b], [np.ones((3, 3)) / 9])
    assert 0 < found.weight < np.inf
    assert found.model.noise < 1e-6


def test_noise_alone_has_a_large_weight():
    noise = 0.1 * np.random.default_rng(7).standard_normal((1, 128, 128))
    found = choose_strength([noise], [blur(1.5, (9, 9))])
    assert found.weight > 2
    assert abs(found.model.noise / 0.1 - 1) < 0.03


@pytest.mark.parametrize("size", [(16, 16), (5, 7), (1, 9), (3,), (4, 6, 5)])
def test_small_pictures_have_a_weight(size):
    b = np.random.default_rng(8).random((3, *size))
    found = choose_strength([b], [np.ones((3,) * len(size)) / 3 ** len(size)])
    assert 0 < found.weight < np.inf
