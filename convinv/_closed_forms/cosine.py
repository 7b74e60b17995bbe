"""Layers that the discrete cosine transform turns into a matrix per frequency.

Reflection at the borders continues an image evenly, and a kernel that is even along
every axis keeps it even. Where the edge is repeated, the layer is diagonal in the
orthonormal DCT-II (Ng, Chan and Tang, SIAM J. Sci. Comput. 21, 1999). Where it is not,
the layer is diagonal in the DCT-I, which is orthonormal only with half the weight on
the edges: inverses are then equally exact, but least squares and damping refer to
another norm.
"""

import numpy as np
import scipy.fft

from .._core.arrays import to_numpy
from .._core.threads import thread_count
from ..operators._symbol import Symbol
from .kernel_rounding import departure


class CosineSymbol(Symbol):
    """A layer's matrices at the frequencies of a cosine transform.

    Parameters
    ----------
    op : ConvLinearOperator or its adjoint
        A layer for which `cosine_type` returns a type.
    type : int
        Type of the transform, 1 or 2.
    departure : float
        Norm of the difference from an even layer, due to rounding of the kernel.
    """

    def __init__(self, op, type, departure=0.0):
        self.type = type
        super().__init__(op)
        self.tolerance += departure

    def _count_frequencies(self):
        self.bins = self.torus
        self.multiplicity = np.ones(self.bins[2])

    def _wave(self, axis, offsets):
        half = max(self.torus[axis] - (self.type == 1), 1)  # of a period
        turns = np.outer(np.arange(self.bins[axis]), offsets) % (2 * half)
        return np.cos(np.pi * turns / half)

    def _whole(self):
        return None  # `symbol` has complex waves, not cosines

    def transform(self, v):
        return scipy.fft.dctn(v, self.type, axes=(-3, -2, -1), norm="ortho")

    def squares(self):
        first, second, third = ((np.arange(n) / n) ** 2 for n in self.torus)
        return (first[:, None] + second).reshape(-1, 1) + third

    def multiplication(self, matrices):
        axes = [3 + a for a, n in enumerate(self.torus) if n > 1]
        matrices = matrices.reshape(*matrices.shape[:3], -1).astype(self.dtype)
        how = {"type": self.type, "axes": axes, "norm": "ortho"}
        before = after = None
        if self.type == 1:
            weights = self._weights()
            before, after = weights, 1 / weights
            if self.adjoint:
                before, after = after, before

        def multiply(v):
            v = v if before is None else v * before
            workers = thread_count()
            v = scipy.fft.dctn(v, **how, workers=workers) if axes else v
            v = v.reshape(*v.shape[:3], -1)
            v = np.einsum("gpqf,bgqf->bgpf", matrices, v)
            v = v.reshape(*v.shape[:3], *self.torus)
            if axes:
                v = scipy.fft.idctn(v, **how, overwrite_x=True, workers=workers)
            return v if after is None else v * after

        return multiply

    def _weights(self):
        """Square roots of the weights in which the DCT-I is orthonormal."""
        weights = np.ones(self.torus, self.dtype)
        for axis, n in enumerate(self.torus):
            if n > 1:
                ends = np.moveaxis(weights, axis, 0)
                ends[0] *= np.sqrt(0.5)
                ends[-1] *= np.sqrt(0.5)
        return weights


def cosine_type(op) -> tuple[int, float] | None:
    """The type of the transform of a layer, and how far its kernel is from even.

    None if it has no such transform.
    """
    g = op.layer.geometry
    type = _type_of_boundary(g)
    if type is None or not _is_centered(g):
        return None
    kernel = to_numpy(op.layer.weights)
    kernel = kernel.astype(np.result_type(kernel.dtype, np.float64))
    largest, rounding = np.abs(kernel).max(), 0.0
    for part in (kernel[:1], kernel):  # the first filter refuses most kernels
        even = part
        for axis in (-3, -2, -1):
            even = (even + np.flip(even, axis)) / 2
        found = departure(part, even, largest)
        if found is None:
            return None
        rounding = found
    return type, rounding


def _type_of_boundary(g):
    if g.boundary == "symmetric":
        return 2
    if g.boundary == "replicate" and max(g.before) <= 1:  # one sample is no difference
        return 2
    return 1 if g.boundary == "reflect" else None


def _is_centered(g):
    """Whether an output is the sample under the middle of the kernel's window."""
    return all(
        s == 1 and k % 2 == 1 and p == q == d * (k - 1) // 2
        for s, k, d, p, q in zip(g.stride, g.kernel, g.dilation, g.before, g.after)
    )
