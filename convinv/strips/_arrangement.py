"""Ways to divide an operator's rows into blocks."""

from __future__ import annotations

import numpy as np

from .._core.typing import ArrangementName, OperatorInput, Seed
from .._core.validation import integer
from ..operators._foreign import as_operator
from ._plan import strip_plan

ARRANGEMENTS = ("strip", "interleaved", "standard", "randomized")
LONGEST = 512  # default number of rows of a block of a matrix
NAMES = {"kind": "kind", "strips": "strips"}  # of the arguments, for errors


def arrangement(
    op: OperatorInput,
    kind: ArrangementName,
    *,
    h_b: int | None = None,
    strips: int | None = None,
    rng: Seed = None,
) -> list:
    """The rows of every block, in one of four arrangements.

    With S blocks of an operator with m rows, "strip" takes the same outputs of every
    channel, as `strip_plan` does; "interleaved" assigns row i to block ``i mod S``;
    "standard" gives each block m / S successive rows, "randomized" as many of a random
    permutation (if S does not divide m, the first blocks have one more).

    Parameters
    ----------
    op : ConvLinearOperator, sparse or dense matrix
        A matrix has no "strip". Other operators have the three that need only sizes.
    kind : {"strip", "interleaved", "standard", "randomized"}
    h_b : int, optional
        The size of a strip (see `strip_plan`) of a convolution; the other arrangements
        get as many blocks as there are strips. By default that of `strip_plan`.
    strips : int, optional
        Instead of `h_b`, the number S of blocks. The default for a matrix is the number
        such that no block has more rows than there are unknowns, nor more than 512.
    rng : None, int or numpy.random.Generator
        Source of the random permutation.

    Returns
    -------
    list of ndarray
        Row numbers of each block, in the operator's flat output order.

    Raises
    ------
    TypeError, ValueError
        If `kind` is unknown or not available for `op`, or the size does not fit.

    Notes
    -----
    "Fast and scalable inversion of convolution layers", section 5, compares the four
    arrangements, with figures and without formulas. The cost is m integers.

    Examples
    --------
    >>> import numpy as np
    >>> from convinv import ConvLinearOperator
    >>> from convinv.strips import arrangement
    >>> op = ConvLinearOperator(np.ones((2, 1, 3)), (1, 6))  # 2 channels of 4 outputs
    >>> for kind in ("strip", "interleaved", "standard"):
    ...     print(kind, *arrangement(op, kind, h_b=2))
    strip [0 1 4 5] [2 3 6 7]
    interleaved [0 2 4 6] [1 3 5 7]
    standard [0 1 2 3] [4 5 6 7]
    """
    return _arranged(op, kind, h_b, strips, rng, NAMES)


def _arranged(op, kind, h_b, strips, rng, names):
    if kind not in ARRANGEMENTS:
        known = ", ".join(map(repr, ARRANGEMENTS))
        raise ValueError(f"{names['kind']} must be one of {known}, got {kind!r}")
    op = as_operator(op)
    if h_b is not None and strips is not None:
        raise ValueError("give h_b or strips, not both")
    if strips is not None:
        strips = _count(strips, op.shape[0], names["strips"])
    if kind == "strip":
        return _strips(op, h_b, strips, names)
    rows = np.arange(op.shape[0])
    if strips is None:
        strips = _default_count(op, h_b)
    if kind == "interleaved":
        return [rows[block::strips] for block in range(strips)]
    if kind == "randomized":
        rows = np.random.default_rng(rng).permutation(rows)
    return np.array_split(rows, strips)


def row_lists(op, kind, *, h_b=None, strips=None, rng=None, names=NAMES) -> list:
    """The `arrangement` of a kind, or the user's row lists after checks."""
    if isinstance(kind, str):
        return _arranged(op, kind, h_b, strips, rng, names)
    if h_b is not None or strips is not None:
        number = "h_b" if h_b is not None else names["strips"]
        raise ValueError(f"{number} is for arrangements that have a name")
    try:
        blocks = [np.asarray(rows) for rows in kind]
        blocks = [b if b.size else b.astype(np.int64) for b in blocks]  # [] is float
    except (TypeError, ValueError):
        blocks = []
    if not blocks or any(b.dtype.kind not in "iu" or b.ndim != 1 for b in blocks):
        raise TypeError(
            f"{names['kind']} must be one of {', '.join(map(repr, ARRANGEMENTS))} or a "
            f"list of one-dimensional arrays of row numbers, got {kind!r}"
        )
    m = op.shape[0]
    for number, rows in enumerate(blocks):
        if np.unique(rows).size < rows.size:
            raise ValueError(f"block {number} names a row twice")
        if rows.size and not 0 <= rows.min() <= rows.max() < m:
            raise ValueError(
                f"rows must be in 0 ... {m - 1}, but block {number} names rows "
                f"{rows.min()} ... {rows.max()}"
            )
    return [rows.astype(np.int64) for rows in blocks]


def _count(strips, m, name):
    strips = integer(strips, name)
    if not 1 <= strips <= max(m, 1):
        raise ValueError(f"{name} must be between 1 and the {m} rows, got {strips}")
    return strips


def _default_count(op, h_b):
    if op.is_convolution:
        return strip_plan(op, h_b).strips
    if h_b is not None:
        raise ValueError("h_b is for a ConvLinearOperator; give strips")
    m, n = op.shape
    return max(1, -(-m // max(1, min(n, LONGEST))))


def _strips(op, h_b, strips, names):
    if not op.is_convolution:
        raise TypeError(
            "only a ConvLinearOperator has strips; take 'interleaved', 'standard' or "
            "'randomized'"
        )
    if strips is not None:
        outputs = op.shape[0] // op.output_shape[0]
        possible = [outputs // h for h in strip_plan(op).admissible]
        if strips not in possible:
            raise ValueError(
                f"{names['strips']} must be one of "
                f"{', '.join(map(str, sorted(possible)))} for strips of an output of "
                f"shape {op.output_shape}, got {strips}"
            )
        h_b = outputs // strips
    plan = strip_plan(op, h_b)
    groups = range(plan.groups)
    return [
        np.concatenate([plan.rows(strip, group) for group in groups])
        for strip in range(plan.strips)
    ]
