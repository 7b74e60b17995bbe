"""Solves with block banded factors for CuPy arrays; contract: `kernels.sweeps`.

Narrow factors take one launch for all steps of several factors (`cuda.cu`), wide ones
a product of matrices for each step (`cuda_products.py`).
"""

import cupy
import numpy as np

from ..._core.arrays import check_device, settled
from .. import launcher
from . import cuda_products
from .block_rows import backward_parts, by_rows_after, lower_part

BYTES = 32  # of the numbers that a block of threads treats together
SHARED = 48 * 1024  # bytes that a block may use on every device
FEW = 264  # blocks of one item each that two per multiprocessor of a large device hold


def prepare(rows, which, band):
    width = rows[0].inverse.shape[1]
    narrow = width <= launcher.THREADS and _shared(width, band, BYTES) <= SHARED
    plan = (NarrowPlan if narrow else cuda_products.Plan)(rows, which, band)
    return settled(plan, cupy)


def solve(plans, batch, z):
    size = sum(plan.size for plan in plans)
    launcher.check("z", z, plans[0].dtype, (batch * size,))
    narrow, alike, start = [], {}, 0
    for plan in plans:
        check_device(plan.arrays[0], "the plan")
        if isinstance(plan, NarrowPlan):
            narrow.append((plan, start))
        else:
            alike.setdefault(plan.shape, []).append((plan, start))
        start += plan.size
    if narrow:
        _solve_narrow(narrow, batch, z)
    for wide in alike.values():
        cuda_products.solve(wide, batch, z)


def _shared(width, band, size):
    """Bytes for the lines of a step and the parts of its sums, `size` an unknown."""
    return ((band + 1) * width + launcher.THREADS // width * width) * size


class NarrowPlan:
    """The matrices of every step on the current device, as `cuda.cu` takes them."""

    def __init__(self, rows, which, band):
        self.groups, self.width = rows[0].inverse.shape[:2]
        self.dtype, self.band = rows[0].inverse.dtype, band
        self.count, self.size = len(which), self.groups * len(which) * self.width
        after = list(by_rows_after(which, band))
        numbers = {key: number for number, key in enumerate(after)}
        serves = [numbers[tuple(which[i : i + band + 1])] for i in range(self.count)]
        self.arrays = (
            cupy.asarray(self._stacked([_forward(row, band) for row in rows])),
            cupy.asarray(self._stacked([_backward(rows, key) for key in after])),
            cupy.asarray(np.array(which, np.int32)),
            cupy.asarray(np.array(serves, np.int32)),
        )
        self.fields = (self.count, self.width, band, len(rows), len(after))
        self.nbytes = sum(array.nbytes for array in self.arrays)
        self.tables: dict = {}  # of this plan and others, see `_table`

    def _stacked(self, steps):
        """``(groups, steps, lines, w, w)``, zero for lines beyond the ends."""
        w, lines = self.width, max(map(len, steps))
        out = np.zeros((self.groups, len(steps), lines, w, w), self.dtype)
        for step, matrices in enumerate(steps):
            for line, matrix in enumerate(matrices):
                out[:, step, line] = matrix
        return out


def _forward(row, band):
    """The matrices that lines before it are multiplied by, from the right."""
    have = row.lower.shape[2] // row.lower.shape[1]
    empty = [np.zeros_like(row.inverse)] * (band - have)
    parts = [-lower_part(row, j).transpose(0, 2, 1) for j in range(1, have + 1)]
    return parts + empty


def _backward(rows, after):
    own = rows[after[0]].inverse.transpose(0, 2, 1)
    return [own, *(-part for part in backward_parts(rows, after))]


def _solve_narrow(narrow, batch, z):
    plans = [plan for plan, _ in narrow]
    groups, itemsize = plans[0].groups, z.dtype.itemsize
    few = len(plans) * groups * batch <= FEW
    items = 1 if few else BYTES // itemsize
    blocks = -(-batch // items) * len(plans) * groups
    launcher.launch(
        launcher.function("sweeps/cuda", "solve_one" if few else "solve_some", z.dtype),
        (min(blocks, launcher.MAX_X),),
        (launcher.THREADS,),
        *(z, _table(narrow), len(plans), groups, batch),
        shared=max(_shared(p.width, p.band, items * itemsize) for p in plans),
    )


def _table(narrow):
    """What `cuda.cu` needs to know of the plans, on the device, kept with the first."""
    key = tuple((id(plan), start) for plan, start in narrow)
    first = narrow[0][0]
    tables = first.tables
    if key not in tables:
        rows = [
            (*(array.data.ptr for array in plan.arrays), start, *plan.fields)
            for plan, start in narrow
        ]
        table = settled(cupy.asarray(np.array(rows, np.int64)), cupy)
        # with the other plans, so that no other plan gets their ids
        tables[key] = table, [plan for plan, _ in narrow if plan is not first]
    return tables[key][0]
