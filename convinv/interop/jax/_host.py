"""Solves and their gradients on the host, for JAX's callbacks.

JAX calls them with the arrays of one call, or, under `jax.vmap`, with leading axes in
front: of length 1 for what is not batched. Whatever shares a kernel and a damp is one
solve.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._core.result import OnFailure
from ...learning._normal_equations import padded, right_sides
from .._call import Call
from .._derivatives import gradients
from .._layer_map import LayerMap


@dataclass(frozen=True)
class Settings:
    """What is fixed while JAX traces a call.

    Attributes
    ----------
    layer_map : LayerMap
    method : str
    rtol, gradient_rtol : float
    on_failure : str
    """

    layer_map: LayerMap
    method: str
    rtol: float
    gradient_rtol: float
    on_failure: OnFailure

    def call(self) -> Call:
        """A call that has learnt nothing yet."""
        return Call(
            self.layer_map,
            self.method,
            self.rtol,
            self.gradient_rtol,
            self.on_failure,
        )


@dataclass
class Matrix:
    """The layer, or its adjoint, with the weight as a variable.

    Arrays have the shape ``(parts * items, *item)``: of each part the items are summed.
    """

    of: Call
    kernel: np.ndarray
    parts: int
    adjoint: bool = False

    def __post_init__(self) -> None:
        self._op = self.of.operator(self.kernel, self.adjoint)

    @property
    def call(self) -> Call:
        return self.of

    @property
    def rows(self) -> int:
        return self._op.shape[0]

    @property
    def columns(self) -> int:
        return self._op.shape[1]

    @property
    def is_regular(self) -> bool:
        square = self.rows == self.columns
        return square and not (self.of.damped or self.of.deficient)

    @property
    def H(self) -> Matrix:
        return Matrix(self.of, self.kernel, self.parts, not self.adjoint)

    def apply(self, x: np.ndarray) -> np.ndarray:
        return self._op.apply(x)

    def solve(self, y: np.ndarray, damp: np.ndarray) -> np.ndarray:
        return self.of.solve(self._op, y, float(damp), adjoint=self.adjoint)

    def normal_solve(self, g: np.ndarray, damp: np.ndarray) -> np.ndarray:
        return self.of.normal_solve(self._op, g, float(damp))

    def weight_gradient(self, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        if self.adjoint:  # Re <w, A^H x> = Re <x, A w>
            x, w = w, x
        g, items = self.of.layer_map.geometry, len(x) // self.parts
        found = np.zeros((self.parts, *self.kernel.shape), self.kernel.dtype)
        for i, (image, output) in enumerate(zip(x, w)):
            image = padded(image.reshape((g.c_in, *g.input)), g)
            side = right_sides(image, output, g)  # (groups, columns, filters)
            found[i // items] += side.transpose(0, 2, 1).reshape(self.kernel.shape)
        return found

    def inner(self, u: np.ndarray, v: np.ndarray, damp: np.ndarray) -> np.ndarray:
        products = (u.conj() * v).real.reshape((self.parts, -1))
        return products.sum(axis=1).astype(damp.dtype)


def solved(settings: Settings, axes: int, *arrays: Any) -> np.ndarray:
    """The x of all parts; `axes` is the number of axes of y in a call."""
    y, kernel, damp = map(np.asarray, arrays)
    m = settings.layer_map
    lead = _leads(m, axes, y, kernel, damp)
    items = y.shape[y.ndim - axes : y.ndim - len(m.output_shape)]
    found = np.empty((*lead, *items, *m.input_shape), y.dtype)
    for where, (part, own_kernel, own_damp) in _parts(m, lead, axes, kernel, damp, y):
        call = settings.call()
        op = call.operator(own_kernel, False)
        b = part.reshape((-1, *m.output_shape))
        if b.size:
            x = call.solve(op, b, float(own_damp))
            found[where] = x.reshape(found[where].shape)
    return found


def solve_gradients(
    settings: Settings, axes: int, parameters: bool, *arrays: Any
) -> tuple[np.ndarray, ...]:
    """Those of `solved` by y, and with `parameters` by the kernel and damp.

    In NumPy's sense: the gradient of ``Re <g, x>``, conjugate to JAX's.
    """
    g, x, y, kernel, damp = map(np.asarray, arrays)
    m = settings.layer_map
    lead = np.broadcast_shapes(_leads(m, axes, y, kernel, damp), g.shape[:-axes])
    by_y = np.zeros((*lead, *y.shape[y.ndim - axes :]), y.dtype)
    by_kernel = np.zeros((*lead, *m.geometry.kernel_shape), kernel.dtype)
    by_damp = np.zeros(lead, damp.dtype)
    given = (y, x, g)
    for where, (*rest, own_kernel, own_damp) in _parts(
        m, lead, axes, kernel, damp, *given
    ):
        data, found_x, cotangent = rest
        if not data.size:
            continue
        call, parts = settings.call(), math.prod(data.shape[: data.ndim - axes])
        call.damped = bool(own_damp)
        matrix = Matrix(call, own_kernel, parts)
        found = gradients(
            matrix,
            cotangent.reshape((-1, *m.input_shape)),
            data.reshape((-1, *m.output_shape)),
            own_damp,
            found_x.reshape((-1, *m.input_shape)),
            parameters,
        )
        by_y[where] = found[0].reshape(by_y[where].shape)
        if found[1] is not None:
            by_kernel[where] = found[1].reshape(by_kernel[where].shape)
            slope: Any = found[2]
            by_damp[where] = np.broadcast_to(slope, (parts,)).reshape(
                by_damp[where].shape
            )
    return (by_y, by_kernel, by_damp) if parameters else (by_y,)


def _leads(
    m: LayerMap, axes: int, y: np.ndarray, kernel: np.ndarray, damp: np.ndarray
) -> tuple[int, ...]:
    """The leading axes that `jax.vmap` has put in front."""
    own = len(m.geometry.kernel_shape)
    return np.broadcast_shapes(
        y.shape[: y.ndim - axes], kernel.shape[: kernel.ndim - own], damp.shape
    )


def _parts(
    m: LayerMap,
    lead: tuple[int, ...],
    axes: int,
    kernel: np.ndarray,
    damp: np.ndarray,
    *items: np.ndarray,
) -> Iterator[tuple[Any, tuple[np.ndarray, ...]]]:
    """All at once where they share a kernel and a damp, else each for itself."""
    own = len(m.geometry.kernel_shape)
    full = [np.broadcast_to(a, (*lead, *a.shape[a.ndim - axes :])) for a in items]
    kernel_lead = kernel.shape[: kernel.ndim - own]
    if math.prod(kernel_lead) == math.prod(damp.shape) == 1:
        shared = kernel.reshape(m.geometry.kernel_shape), damp.reshape(())
        yield ..., (*full, *shared)
        return
    kernels = np.broadcast_to(kernel, (*lead, *m.geometry.kernel_shape))
    damps = np.broadcast_to(damp, lead)
    for where in np.ndindex(*lead):
        yield where, (*(a[where] for a in full), kernels[where], damps[where])
