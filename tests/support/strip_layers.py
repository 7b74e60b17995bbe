"""Layers whose strips cover every case, and the strips of the paper."""

import numpy as np

from convinv import ConvLinearOperator

from . import oracles
from .arrays import BOUNDARIES, random

# kernel, input, options, h_b: tall, wide and deficient strips, every boundary
LAYERS = {
    "valid tall": ((6, 2, 3, 3), (2, 10, 8), {}, 24),
    "valid wide": ((3, 2, 3, 3), (2, 10, 8), {}, 6),
    "deficient": ((3, 2, 2, 2), (2, 7, 7), {}, 12),
    "zero": ((5, 2, 3, 3), (2, 8, 6), {"padding": 1}, 12),
    "zero wide": ((2, 2, 3, 3), (2, 8, 6), {"padding": 1}, 3),
    "reflect": ((4, 1, 3, 3), (1, 8, 6), {"padding": 2, "boundary": "reflect"}, 8),
    "symmetric": ((4, 1, 3, 3), (1, 8, 6), {"padding": 2, "boundary": "symmetric"}, 8),
    "replicate": (
        (4, 1, 3, 2),
        (1, 8, 7),
        {"padding": ((3, 1), (0, 1)), "boundary": "replicate"},
        14,
    ),
    "periodic": ((2, 2, 3, 3), (2, 8, 6), {"padding": 1, "boundary": "periodic"}, 6),
    "stride": ((6, 1, 3, 3), (1, 13, 12), {"stride": 2, "padding": 1}, 6),
    "gaps": ((3, 1, 2, 1), (1, 12, 13), {"stride": (3, 4)}, 4),
    "dilation": ((5, 1, 3, 3), (1, 12, 10), {"dilation": (2, 3)}, 4),
    "groups": ((6, 2, 3, 3), (4, 8, 6), {"groups": 2}, 8),
    "1-D": ((3, 2, 4), (2, 27), {"padding": ((1, 2),)}, 9),
    "3-D": ((3, 1, 2, 2, 3), (1, 5, 4, 5), {}, 9),
    "3-D padded": ((2, 1, 2, 2, 3), (1, 4, 4, 5), {"padding": 1}, 5),
    "flip": ((4, 1, 3, 3), (1, 8, 6), {"flip": True}, 8),
}
for boundary in BOUNDARIES:
    padded = {"padding": 2, "boundary": boundary}
    LAYERS.setdefault(boundary, ((4, 1, 3, 3), (1, 8, 6), padded, 8))


KINDS = ("strip", "interleaved", "standard", "randomized")


def layer(name, dtype=float):
    kernel, shape, options, h_b = LAYERS[name]
    return ConvLinearOperator(random(kernel, dtype), shape, **options), h_b


def strip_rows(op, h_b):
    """Row lists of the paper's strips, one per group of channels."""
    r, groups = op.shape[0] // op.output_shape[0], op.geometry.groups
    rows = np.arange(op.shape[0]).reshape(groups, -1, r // h_b, h_b)
    return [rows[g, :, s].ravel() for s in range(r // h_b) for g in range(groups)]


def block_kaczmarz(A, b, blocks, x):
    """Sweep over blocks of rows once, with the pseudoinverses of whole blocks."""
    for rows in blocks:
        x = x + oracles.pinv(A[rows]) @ (b[rows] - A[rows] @ x)
    return x
