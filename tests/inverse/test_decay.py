"""What makes exact inverses cheap: the inverse of N decays, and so does its factor."""

import numpy as np

from convinv import ConvLinearOperator, gallery, solve
from convinv._inverse.accuracy import FINEST
from convinv._inverse.block_cholesky import BlockCholesky
from convinv._inverse.border_correction import BorderCorrectedCirculant
from convinv._inverse.gram import Gram, product

LINE = 16  # cells of a line, which is a block of the factor


def decay(length):
    """How fast the inverse of N decays across lines, and its factor converges.

    Returns the norms of the blocks of N^-1 by their distance in lines, and the changes
    of the factor's inverse pivots to the one that they converge to, by line.
    """
    kernel = gallery.conv_layer(3, 8, rng=np.random.default_rng(0))
    gram = Gram(ConvLinearOperator(kernel, (3, length, LINE)), "input")
    factor = BlockCholesky(gram, 1)
    unknowns, middle = gram.channels * LINE, length // 2
    v = np.zeros((gram.channels, LINE, 1, gram.channels, 1, length, LINE))
    for channel, column in np.ndindex(gram.channels, LINE):
        v[channel, column, 0, channel, 0, middle, column] = 1
    x = factor.solve(v.reshape(unknowns, *v.shape[2:]))
    lines = x[:, 0, :, 0].transpose(2, 0, 1, 3).reshape(length, unknowns, unknowns)
    norms = np.linalg.norm(lines[middle:], 2, axis=(1, 2))
    # the one that serves most lines
    limit = np.bincount(factor.which).argmax()
    pivots = np.array([row.inverse[0] for row in factor.rows[: limit + 1]])
    changes = np.linalg.norm(pivots - pivots[-1], 2, axis=(1, 2))
    return norms / norms[0], changes[:-1] / np.linalg.norm(pivots[-1], 2)


def residuals(op, b):
    """Root mean square over the channels of ``v - N x``: on the torus, then corrected.

    In units of v, that is ``A^H b``, whose root mean square is 1.
    """
    gram = Gram(op, "input")
    tori = BorderCorrectedCirculant(gram)
    v = gram.pack(op.adjoint(b)[None])
    v /= np.sqrt(np.mean(v**2))
    first = tori.torus.apply(v)
    found = []
    for x in (first, tori.apply(v)):
        r = v - product("input", op, gram.layer, np.ascontiguousarray(x))
        found.append(np.sqrt(np.mean(r[0, 0, :, 0] ** 2, axis=0)))
    return found


def test_decay():
    """The factor converges with the square of the rate at which N^-1 decays."""
    norms, changes = decay(96)
    rates = (norms[30] / norms[20]) ** (1 / 10), (changes[24] / changes[12]) ** (1 / 12)
    assert 0.3 < rates[0] < 0.9
    np.testing.assert_allclose(rates[1], rates[0] ** 2, rtol=0.03)


def test_frame():
    """The torus leaves a residual on the frame only, the bands next to none."""
    op = ConvLinearOperator(gallery.conv_layer(1, 8, rng=0), (1, 96, 96))
    b = np.random.default_rng(0).random(op.output_shape)
    torus, bands = residuals(op, b)
    assert torus.max() > 1e-2 and torus[4:-4, 4:-4].max() < 1e-13
    assert bands.max() < 3e-4 * torus.max()
    edge = np.zeros(bands.shape, bool)  # of the bands: stencils reach 2 further
    depths = solve(op, b, "schwarz", accuracy=FINEST).extra["depth"]
    assert max(depths) < 40
    for axis, depth in enumerate(depths):
        for lines in (slice(depth, depth + 2), slice(-depth - 2, -depth)):
            edge[lines if axis == 0 else (slice(None), lines)] = True
    assert bands[~edge].max() < 1e-2 * bands.max()
