"""How many bytes a solve takes, from the vectors that its method declares."""

import inspect
import math
import operator
import re

import numpy as np

from .._closed_forms.forms import closed_form
from .._core.arrays import namespace, to_numpy
from .._core.validation import number
from .._inverse.gram_inverse import side_of
from .._problem import residual
from .._problem.scaling import DATA_POWER
from ..operators._convolution import LAYERS
from ..operators._polyphase import Polyphase
from ..solvers import METHODS
from ..strips._plan import strip_plan

SIZE = re.compile(r"\s*(\d+\.?\d*(?:e\+?\d+)?)\s*(?:([kmgt])(i?))?b?\s*", re.IGNORECASE)
TERM = re.compile(r"(\w+) ([mn])\b")
VARIANT = re.compile(r"\((?:(\w+): )?([^()]*?)(?: with a (\w+))?\)")
# Of what a method declares, what all items of a batch have in common: the order of the
# rows or columns, their norms, random draws.
SHARED = {"kaczmarz": "3 m", "rk": "6 m", "rek": "6 m + 3 n", "gauss-seidel": "4 n"}
DAMPED_ROWS = ("kaczmarz", "rk")  # with damp they hold z and b - damp z
AUGMENTED = ("lsqr", "lsmr", "rshek")  # with damp a vector of length m gets n more
RECORDS = 512  # bytes of an item's coefficients and norms
# Vectors of the length of the Gram matrix that an application of an inverse holds, and
# what an FFT on a device adds.
EXACT = {"direct": 0, "schwarz": 1, "spectral": 0, "circulant": 2}
SYMMETRIC = 4  # more, where the inverse is made Hermitian for a preconditioner
TRANSFORM = 6
# What making a strip's inverse takes, over its matrix (with damp I below it) in double
# precision: measured, 7 to 13.
FACTOR = 12


def parse_bytes(value, name="max_memory") -> float:
    """A number of bytes, or a text like "2GB" or "512 MiB"."""
    if isinstance(value, str):
        match = SIZE.fullmatch(value)
        if match is None:
            raise ValueError(
                f"{name} must be a number of bytes or a text like '2GB' or '512MiB', "
                f"got {value!r}"
            )
        power = " kmgt".index((match[2] or " ").lower())
        return number(match[1], name) * (1024 if match[3] else 1000) ** power
    if isinstance(value, bool):
        raise TypeError(
            f"{name} must be a number of bytes or a text like '2GB', got {value!r}"
        )
    return number(value, name)


def bytes_text(count) -> str:
    """A number of bytes for a message, in a form that `parse_bytes` takes."""
    power = min(int(math.log(max(count, 1), 1000)), 4)
    unit = ("", "k", "M", "G", "T")[power]
    return f"{count / 1000**power:.4g} {unit}B"


def declares(entry) -> bool:
    """Whether a method says what it stores; "auto" takes methods that do."""
    return entry.name == "auto" or bool(TERM.search(entry.vectors))


def vectors(entry, options, *, preconditioned=False, unknowns=math.inf):
    """``{"m": count, "n": count}`` of the vectors that a method stores for an item."""
    if not declares(entry):
        raise ValueError(f"method {entry.name!r} does not declare what it stores")
    base = re.split(r"[(,]", entry.vectors, maxsplit=1)[0]
    terms = _terms(base)
    for value, more, what in VARIANT.findall(entry.vectors):
        chosen = any(isinstance(v, str) and v == value for v in options.values())
        if chosen or (preconditioned and what == "preconditioner"):
            terms |= _terms(more)
    counts = {"m": 0, "n": 0}
    for length, count in terms.items():
        counts[length] = _count(count, entry, options, unknowns)
    for length, count in _terms(SHARED.get(entry.name, "")).items():
        counts[length] -= int(count)
    return counts


def _terms(text):
    """What stands before each length."""
    return {length: count for count, length in TERM.findall(text)}


def _count(word, entry, options, unknowns):
    """A number, or the value of the option of that name."""
    if word.isdigit():
        return int(word)
    default = inspect.signature(entry.function).parameters[word].default
    try:
        return min(operator.index(options.get(word, default)), unknowns)
    except TypeError:
        return 0  # the method will refuse it


