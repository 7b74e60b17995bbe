"""The experiments on low-rank priors and gradients of singular values."""

import types

import numpy as np
import pytest

from convinv.proximal import NuclearNorm, TotalVariation, prox_nuclear
from support.columns import column

pytest.importorskip("torch")


# Table 1


@pytest.fixture
def gradients(load):
    return load("svd_inv.gradients")


def test_matrices(gradients):
    for case, scale in gradients.paper.SCALES.items():
        data = gradients.matrices(40, scale)
        assert data.u.shape == data.vh.shape == (40, 10, 10)
        eye = np.broadcast_to(np.eye(10), (40, 10, 10))
        for factor in (data.u, data.vh):
            product = factor @ factor.swapaxes(1, 2)
            np.testing.assert_allclose(product, eye, atol=1e-13)
        gaps = -np.diff(data.s / data.s[:, :1], axis=1)
        assert np.all(gaps >= 0)
        closest = (-np.diff(data.s, axis=1) / data.s[:, 1:]).min(axis=1)
        assert np.all(closest < 1e-14)
        assert np.all((data.s > data.tau[:, None]).sum(axis=1) == gradients.KEPT)
        assert scale / 100 < np.median(data.s) < scale * 2


@pytest.mark.parametrize("workflow", [1, 2, 3])
def test_reference(gradients, workflow):
    """Finite differences of the loss along random directions, far from kinks."""
    data = gradients.matrices(12, 1.0, rng=3)
    found = gradients.gradient(data, data.tau, workflow, "exact")
    rng, h = np.random.default_rng(0), 1e-6

    def loss(a):
        u, s, vh = np.linalg.svd(a)
        f, _ = gradients.mapped(s, data.tau, workflow)
        return abs((u * f[:, None]) @ vh).sum(axis=(1, 2))

    a = data.array()
    for _ in range(3):
        d = rng.standard_normal(a.shape)
        slope = (loss(a + h * d) - loss(a - h * d)) / (2 * h)
        close = np.isclose((found * d).sum(axis=(1, 2)), slope, rtol=1e-4, atol=1e-4)
        assert close.sum() >= 10  # of 12: an entry near 0 is a kink of the norm
    if workflow == 1:
        np.testing.assert_allclose(found, np.sign(a), atol=1e-12)


def test_what_the_table_counts(gradients):
    errors = gradients.Errors(np.array([1.0, 2.5]), np.zeros(2), 3)
    assert str(errors) == "3.5 (3 not finite)"
    assert str(gradients.Errors(np.zeros(0), np.zeros(0), 4)) == "none finite"


def test_the_double_value(gradients):
    """The gradient at the double value is that of its neighbor, but not by all."""
    exact, near = (
        gradients.shifted_gradient(m, "exact")
        for m in (gradients.PAIR, gradients.MOVED)
    )
    np.testing.assert_allclose(exact, near, atol=1e-4)
    h, expected = 1e-5, np.empty((2, 2))
    for k in range(4):
        step = h * np.eye(4)[k].reshape(2, 2)
        ends = []
        for a in (gradients.PAIR + step, gradients.PAIR - step):
            u, s, vh = np.linalg.svd(a)
            ends.append(((u * (s + 0.1)) @ vh).sum())
        expected.flat[k] = (ends[0] - ends[1]) / (2 * h)
    np.testing.assert_allclose(exact, expected, atol=1e-8)
    for variant in ("tf", "inv"):
        off = gradients.shifted_gradient(gradients.PAIR, variant) - exact
        assert abs(off).max() > 0.1


# Priors


@pytest.fixture
def priors(load):
    return load("svd_inv.priors")


@pytest.mark.parametrize("name", ["unfolded", "casorati", "temporal"])
def test_arrangements_are_undone(priors, name):
    prior = getattr(priors, name)(0.0)
    x = np.random.default_rng(0).standard_normal((4, 5, 3))
    np.testing.assert_allclose(prior.prox(x, 1.0), x, atol=1e-12)
    assert prior.value(x) == 0


def test_arrangements(priors):
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 3))
    found = priors.unfolded(0.7).prox(x, 2.0)
    for one, image in zip(found, x):
        side = np.concatenate([image[..., c] for c in range(3)], axis=1)
        z = prox_nuclear(side, 1.4)
        expected = np.stack(np.split(z, 3, axis=1), axis=-1)
        np.testing.assert_allclose(one, expected, atol=1e-12)
    x = x[..., 0] * (1 + 1j)
    expected = prox_nuclear(x.reshape(2, -1), 0.3).reshape(x.shape)
    np.testing.assert_allclose(priors.casorati(0.3).prox(x, 1.0), expected)
    frames = np.fft.fft(x, axis=0, norm="ortho")
    size = np.linalg.svd(frames, compute_uv=False).sum()
    assert priors.temporal(2.0).value(x) == pytest.approx(2 * size)


