"""Classification of learned functions into the eigenspaces of the transform."""

from typing import NamedTuple

import numpy as np

DEGREES = 20  # of the eigenspaces that are looked at


class Found(NamedTuple):
    """Of each function: the degree of its class, and what is not in that class.

    `error` is the norm of the rest after regression on the class's functions, divided
    by the function's own norm.
    """

    degree: np.ndarray
    error: np.ndarray


class Eigenspaces:
    """The analytic eigenspaces in one of the spaces, sampled and orthonormalized."""

    def __init__(self, system, functions, weights):
        self.roots = np.sqrt(np.broadcast_to(weights, functions.shape[1:]))
        flat = self._flat(functions)
        degrees = system.orders[:, 0]
        self.degrees = np.unique(degrees)
        self.bases = [np.linalg.qr(flat[degrees == m].T)[0] for m in self.degrees]

    def _flat(self, functions):
        return (functions * self.roots).reshape(len(functions), -1)

    def classify(self, functions):
        flat = self._flat(functions)
        flat /= np.linalg.norm(flat, axis=1)[:, None]
        shares = np.array(
            [np.linalg.norm(flat @ basis, axis=1) for basis in self.bases]
        )
        best = shares.argmax(axis=0)
        rest = [z - self.bases[m] @ (self.bases[m].T @ z) for z, m in zip(flat, best)]
        return Found(self.degrees[best], np.linalg.norm(rest, axis=1))


def eigenspaces(op, degrees=DEGREES):
    """Those of the images and those of the data, with sines and cosines."""
    system = op.singular_system(degrees * (degrees + 1) // 2)
    return (
        Eigenspaces(system, system.images, op.image_weights),
        Eigenspaces(system, system.data, op.data_weights),
    )