class Estimate:
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
    """

    def __init__(self, op, layout, entry, options, preconditioner, damped, copied):
        self.op, self.layout, self.options = op, layout, options
        self.damped, self.host = damped, layout.xp is np
        self.shape, self.itemsize = op.shape, layout.dtype.itemsize
        self.double = np.result_type(layout.dtype, np.float64).itemsize
        self.fused = isinstance(op, LAYERS)
        if entry.name == "auto":
            pairs = _automatic(op, preconditioner, damped)
        else:
            pairs = [(entry, preconditioner)]
        largest, _ = layout.extent
        scaled = abs(np.frexp(to_numpy(largest))[1]) > DATA_POWER
        own = bool(scaled.any()) * self.shape[0] * self.itemsize + RECORDS
        self.solving = own + max(self._solving(*pair) for pair in pairs)
        self.checking = own + self._checking()
        self.fixed = copied + max(self._shared(entry) for entry, _ in pairs)
        # of products by FFT, in the solve's precision and in that of the check
        self.plans = []
        if self.fused:
            wide = np.result_type(layout.dtype, np.float64)
            self.plans = [op.layer._plan(dtype) for dtype in {layout.dtype, wide}]

    def bytes(self, items) -> float:
        """What a solve of so many items takes."""
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
                items * self.solving + narrow * wide,  # it waits for the next start
                items * self.checking + wide + kept,
            )
        )

    def sliced(self, items) -> float:
        """What slices of so many items take: they have x of their own."""
        own = 0 if items >= self.layout.batch else self.shape[1] * self.itemsize
        return self.bytes(items) + items * own

    def fitting(self, limit) -> int:
        """The items of the largest slice that `limit` bytes suffice for, 0 for none."""
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
        """A^H b; of a start from a residual this, its normal residual and x."""
        m, n = self.shape
        return m + 3 * n

    def _checking(self):
        """Bytes while x is checked, beside the residuals in double precision."""
        m, n = self.shape
        products = 0 if self.fused else (m + n) * self.double
        return (self._held() + n) * self.itemsize + products

    def _solving(self, entry, preconditioner):
        """Bytes while a method runs."""
        m, n = self.shape
        named, options = preconditioner is not None, self.options
        counts = vectors(entry, options, preconditioned=named, unknowns=n)
        temporary = 1 if self.fused else 2
        if entry.name in (*SHARED, *EXACT, "strip"):  # they count them as stored
            temporary -= 1
        if self.damped and entry.name in AUGMENTED:
            counts["n"] += counts["m"] + 2
            temporary += 1
        if self.damped and entry.name in DAMPED_ROWS:
            counts["m"] += 2
        if entry.name in ("direct", "schwarz") and side_of(self.op) == "output":
            counts = {"m": counts["n"], "n": 1}  # they invert A A^H
        numbers = self._held()
        numbers += (counts["m"] + temporary) * m + (counts["n"] + temporary) * n
        numbers += self._own(entry.name, options, counts)
        if named:
            numbers += self._preconditioning(preconditioner)
        return numbers * self.itemsize

    def _own(self, name, options, counts):
        """Numbers of an item that are not vectors of length m or n."""
        if name == "gmres":  # its small matrices are in double precision
            small = (counts["n"] + 1) ** 2 * self.double / self.itemsize
            return sum(self.shape) + 2 * self.shape[1] + (3 - self.host) * small
        if name in EXACT:
            return self._inverse(name)
        if name == "strip":
            plan = self._plan()
            unknowns = plan.memory["windows"] // self.op.dtype.itemsize
            rows = plan.strips * plan.groups * plan.shape[0]
            refined = options.get("refine") or options.get("overlap") == "average"
            return 2 * unknowns + rows if self.damped or refined else unknowns
        return 0

    def _inverse(self, name):
        """Of an application of an exact inverse."""
        layer, count = Polyphase(self.op.layer.geometry), EXACT[name]
        side = layer.groups * layer.channels * math.prod(layer.cells)
        if name != "spectral":  # of N, which a layer and its adjoint have in common
            side = min(self.shape) if self.shape[0] < self.shape[1] else side
        if name != "direct" and not self.host:
            count += TRANSFORM
        more = sum(self.shape) if self.damped and side_of(self.op) == "output" else 0
        form = closed_form(self.op) if name == "spectral" else None
        if form is not None:
            more += form.scratch(self.damped)
        return count * side + more

    def _preconditioning(self, given):
        """Of an application of a preconditioner."""
        m, n = self.shape
        name = given if isinstance(given, str) else type(given).__name__.lower()
        if name not in ("circulant", "schwarz") or not hasattr(self.op, "layer"):
            return 3 * n
        return self._inverse(name) + (SYMMETRIC if name == "schwarz" else 0) * max(m, n)

    def _shared(self, entry):
        """Bytes that do not grow with the batch."""
        if entry.name == "strip":
            plan = self._plan()
            rows, columns = plan.shape
            making = FACTOR * (rows + self.damped * columns) * columns * self.double
            return making + (1 + 2 * self.damped) * plan.memory["factors"]
        lengths = dict(zip("mn", self.shape))
        terms = _terms(SHARED.get(entry.name, ""))
        return sum(8 * (int(count) + 2) * lengths[k] for k, count in terms.items())

    def _plan(self):
        """Of the strips that the options say."""
        options = self.options
        return strip_plan(self.op, options.get("h_b"), window=options.get("window"))


def _automatic(op, preconditioner, damped):
    """The methods that "auto" may take, each with its preconditioner."""
    cgls = METHODS["cgls"]
    if not op.has_adjoint:
        return [(METHODS["gmres"], preconditioner)]
    if preconditioner is not None or not hasattr(op, "layer"):
        return [(cgls, preconditioner)]
    names = ["direct", "schwarz"] + ["spectral"] * (closed_form(op) is not None)
    return [*((METHODS[name], None) for name in names), (cgls, "schwarz")]


def copied(layout, b, x0) -> int:
    """Bytes of the copies that `layout` has made of what the user gave."""
    shares = getattr(layout.xp, "may_share_memory", lambda a, given: a is given)
    numbers = 0
    for array, given in ((layout.b, b), (layout.x0, x0)):
        if array is not None and not (namespace(given) and shares(array, given)):
            numbers += math.prod(array.shape)
    return numbers * layout.dtype.itemsize
