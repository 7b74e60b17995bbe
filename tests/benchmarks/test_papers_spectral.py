"""The spectral paper's experiments: training images, classes, decoding."""

import numpy as np
import pytest

from convinv.operators import Radon
from support.columns import column


@pytest.fixture
def problems(load):
    return load("spectral.problems")


def test_training_functions(problems):
    """49 with l >= 0 are of 13 degrees."""
    pairs = problems.cosines()
    assert len(pairs) == 49 and len({m for m, _ in pairs}) == 13
    assert all(m >= n >= 0 and (m - n) % 2 == 0 for m, n in pairs)
    counts = [len(problems.cosines(degrees)) for degrees in (1, 2, 3, 4, 5)]
    assert counts == [1, 2, 4, 6, 9]


def test_phantoms(problems):
    op = problems.Setting(48, 8).operator()
    images = problems.phantoms(op, 6, 0)
    assert images.shape == (6, 48, 48) and not images[:, ~op.mask].any()
    np.testing.assert_array_equal(images[:2], problems.phantoms(op, 2, 0))
    for image in images:
        levels = np.unique(image[image != 0])
        assert 10 <= len(levels) <= 2**problems.ELLIPSES
        assert abs(levels).max() <= problems.ELLIPSES
    assert np.linalg.matrix_rank(images.reshape(6, -1)) == 6


def test_an_ellipse_is_where_its_parameters_say(problems, monkeypatch):
    """Its area and center, from a generator that gives the ends of the ranges."""

    class Ends:
        def uniform(self, low=0.0, high=1.0, size=None):
            return high if size is None else np.array([high, high / 2])

    monkeypatch.setattr(problems, "ELLIPSES", 1)
    monkeypatch.setattr(problems.np.random, "default_rng", lambda rng: Ends())
    op = problems.Setting(200, 1).operator()
    (image,) = problems.phantoms(op, 1, 0)
    t = (np.arange(200) + 0.5) / 100 - 1
    assert image.max() == 1 and image[100, 60 + 100]
    area, inside = np.pi * 0.5 * 0.25, image[:, t > 0.1]
    assert inside.sum() / 100**2 == pytest.approx(area, rel=0.1)  # cut by the disk
    assert image[100, t < 0.09].sum() == 0  # it begins at 0.6 - 0.5
    rows = np.flatnonzero(image.any(axis=1))
    assert (rows[-1] - rows[0] + 1) / 100 == pytest.approx(2 * 0.25, abs=0.02)


def test_classification(load):
    op = Radon(48, angles=60)
    images, data = load("spectral.classes").eigenspaces(op, 6)
    system = op.singular_system([(0, 0), (3, 1), (4, -4), (5, 5)])
    for space, functions in ((images, system.images), (data, system.data)):
        found = space.classify(3 * functions)
        np.testing.assert_array_equal(found.degree, [0, 3, 4, 5])
        np.testing.assert_allclose(found.error, 0, atol=1e-12)
    u = system.images / np.sqrt((op.image_weights * system.images**2).sum(axis=(1, 2)))[
        :, None, None
    ]  # fmt: skip
    mixed = images.classify(np.array([0.8 * u[1] + 0.6 * u[0]]))
    assert mixed.degree == [3]
    np.testing.assert_allclose(mixed.error, 0.6, atol=0.02)


def test_transform(load):
    found = load("spectral.transform").outcome([16, 32], [24], 25, 0.05)
    assert not found.failed and not found.figures
    values, peer, times = found.tables
    assert column(values, "multiplicity") == list(range(1, 10))
    np.testing.assert_allclose(column(values, "g")[:2], [3.5449077, 2.5066283])
    errors = [[float(cell[:-2]) for cell in row[3:]] for row in values.rows]
    assert max(fine for _, fine in errors) < max(coarse for coarse, _ in errors) < 20
    median = column(peer, "ours to exact: median")
    assert median[1] < median[0] / 2 and median[1] < 0.05
    assert column(times, "product") == ["forward", "adjoint"]


def test_bumps_have_the_data_that_they_are_said_to_have(load):
    op = Radon(121, angles=7)
    image, exact = load("spectral.transform").bumps(op)
    assert np.linalg.norm(op.forward(image) - exact) < 0.02 * np.linalg.norm(exact)


def test_analytic(load, problems):
    found = load("spectral.analytic").outcome(problems.SMALL, 6)
    assert not found.failed
    assert set(found.figures) == {"analytic-images", "analytic-data"}
    shown, degrees = found.tables
    classes = [m for m, _ in sorted(problems.cosines(6))]
    assert column(shown, "class of u") == column(shown, "class of v") == classes
    values = np.array(column(shown, "learned value"))
    np.testing.assert_allclose(values, column(shown, "g"), rtol=0.02)
    assert column(degrees, "classified") == column(degrees, "functions")
    assert max(column(degrees, "plain: error of u")) > 0.4
    assert "12 functions are those with l >= 0 of 6 degrees" in found.notes[0]
    drawn = [ax for ax in found.figures["analytic-data"].axes if ax.images]
    assert len(drawn) == 12


def test_phantoms_have_no_singular_functions(load, problems):
    found = load("spectral.phantoms").outcome(problems.SMALL, [60])
    assert not found.failed
    assert set(found.figures) == {"phantoms-images", "phantoms-values"}
    shown, sets, small = found.tables
    assert np.all(np.less(column(shown, "learned value"), column(shown, "bound")))
    assert min(column(shown, "error of u")) > 0.5
    assert min(column(shown, "residual")) > 0.2
    rows = {row[0]: row for row in sets.rows}
    assert rows["45 mixtures"][1] == 20 and rows["20 mixtures"][1] == 0
    below = {name: float(row[5].split()[0]) for name, row in rows.items()}
    assert below["45 mixtures"] < 0.5 < below["60 phantoms"] < below["20 phantoms"]
    # |F* v - s u| of diag(2, 1): u = (1, 1) / sqrt(2), s = sqrt(5 / 2)
    s, u, v = np.sqrt(2.5), np.ones(2) / np.sqrt(2), np.array([2, 1]) / np.sqrt(5)
    rest = np.linalg.norm(np.diag([2, 1]) @ v - s * u)
    np.testing.assert_allclose(small.rows[0][1:], [s, rest])


def test_decoding(load, problems):
    found = load("spectral.decoding").outcome(problems.SMALL, 7)
    assert not found.failed and set(found.figures) == {"decoding"}
    (table,) = found.tables
    assert len(table.rows) == 18 and "-0.8 u_11" in found.notes[0]
    nearest, every = (np.array(column(table, n)) for n in ("nearest", "all"))
    assert np.all(every >= nearest - 1e-12)
    clean = {(row[0], row[2]): row for row in table.rows if row[1] == "0%"}
    noisy = {(row[0], row[2]): row for row in table.rows if row[1] == "5%"}
    for key in (("1", "16 functions"), ("sum of phantoms", "20 phantoms")):
        assert clean[key][4] < 1e-12 < 1e-3 < noisy[key][4] < 0.05
    assert clean["2", "16 functions"][4] < clean["2", "20 phantoms"][4]


def test_the_nearest_image(load, problems):
    op = problems.Setting(16, 12).operator()
    images = problems.phantoms(op, 3, 0)
    learned, truth = problems.learn(op, images), op.mask * 1.0
    found = load("spectral.decoding").project(op, learned, truth)
    A = images.reshape(3, -1).T
    expected = A @ np.linalg.lstsq(A, truth.ravel(), rcond=None)[0]
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-12)
