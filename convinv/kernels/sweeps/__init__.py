"""Solves with block banded factors: a sweep over the block rows, and one back.

Contract
--------
``prepare(rows, which, band)`` -> plan, of a factorization ``N = (I + L) D (I + L)^H``
in blocks of ``w`` unknowns. ``rows`` is a list of `block_rows.BlockRow` of one dtype,
host arrays, or CuPy arrays where w is more than 256: ``lower``, ``(groups, w, k w)``,
has the last ``k <= band`` blocks of L before the diagonal, side by side, and
``inverse``, ``(groups, w, w)``, is that of a block of D. ``which`` is a list of int:
``rows[which[i]]`` serves block row i, and has ``k = min(i, band)`` blocks. The plan has
the attributes ``dtype``, ``groups``, ``size``, the numbers of an item (``groups *
len(which) * w``), and ``nbytes``, without what it shares with ``rows``.

``solve(plans, batch, z)`` -> None. Solves with several plans, of the same dtype and
groups, for ``batch`` items each. ``z``, one-dimensional and contiguous, holds the
values of one plan after those of another, each of shape ``(groups, batch, len(which) *
w)``, and is overwritten by the solutions. Its dtype is that of the plans; on the host
it may also be complex where theirs is real.
"""
