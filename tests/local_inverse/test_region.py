"""The region in which an inverse holds, and the ReLU network with its box."""

import itertools

import numpy as np
import pytest

from convinv.local_inverse import FeasibleRegion, LocalInverse, relu_realization
from support.arrays import random
from support.centers import center, size


@pytest.mark.parametrize("n", [1, 2, 3, 8])
@pytest.mark.parametrize("half_width", [0.1, None])
@pytest.mark.parametrize("hidden", [None, "paper"])
def test_the_network_is_the_linear_approximation(n, half_width, hidden):
    A0 = center(n)
    units = 8 * n * n if hidden else (1 if half_width else 2) * n * n
    network = relu_realization(A0, half_width, hidden=units if hidden else None)
    assert network.hidden == units and network.W1.shape == (units, n * n)
    D = 0.1 * np.random.default_rng(1).uniform(-1, 1, (50, n, n))
    if half_width is None:
        D *= 100
    X0 = np.linalg.inv(A0)
    close = 5e-13 * np.abs(D).max()
    np.testing.assert_allclose(network(A0 + D), X0 - X0 @ D @ X0, atol=close)
    flat = (A0 + D).reshape(50, -1)
    hidden = np.where(flat @ network.W1.T + network.b1 > 0, 1, 0)
    if half_width:
        assert hidden[:, : n * n].all()  # never off in the box


def test_the_network_with_a_box_is_another_map_outside():
    A0 = center(2)
    network, near = relu_realization(A0, 0.1), LocalInverse(A0)
    assert not np.allclose(network(A0 - 0.3), near.approximate(A0 - 0.3), atol=1e-3)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_distances(n):
    A0 = center(n, seed=n)
    region = FeasibleRegion(A0)
    assert region.exact
    assert region.distance() == pytest.approx(np.linalg.svd(A0)[1][-1])
    X = np.linalg.inv(A0)
    signs = [np.array(s) for s in itertools.product((-1, 1), repeat=n)]
    largest = max(s @ X @ t for s in signs for t in signs)
    assert region.distance("max") == pytest.approx(1 / largest)
    for norm in ("spectral", "frobenius", "max"):
        nearest = region.nearest_singular(norm)
        assert np.linalg.svd(nearest)[1][-1] < 1e-14 * np.linalg.norm(A0)
        far = size(nearest - A0, norm)
        assert far == pytest.approx(region.distance(norm))


@pytest.mark.parametrize("n", [2, 3])
def test_the_box_is_the_largest(n):
    """By the determinant at its corners, where it is extreme: it is multilinear."""
    A0 = center(n, seed=2)
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=n * n)))
    corners = corners.reshape(-1, n, n)

    def regular(width):
        signs = np.sign(np.linalg.det(A0 + width * corners))
        return (signs == signs[0]).all()

    box = FeasibleRegion(A0).box()
    assert regular(box * (1 - 1e-9)) and not regular(box * (1 + 1e-9))
    sufficient = 1 / (n * np.linalg.norm(np.linalg.inv(A0), 2))
    assert box >= sufficient


def test_a_box_with_a_margin():
    region = FeasibleRegion(center(3))
    for margin in (0.1, 0.5):
        box = region.box(margin)
        D = box * np.sign(random((3000, 3, 3)))
        assert 0 < box < region.box()
        assert np.linalg.svd(region.A0 + D)[1][:, -1].min() >= margin
    assert region.box(1e3) == 0


@pytest.mark.parametrize("kind", ["float64", "complex128"])
def test_bounds_where_signs_are_too_many(kind):
    A0 = center(24 if kind == "float64" else 3, kind)
    region = FeasibleRegion(A0)
    assert not region.exact
    nearest = region.nearest_singular("max")
    assert np.linalg.svd(nearest)[1][-1] < 1e-13 * np.linalg.norm(A0)
    assert 0 < region.distance("max") <= np.abs(nearest - A0).max() * (1 + 1e-12)
    assert region.distance("max") >= region.distance() / len(A0)


def test_membership():
    region = FeasibleRegion(center(3))
    box = region.box()
    A = region.A0 + box * np.array([0.5, 0.99, 1.01])[:, None, None] * np.sign(
        random((3, 3))
    )
    assert region.contains(A).tolist() == [True, True, False]
    assert region.contains(A, 0.6 * box).tolist() == [True, False, False]
    D = random((100, 3, 3), seed=1)
    A = region.A0 + D * np.linspace(0, 2, 100)[:, None, None]
    proven = region.proves(A)
    assert proven.any() and not proven.all()
    radius = np.abs(np.linalg.eigvals(region.inverse @ (A - region.A0))).max(axis=-1)
    assert (radius[proven] < 1).all()
    assert not region.proves(region.nearest_singular())


def test_pictures():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    from matplotlib.patches import Rectangle

    from convinv.local_inverse._picture import values

    region = FeasibleRegion(np.array([[2.0, 1.0], [1.0, 3.0]]))
    ax = region.picture(margin=0.3, size=21)
    assert region.picture(size=5, ax=ax) is ax
    assert ax.get_xlabel() == "entry (0, 0)" and ax.get_ylabel() == "entry (1, 1)"
    box, _ = (p for p in ax.patches if isinstance(p, Rectangle))
    assert box.get_width() == pytest.approx(2 * region.box(0.3))
    plt.close("all")
    axes = [np.array([0.5, 2.0]), np.array([2.0, 4.0, 5.0])]
    least, sign = values(region.A0, ((0, 0), (1, 1)), axes)
    np.testing.assert_array_equal(sign, [[0, 1], [1, 1], [1, 1]])  # 0.5 * 2 = 1
    assert least[0, 0] == pytest.approx(0, abs=1e-15)
