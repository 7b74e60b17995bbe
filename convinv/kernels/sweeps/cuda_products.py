"""Solves with wide block banded factors: a product of matrices for each step.

cuBLAS works in place on the lines of all items, which lie ``count * width`` numbers
apart, so that nothing is copied between steps. Factors of the same shape run together.
The products with the inverses of D do not wait for each other: they are one call.
"""

import cupy
import numpy as np

from .block_rows import BlockRow, backward_parts, by_rows_after

N, T = 0, 1  # of cuBLAS: a matrix as it is, or transposed
LETTER = {"f": "s", "d": "d", "F": "c", "D": "z"}  # in the names of functions
TYPE = {"f": 0, "d": 1, "F": 4, "D": 5}  # CUDA_R_32F, ...
COMPUTE = {"f": 68, "d": 70, "F": 68, "D": 70}  # CUBLAS_COMPUTE_32F, _64F
ALGORITHM = -1  # CUBLAS_GEMM_DEFAULT


class Plan:
    """The matrices of every step on the current device, and their addresses."""

    def __init__(self, rows, which, band):
        self.groups, self.width = rows[0].inverse.shape[:2]
        self.dtype, self.count = rows[0].inverse.dtype, len(which)
        self.size = self.groups * self.count * self.width
        self.shape = (self.count, self.width, band)
        self.steps = self.count - 1 if band else 0  # of a sweep
        put = cupy.asarray
        shared = isinstance(rows[0].inverse, cupy.ndarray)
        rows = [BlockRow(put(row.lower), put(row.inverse)) for row in rows]
        lowers, inverses = ([row[part] for row in rows] for part in range(2))
        backs = {
            after: cupy.concatenate(backward_parts(rows, after), axis=1)
            for after in by_rows_after(which, band)
            if len(after) > 1
        }
        self.arrays = (*lowers, *inverses, *backs.values())
        own = backs.values() if shared else self.arrays
        self.nbytes = sum(array.nbytes for array in own)
        after = [tuple(which[i : i + band + 1]) for i in range(self.steps)]
        self.lower = self._addresses([lowers[r] for r in which[1 : self.steps + 1]])
        self.inverse = self._addresses([inverses[r] for r in which])
        self.back = self._addresses([backs[key] for key in after])

    def _addresses(self, matrices):
        """Of the matrix of each group, ``(steps, groups)``."""
        found = np.zeros((len(matrices), self.groups), np.int64)
        for step, array in zip(found, matrices):
            step[:] = array.data.ptr
            step += array.nbytes // self.groups * np.arange(self.groups)
        return found


def solve(plans, batch, z):
    """In place, for ``(plan, start)`` of one shape: `start` is that of its values.

    `start` counts numbers of one item.
    """
    if batch == 0:
        return
    u = cupy.empty_like(z)
    steps = _Steps(plans, batch, z, u)
    (count, width, band), last = plans[0][0].shape, plans[0][0].steps
    for i in range(last):
        steps.take("lower", i, T, min(i + 1, band) * width)
    steps.take("inverse", 0, T, width)
    for i in reversed(range(last)):
        steps.take("back", i, N, min(count - 1 - i, band) * width)
    for plan, start in plans:
        part = slice(batch * start, batch * (start + plan.size))
        z[part] = u[part]


class _Steps:
    """Steps of all plans and groups, by cuBLAS."""

    def __init__(self, plans, batch, z, u):
        count, self.width, band = plans[0][0].shape
        self.batch, self.stride, self.char = batch, count * self.width, z.dtype.char
        old, new = (self._lines(plans, a) for a in (z, u))
        later = np.arange(1, plans[0][0].steps + 1)
        before = np.maximum(later - band, 0)

        def matrices(name):
            return np.concatenate([getattr(plan, name) for plan, _ in plans], axis=1)

        # for each step the addresses of matrices, of lines they are applied to, and of
        # those that this changes
        self.tables = {
            "lower": np.array([matrices("lower"), old[before], old[later]]),
            "back": np.array([matrices("back"), new[later], new[later - 1]]),
            "inverse": np.array([matrices("inverse"), old, new]).reshape(3, 1, -1),
        }
        # one plan needs those of the products with inverses only
        needed = ["inverse"] if len(plans) == 1 else list(self.tables)
        self.array = cupy.asarray(
            np.concatenate([self.tables[n] for n in needed], None)
        )
        self.on_device, place = {}, self.array.data.ptr
        for name in needed:
            table = self.tables[name]
            numbers = np.arange(table[..., 0].size).reshape(table.shape[:2])
            self.on_device[name] = place + 8 * table.shape[2] * numbers
            place += table.nbytes
        self.scalars = [np.array(s, z.dtype) for s in (-1, 1, 0)]

    def _lines(self, plans, z):
        """Addresses of the lines of z, ``(count, plans * groups)``."""
        starts = [
            self.batch * (start + group * self.stride)
            for plan, start in plans
            for group in range(plan.groups)
        ]
        count = self.stride // self.width
        lines = self.width * np.arange(count)[:, None]
        return z.data.ptr + z.itemsize * (lines + np.array(starts))

    def take(self, name, step, form, inner):
        """Subtract a step's products from its lines, or put them there.

        cuBLAS has columns where we have rows: the matrices come first, and those that
        are transposed for us are not for cuBLAS.
        """
        minus, one, zero = (scalar.ctypes.data for scalar in self.scalars)
        alpha, beta = (one, zero) if name == "inverse" else (minus, one)
        handle, char = cupy.cuda.device.get_cublas_handle(), self.char
        sizes = (form, N, self.width, self.batch, inner)
        own, many = inner if form == T else self.width, self.tables[name].shape[2]
        if name in self.on_device:
            matrices, lines, changed = self.on_device[name][:, step].tolist()
            getattr(cupy.cuda.cublas, f"{LETTER[char]}gemmBatched")(
                *(handle, *sizes, alpha, matrices, own, lines, self.stride),
                *(beta, changed, self.stride, many),
            )
            return
        matrices, lines, changed = self.tables[name][:, step, 0].tolist()
        kind, apart = TYPE[char], self.batch * self.stride
        cupy.cuda.cublas.gemmStridedBatchedEx(
            *(handle, *sizes, alpha, matrices, kind, own, inner * self.width),
            *(lines, kind, self.stride, apart, beta, changed, kind, self.stride, apart),
            *(many, COMPUTE[char], ALGORITHM),
        )
