"""Matrices with given singular values, and gradients by differences."""

import numpy as np

from .arrays import random

SHAPES = {"square": (5, 5), "tall": (7, 4), "wide": (4, 7), "row": (1, 3)}
VALUES = {
    "distinct": [4.0, 3.1, 2.2, 0.9, 0.5],
    "repeated": [3.0, 3.0, 1.5, 1.5, 0.5],
    "zero": [3.0, 2.1, 0.0, 0.0, 0.0],
    "clustered": [3.0 + 2e-9, 3.0 + 1e-9, 3.0, 0.5 + 1e-12, 0.5],
}
VARIANTS = ["standard", "inv", "tf", "clip", "taylor"]


def matrix(values, shape, dtype, seed=0):
    """A matrix with given singular values."""
    k = min(shape)
    u = np.linalg.qr(random((shape[0], shape[0]), dtype, seed))[0][:, :k]
    v = np.linalg.qr(random((shape[1], shape[1]), dtype, seed + 1))[0][:, :k]
    return (u * np.array(values[:k])) @ v.conj().T


def hermitian(values, dtype, seed=0):
    q = np.linalg.qr(random((len(values), len(values)), dtype, seed))[0]
    return (q * np.array(values)) @ q.conj().T


def oracle(a, tau):
    """One matrix after the other, written out."""
    result = np.empty_like(a)
    for i in np.ndindex(a.shape[:-2]):
        u, s, vh = np.linalg.svd(a[i], full_matrices=False)
        result[i] = sum(
            (max(x - t, 0) * np.outer(u[:, j], vh[j]))
            for t in [np.broadcast_to(tau, a.shape[:-2])[i]]
            for j, x in enumerate(s)
        )
    return result


def slopes(loss, a, symmetric=False, h=1e-5):
    """The gradient of a real loss by central differences."""
    g = np.zeros_like(a)
    parts = [1.0] if a.dtype.kind == "f" else [1.0, 1j]
    for i in np.ndindex(a.shape):
        for part in parts:
            d = np.zeros_like(a)
            d[i] = h * part
            if symmetric:
                d = (d + d.conj().T) / 2
            g[i] += part * (loss(a + d) - loss(a - d)) / (2 * h)
    return g


def error(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def polar(a):
    u, _, vh = np.linalg.svd(a)
    return u @ vh
