"""The memory of a solve, from the storage that its method declares."""

import math

import numpy as np

from .._core.arrays import namespace, to_numpy
from .._core.declarations import Use
from .._problem import residual
from .._problem.scaling import DATA_POWER
from ..precondition import PRECONDITIONERS, Preconditioner
from ..solvers import METHODS
from ..solvers._iterate import COPIES, SMALL
from .auto import candidates

BOUNDED = 8  # vectors like x of a solve with bounds, in double precision
RECORDS = 512  # bytes of an item's coefficients and norms


class MemoryEstimate:
    """Bytes that a solve takes beside op, b, x and the history.

    Not counted is what is set up once and kept with the operator or a preconditioner.

    Parameters
    ----------
    op : ShapedOperator
    layout : Layout
    entry : Method
        Of ``"auto"`` the most that any of its choices takes is counted.
    options : dict
        Of the method.
    preconditioner
        As `solve` takes it.
    damped : bool
    copied : int
        Bytes of the copies that were made of b and x0.
    bounded : bool
        Whether x has bounds.
    """

    def __init__(
        self,
        op,
        layout,
        entry,
        options,
        preconditioner,
        damped,
        copied,
        bounded=False,
    ):
        self.op, self.layout, self.options = op, layout, options
        self.damped, self.host = damped, layout.xp is np
        self.shape, self.itemsize = op.shape, layout.dtype.itemsize
        self.double = np.result_type(layout.dtype, np.float64).itemsize
        self.fused = op.fused
        if entry.name == "auto":
            pairs = [
                (METHODS[choice.name], choice.preconditioner)
                for choice in candidates(op, preconditioner)
            ]
        else:
            pairs = [(entry, preconditioner)]
        largest, _ = layout.extent
        scaled = abs(np.frexp(to_numpy(largest))[1]) > DATA_POWER
        own = bool(scaled.any()) * self.shape[0] * self.itemsize + RECORDS
        self.solving = own + max(self._solving(*pair) for pair in pairs)
        self.captured = max(self._captured(*pair) for pair in pairs)
        if bounded:
            self.solving += BOUNDED * self.shape[1] * self.double
        self.checking = own + self._checking()
        self.fixed = copied + max(self._shared(*pair) for pair in pairs)
        # of the products, in the precision of the solve and of the check
        self.plans = []
        if self.fused:
            wide = np.result_type(layout.dtype, np.float64)
            dtypes = {layout.dtype, wide}
            pairs = op.weighted_convolutions or ((op.layer, None),)
            self.plans = [part.plan(dtype) for part, _ in pairs for dtype in dtypes]
            self.fixed += sum(plan.nbytes for plan in self.plans)

    def bytes(self, items) -> float:
        """Bytes of a solve of `items` right-hand sides."""
        m, n = self.shape
        size = residual.PIECE_BYTES // max(m * self.double, 1)
        narrow = self.itemsize < self.double
        piece = items
        if self.host and self.fused:  # a few items are checked at a time
            piece = min(items, max(size, 1))
        wide = piece * (m + n + narrow * n) * self.double
        kept = items * (m + n) * self.itemsize if narrow or piece < items else 0
        scratch = max((plan.scratch_bytes(items) for plan in self.plans), default=0)
        return (
            self.fixed
            + scratch
            + max(
                # a graph's memory; the check waits for the next start
                items * self.solving + self._graphs(items) + narrow * wide,
                items * self.checking + wide + kept,
            )
        )

    def sliced(self, items) -> float:
        """Bytes of a slice of `items` right-hand sides, which has its own x."""
        own = 0 if items >= self.layout.batch else self.shape[1] * self.itemsize
        return self.bytes(items) + items * own

    def fitting(self, limit) -> int:
        """The largest number of items that fits into `limit` bytes, 0 for none."""
        low, high = 0, self.layout.batch
        if self.sliced(high) <= limit:
            return high
        while high - low > 1:
            middle = (low + high) // 2
            if self.sliced(middle) <= limit:
                low = middle
            else:
                high = middle
        return low

    def _held(self):
        """Numbers of A^H b, and of a restart: a residual, its normal residual and x."""
        m, n = self.shape
        return m + 3 * n

    def _checking(self):
        """Bytes of the check of x, without the residuals in double precision."""
        m, n = self.shape
        products = 0 if self.fused else (m + n) * self.double
        return (self._held() + n) * self.itemsize + products

    def _use(self, entry, preconditioner):
        """The solve as the storage declarations see it."""
        return Use(
            self.op,
            self.options,
            self.itemsize,
            self.double,
            fused=self.fused,
            damped=self.damped,
            preconditioned=preconditioner is not None,
            on_host=self.host,
        )

    def _solving(self, entry, preconditioner):
        """Bytes of an item while a method runs."""
        m, n = self.shape
        use = self._use(entry, preconditioner)
        rows, columns = entry.vectors(use)
        numbers = self._held() + rows * m + columns * n
        if entry.storage.numbers is not None:
            numbers += entry.storage.numbers(use)
        if preconditioner is not None:
            numbers += self._preconditioning(preconditioner, use)
        return numbers * self.itemsize

    def _captured(self, entry, preconditioner):
        """Bytes of an item that a graph of a method's iterations takes."""
        if self.host or preconditioner is not None or not entry.storage.captured:
            return 0
        rows, columns = entry.copied(self._use(entry, preconditioner))
        return COPIES * (rows * self.shape[0] + columns * self.shape[1]) * self.itemsize

    def _graphs(self, items):
        """Bytes of the graphs of up to so many items."""
        return min(items, SMALL // max(*self.shape, 1)) * self.captured

    def _preconditioning(self, given, use):
        """Numbers of an application of a preconditioner."""
        kind = PRECONDITIONERS[given] if isinstance(given, str) else type(given)
        takes = self.op.layer is not None or bool(self.op.convolutions)
        known = issubclass(kind, Preconditioner) and takes
        return (kind if known else Preconditioner).numbers(use)

    def _shared(self, entry, preconditioner):
        """Bytes that do not grow with the batch."""
        return entry.storage.shared(self._use(entry, preconditioner))


def copied(layout, b, x0) -> int:
    """Bytes of the copies of b and x0 that `layout` made."""
    shares = getattr(layout.xp, "may_share_memory", lambda a, given: a is given)
    numbers = 0
    for array, given in ((layout.b, b), (layout.x0, x0)):
        if array is not None and not (namespace(given) and shares(array, given)):
            numbers += math.prod(array.shape)
    return numbers * layout.dtype.itemsize
