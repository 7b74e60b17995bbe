"""General-form Tikhonov problems and their solutions by dense matrices."""

import numpy as np

from convinv import ConvLinearOperator
from convinv.operators import DifferenceOperator, LaplacianOperator

from .arrays import normal

SIZE = (9, 10)
# kernel shape, input shape and options of A
OPERATORS = {
    "valid": ((1, 1, 3, 3), (1, *SIZE), {}),
    "zero": ((2, 1, 3, 3), (1, *SIZE), {"padding": 1}),
    "channels": ((3, 2, 3, 3), (2, *SIZE), {"padding": 1, "boundary": "reflect"}),
    "groups": ((3, 1, 3, 3), (3, *SIZE), {"groups": 3}),
    "stride": ((3, 2, 3, 3), (2, *SIZE), {"stride": 2, "padding": 1}),
    "line": ((1, 1, 5), (1, 23), {"padding": "same", "boundary": "replicate"}),
    "volume": ((1, 1, 2, 3, 2), (1, 4, 5, 6), {}),
    "ring": ((2, 1, 3, 3), (1, *SIZE), {"padding": "same", "boundary": "periodic"}),
}


def operator(name, dtype="float64", seed=0):
    shape, size, options = OPERATORS[name]
    kernel = normal(np.random.default_rng(seed), shape, dtype)
    return ConvLinearOperator(kernel, size, **options)


def penalty(name, op):
    """The operator that a name stands for."""
    wraps = op.boundary == "periodic"
    make = {"gradient": DifferenceOperator, "laplacian": LaplacianOperator}[name]
    boundary = "periodic" if wraps else "symmetric"
    return make(op.input_shape, boundary=boundary)


def dense(op):
    """The matrix of an operator, by its products with unit vectors."""
    return np.asarray(op @ np.eye(op.shape[1]))


def minimizer(A, b, penalties, weights=None, prior=0.0):
    """The minimizer of least distance from the prior; `penalties` are scaled."""
    weights = np.ones(len(A)) if weights is None else weights.ravel()
    root = np.sqrt(weights)
    prior = np.broadcast_to(np.ravel(prior), A.shape[1:])
    stack = np.concatenate([root[:, None] * A, *penalties])
    data = np.concatenate(
        [root * (b - A @ prior), *(np.zeros(len(part)) for part in penalties)]
    )
    return prior + np.linalg.lstsq(stack, data, rcond=None)[0]
