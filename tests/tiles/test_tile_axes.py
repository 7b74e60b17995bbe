"""The geometry of tiles: what they cover, and what rows read of them."""

import itertools

import numpy as np
import pytest

from convinv import ConvLinearOperator
from convinv._tiles import TilePlan, read

LAYERS = {
    "valid": {},
    "same": {"padding": "same"},
    "strided": {"stride": 2, "padding": ((3, 1),)},
    "wide padding": {"padding": ((5, 7),), "boundary": "reflect"},
    "symmetric": {"padding": ((2, 0),), "boundary": "symmetric"},
    "replicate": {"padding": ((0, 3),), "boundary": "replicate"},
    "ring": {"padding": "same", "boundary": "periodic"},
    "strided ring": {"stride": 3, "padding": ((2, 0),), "boundary": "periodic"},
    "half a ring": {"padding": ((1, 0),), "boundary": "periodic"},
    "dilated": {"dilation": 3, "padding": ((4, 4),)},
}


def plan_of(options, size, tile, halo):
    kernel = np.random.default_rng(size).standard_normal((4, 1, 3))
    op = ConvLinearOperator(kernel, (1, size), **options)
    return op, TilePlan(op, 1.0, dtype=float, tile=tile, halo=halo)


@pytest.mark.parametrize("size, tile, halo", [(60, 13, 4), (60, 60, 9), (33, 6, 15)])
@pytest.mark.parametrize("name", LAYERS)
def test_tiles_see_the_whole_operator(name, size, tile, halo):
    """Products on boxes are those of the matrix, and cores and rows a partition."""
    options = LAYERS[name]
    op, plan = plan_of(options, size, tile, halo)
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((1, 1, size)), rng.standard_normal((1, *op.output_shape))
    forward, adjoint = op.forward(x), op.adjoint(y)
    (part,) = plan.parts
    seen = np.zeros(size, int)
    rows = 0
    for tile in plan.tiles + plan.checks:
        r = part.forward(tile, read(x, tile.runs("x")))
        np.testing.assert_allclose(r, read(forward, tile.runs("b")), atol=1e-12)
        found = part.adjoint(tile, read(y, tile.runs("b")))
        wanted = read(adjoint, tile.runs("box"))
        np.testing.assert_allclose(found, wanted, atol=1e-12)
        np.testing.assert_array_equal(
            read(x, tile.runs("box"))[(..., *tile.inner)], read(x, tile.runs("core"))
        )
        seen[tile.core] += 1
        rows += part.owned(tile)[0].stop - part.owned(tile)[0].start
    assert (seen == 2).all()
    assert rows == 2 * op.output_shape[1]


def test_boxes_have_one_size():
    """So that all tiles in the interior share one inverse, and their FFTs are fast."""
    op = ConvLinearOperator(np.ones((1, 1, 5, 5)), (1, 203, 190))
    plan = TilePlan(op, 0.5, dtype=float, tile=30, halo=7)
    sizes = {tile.box for tile in plan.tiles}
    assert len(plan.tiles) == 49 and len(sizes) == 1
    assert all(n >= 30 + 14 and n % 2 == 0 for n in sizes.pop())


def test_rings_are_read_around_the_end():
    image = np.arange(12.0).reshape(1, 3, 4)
    runs = (slice(2, 3), slice(0, 3)), (slice(3, 4), slice(0, 1))
    found = read(image, runs)
    wanted = image[np.ix_([0], [2, 0, 1, 2], [3, 0])]
    np.testing.assert_array_equal(found, wanted)
    assert read(image, ((), (slice(0, 2),))).shape == (1, 0, 2)


@pytest.mark.parametrize("name, value", [("tile", 0), ("halo", -1), ("tile", (3, 4))])
def test_wrong_sizes_are_named(name, value):
    op = ConvLinearOperator(np.ones((1, 1, 3)), (1, 20))
    with pytest.raises(ValueError, match=f"{name} must be an integer"):
        TilePlan(op, 1.0, dtype=float, **{name: value})


def test_layers_of_two_and_three_axes():
    rng = np.random.default_rng(5)
    boundaries = "zero", "reflect", "periodic"
    for ndim, boundary in itertools.product((2, 3), boundaries):
        shape = (2, 17, 14, 11)[: ndim + 1]
        kernel = rng.standard_normal((3, 2, 3, 2, 3)[: ndim + 2])
        op = ConvLinearOperator(kernel, shape, padding="same", boundary=boundary)
        plan = TilePlan(op, 1.0, dtype=float, tile=7, halo=2)
        x, y = rng.standard_normal(shape), rng.standard_normal(op.output_shape)
        forward, adjoint = op.forward(x), op.adjoint(y)
        for tile in plan.tiles:
            r = plan.parts[0].forward(tile, read(x[None], tile.runs("x")))
            np.testing.assert_allclose(r[0], read(forward, tile.runs("b")), atol=1e-12)
            found = plan.parts[0].adjoint(tile, read(y[None], tile.runs("b")))
            np.testing.assert_allclose(
                found[0], read(adjoint, tile.runs("box")), atol=1e-12
            )