def test_the_sum_of_two_priors(priors):
    """Its proximal operator: no other point has a lower objective."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 7))
    sum_of = priors.Both(NuclearNorm(0.3), TotalVariation(0.2), 1e-7, 60)
    prox = sum_of.start()
    prox(x, 2.0)  # it begins where this ended
    z = prox(x, 1.5)

    def objective(y):
        return np.sum((y - x) ** 2) / 2 + 1.5 * sum_of.value(y)

    least = objective(z)
    for size in (1e-3, 1e-2, 1e-1):
        for _ in range(20):
            assert objective(z + size * rng.standard_normal(x.shape)) > least
    other = priors.Both(TotalVariation(0.2), NuclearNorm(0.3), 1e-7, 60)
    np.testing.assert_allclose(other.prox(x, 1.5), z, atol=1e-4)


# Series and masks


@pytest.fixture
def series(load):
    return load("svd_inv.series")


def test_phantom(series):
    x = series.phantom(6, 32, 0)
    assert x.shape == (6, 32, 32) and x.dtype == np.complex64
    assert abs(x).max() == pytest.approx(1)
    assert abs(x).min() < 1e-6  # outside of the body
    moved = np.linalg.norm(np.diff(x, axis=0), axis=(1, 2)) / np.linalg.norm(x[0])
    assert np.all((0.01 < moved) & (moved < 0.5))
    assert not np.allclose(x, series.phantom(6, 32, 1))


def test_an_ellipse(series):
    drawn = series.Ellipse(0.2, -0.1, 0.5, 0.25, 0.0, 2.0).drawn(64)
    area = drawn.sum() / 2 * (2 / 64) ** 2
    assert area == pytest.approx(np.pi * 0.5 * 0.25, rel=0.01)
    t = (np.arange(64) + 0.5) / 32 - 1
    center = (drawn * t).sum() / drawn.sum(), (drawn * -t[:, None]).sum() / drawn.sum()
    np.testing.assert_allclose(center, (0.2, -0.1), atol=0.01)


def test_masks(series):
    masks = {name: make(8, 48) for name, make in series.MASKS.items()}
    for name, mask in masks.items():
        assert mask.shape == (8, 48, 48) and mask[:, 24, 24].all()
        assert (mask[0] != mask[1]).any()
    part = {name: mask.mean() for name, mask in masks.items()}
    assert part["variable density, 8x"] == pytest.approx(1 / 8, rel=0.05)
    assert part["lines, 8x"] == pytest.approx(6 / 48)
    assert part["lines, 12x"] == pytest.approx(4 / 48)
    assert part["radial, 16 spokes"] < part["radial, 30 spokes"] < 0.9
    rows = masks["lines, 8x"]
    assert (rows.all(axis=2) == rows.any(axis=2)).all()
    assert rows.any(axis=(0, 2)).sum() > 12  # not the same ones in every frame


# The network


@pytest.fixture
def network(load):
    return load("svd_inv.network")


def test_the_network_begins_as_admm(network):
    """One stage: thresholded slices of the cosine transform, then known entries."""
    from scipy.fft import dct, idct

    rng = np.random.default_rng(0)
    x = rng.random((2, 12, 10, 3), np.float32)
    known = rng.random(x.shape) < 0.5
    model = network.network(network.Plan(stages=1))
    found = network.restore(model, x, known)
    np.testing.assert_array_equal(found[known], x[known])
    slices = dct(np.where(known, x, 0).astype(float), axis=-1, norm="ortho")
    slices = slices.transpose(0, 3, 1, 2)
    tau = np.linalg.norm(slices, axis=(2, 3)) / (1 + np.exp(2.0))
    z = idct(prox_nuclear(slices, tau).transpose(0, 2, 3, 1), axis=-1, norm="ortho")
    np.testing.assert_allclose(found[~known], z[~known], atol=1e-5)


def test_training(network):
    import torch

    plan = network.Plan(stages=2, steps=4, batch=2, patch=12)
    before = network.network(plan)
    state = torch.random.get_rng_state()
    one, again = (network.train(plan, 0.3, "exact") for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert one.failed is None and len(one.norms) == 4
    np.testing.assert_allclose(one.norms, again.norms, rtol=1e-3)
    pairs = list(zip(before.parameters(), one.network.parameters()))
    assert sum(bool((p != q).any()) for p, q in pairs) >= len(pairs) - 1
    truth, known = next(network.batches(plan, 0.25, 0))
    assert truth.shape == (2, 3, 12, 12) and 0.1 < known.float().mean() < 0.4


def test_training_ends_with_the_first_infinite_gradient(network):
    plan = network.Plan(stages=1, steps=3, batch=2, patch=16)
    failed = network.train(plan, 0.04, "standard")
    assert failed.failed == 0 and not np.isfinite(failed.norms[-1])


def test_one_thresholding(load):
    """Where plain gradients fail, divided differences do not."""
    unrolled = load("svd_inv.unrolled")
    table, errors = unrolled.layer_table(4)
    assert len(table.rows) == 7
    for name in ("checkerboards", "orthogonal matrices"):
        exact, tf = errors[name, "exact"], errors[name, "tf"]
        assert errors[name, "standard"].lost > 0 == exact.lost
        assert exact.relative.max() < 1e-5 < 0.1 < tf.relative.max()
    growth = [one.growth for (_, v), one in errors.items() if v == "exact"]
    assert max(growth) < 1.001


# All of them


@pytest.mark.parametrize("name", ["gradients", "completion", "mri", "unrolled"])
def test_quick_runs(load, name):
    command = load("svd_inv.__main__").COMMAND
    outcome, text = command.outcome(name, types.SimpleNamespace(quick=True, threads=1))
    assert not outcome.failed
    assert f"python -m benchmarks.papers.svd_inv --quick --only {name}" in text
    for table in outcome.tables:
        assert {len(row) for row in table.rows} == {len(table.columns.split(","))}
    if name == "gradients":
        exact = [cell for cell in column(outcome.tables[0], "exact") if cell != "-"]
        assert len(exact) == 18 and not any("finite" in cell for cell in exact)
    if name == "completion":
        assert outcome.claims[0].holds and "last bit" in outcome.claims[0].text
