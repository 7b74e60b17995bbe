"""The solution to all digits, and the tolerance with which `auto` is close enough."""

import math

import numpy as np
import scipy.sparse
from scipy.sparse import linalg

from convinv.operators._polyphase import Polyphase
from convinv.operators._symbol import whole_symbol

from ..support.quality import worst_psnr
from ..support.quiet import quietly

ACCURACY = 120.0  # dB
RTOLS = (1e-6, 1e-7, 1e-8, 1e-9, 1e-10)  # one with which "auto" reaches them
WELL = 10  # condition below which the reference needs no preconditioner
CHECKED = 3000  # unknowns up to which a sparse factorization checks the reference


def reference(case, b):
    """The solution to all digits, and what vouches for it."""
    op, b = case.operator("float64"), b.astype(float)
    plain = condition(op, case.damp) < WELL and case.size <= 256
    options = {} if plain else {"preconditioner": "schwarz"}
    result = quietly(op, b, "lsmr", damp=case.damp, rtol=1e-13, **options)
    gradient = np.linalg.norm(op.adjoint(b).reshape(len(b), -1), axis=1)
    notes = {"reference_residual": float(max(result.normal_residual_norm / gradient))}
    if op.shape[1] <= CHECKED:
        notes["reference_decibels"] = worst_psnr(result.x, factored(op, b, case.damp))
    return result.x, notes


def factored(op, b, damp):
    """The solution by SuperLU on the normal equations, refined once."""
    A, flat = op.tosparse().tocsc(), b.reshape(len(b), -1).T
    tall = A.shape[0] >= A.shape[1]
    N = A.T @ A if tall else A @ A.T
    solver = linalg.splu((N + damp**2 * scipy.sparse.eye(N.shape[0])).tocsc())

    def corrected(x):
        r = flat - A @ x
        if tall:
            return x + solver.solve(A.T @ r - damp**2 * x)
        return x + A.T @ solver.solve(r)

    x = corrected(corrected(np.zeros((A.shape[1], len(b)))))
    return x.T.reshape(len(b), *op.input_shape)


def condition(op, damp):
    """Ratio of the extreme singular values on a torus, damping included."""
    matrices = whole_symbol(Polyphase(op.geometry), op.weights, (1, 64, 64))
    values = np.linalg.svd(np.moveaxis(matrices, (1, 2), (-2, -1)), compute_uv=False)
    squares = values**2 + damp**2
    return float(math.sqrt(squares.max() / squares.min()))


def tolerance(case, op, b, exact, items):
    """An rtol with which "auto" reaches the bar, or the last that it meets.

    Where 1e-6 does not suffice, the next is smaller by as much as the error is too
    large.
    """
    best, step = RTOLS[0], 0
    while step < len(RTOLS):
        result = quietly(op, b, "auto", damp=case.damp, rtol=RTOLS[step])
        if not result.success:
            break
        best, missing = RTOLS[step], ACCURACY - worst_psnr(result.x[items], exact)
        if missing <= 0:
            break
        last = step == len(RTOLS) - 1
        step = min(step + math.ceil(missing / 20), len(RTOLS) - 1 + last)
    return best
