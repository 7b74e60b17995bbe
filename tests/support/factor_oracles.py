"""Slow NumPy forms of the kernels that keep factors: rotations, block rows."""

import numpy as np

from .oracles import wide


def givens_append(columns, left):
    """What scales the next vector, and the residual of a right side of norm 1.

    Of a Hessenberg matrix with these columns, and `left` below its diagonal.
    """
    ys, norm = givens_substitute(columns, left, np.ones(len(left))), []
    for y, column, below in zip(ys, columns, left):
        residual = _hessenberg(column, below) @ y
        residual[0] -= 1
        norm.append(np.linalg.norm(residual))
    return 1 / left[:, -1], np.array(norm)


def givens_substitute(columns, left, norm):
    """Its least-squares solutions, by LAPACK."""
    return np.array(
        [
            np.linalg.lstsq(
                _hessenberg(column, below), size * np.eye(len(below) + 1)[0], rcond=None
            )[0]
            for column, below, size in zip(columns, left, norm)
        ]
    )


def _hessenberg(column, below):
    steps = len(below)
    H = np.vstack([np.triu(column), np.zeros(steps)])
    H[np.arange(1, steps + 1), np.arange(steps)] = below
    return H


def sweeps_solve(rows, which, band, z):
    """By the dense matrix ``(I + L) D (I + L)^H`` of each group."""
    out = []
    for group, given in enumerate(z):
        width = rows[0].inverse.shape[1]
        lower = np.eye(len(which) * width, dtype=wide(rows[0].inverse).dtype)
        inverse = np.zeros_like(lower)
        for i, row in enumerate(which):
            own, first = slice(i * width, (i + 1) * width), max(i - band, 0) * width
            lower[own, first : i * width] = rows[row].lower[group]
            inverse[own, own] = rows[row].inverse[group]
        matrix = lower @ np.linalg.inv(inverse) @ lower.conj().T
        out.append(np.linalg.solve(matrix, wide(given).T).T)
    return np.array(out)
